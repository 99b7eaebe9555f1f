"""Trying a release with real requests: what it is asked, what counts, and that nothing of it is logged."""

import random
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rankloop.bundle import Bundle
from rankloop.errors import DataError
from services.control.drivers import Asked, Warmth, sample_requests, warm
from services.events.log_tables import frames_of
from services.events.records import ImpressionRecord, encode
from services.events.spool import SpoolWriter
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.ranking.opening import BUNDLE
from services.ranking.schemas import RecommendRequest, SearchRequest
from services.settings import Settings
from tests.services.both import TOKENS, guarded
from tests.services.conftest import Release, SlotServer

REQUESTS: list[Asked] = [
    RecommendRequest("logo-u1", 5),
    SearchRequest("logo design", "logo-u2", 5),
    SearchRequest("logo", None, 5),
]


def settings_of(server: SlotServer, home: Path, **more: Any) -> Settings:
    return Settings.read(home=home, budget_ms=60_000, inner_port=server.inner_port, **more)


def filled(server: SlotServer, bundle: Bundle, settings: Settings) -> str:
    """A release in the green slot, which logs what it shows; gives the slot's address."""
    spool = SpoolWriter(settings.home / "spool" / "impressions", fsync="never", max_bytes=1 << 24, when_full="refuse")
    engine = Engine(bundle, settings, clock=Engine(bundle, settings).moment, impressions=spool)
    server.slots["green"] = build_app(engine, settings)
    return settings.slot_url("green")


def spooled_bytes(home: Path) -> int:
    return sum(file.stat().st_size for file in (home / "spool").rglob("*.spool"))


def shown(n: int, **changed: Any) -> ImpressionRecord:
    record = ImpressionRecord(
        request_id=f"q{n}",
        ts=1_790_000_000_000_000 + n,
        as_of=1_790_000_000_000_000,
        surface="job_feed",
        user_id=f"u{n}",
        query=None,
        release_id="r-1",
        items=["i1", "i2", "i3"],
        scores=[3.0, 2.0, 1.0],
        sources=["als"] * 3,
        teams=None,
        feature_names="",
        features=b"",
        micros=900,
        fallback=None,
    )
    return msgspec.structs.replace(record, **changed)


def spooled(home: Path, *records: ImpressionRecord) -> None:
    writer = SpoolWriter(home / "spool" / "impressions", fsync="never", max_bytes=1 << 24, when_full="refuse")
    for record in records:
        writer.append(encode([record]))
    writer.close()


def logged(home: Path, hour: str, *records: ImpressionRecord) -> None:
    folder = home / "log" / "impressions" / "date=2026-11-22" / f"hour={hour}"
    folder.mkdir(parents=True)
    frames_of(records)["impressions"].write_parquet(folder / "a.parquet")


def users(found: list[Asked]) -> set[str | None]:
    return {one.user_id for one in found}


def test_a_release_that_answers_is_warm_and_nothing_is_logged(slot_server: SlotServer, bundle: Bundle, tmp_path: Path) -> None:
    settings = settings_of(slot_server, tmp_path)
    url = filled(slot_server, bundle, settings)
    before = spooled_bytes(tmp_path)
    found = warm(url, REQUESTS * 5, seconds=60, release_id=bundle.manifest.release_id)
    assert (found.requests, found.failed, found.empty, found.unasked, found.worst) == (15, 0, 0, 0, ())
    assert found.p50_ms is not None
    assert found.p95_ms is not None
    assert 0 < found.p50_ms <= found.p95_ms
    assert found.is_well
    assert spooled_bytes(tmp_path) == before


def test_where_tokens_are_asked_for_one_is_sent(slot_server: SlotServer, bundle: Bundle, tmp_path: Path) -> None:
    settings = guarded(home=tmp_path, budget_ms=60_000, inner_port=slot_server.inner_port)
    url = filled(slot_server, bundle, settings)
    assert warm(url, REQUESTS, seconds=60).failed == len(REQUESTS)
    assert warm(url, REQUESTS, seconds=60, token=TOKENS["read"]).is_well


def test_every_failure_counts_and_is_told_once(slot_server: SlotServer, bundle: Bundle, tmp_path: Path) -> None:
    url = filled(slot_server, bundle, settings_of(slot_server, tmp_path))
    bad: list[Asked] = [RecommendRequest("u", 100_000), RecommendRequest("u", 100_000), SearchRequest("   ")]
    found = warm(url, [*REQUESTS, *bad], seconds=60)
    assert (found.requests, found.failed) == (6, 3)
    assert [one.split(":")[0] for one in found.worst] == ["/v1/recommend", "/v1/search"]
    assert "422" in found.worst[0]
    assert "k is 100000" in found.worst[0]
    assert not found.is_well


def test_another_releases_answer_is_a_failure(slot_server: SlotServer, bundle: Bundle, tmp_path: Path) -> None:
    url = filled(slot_server, bundle, settings_of(slot_server, tmp_path))
    found = warm(url, REQUESTS, seconds=60, release_id="r-other")
    assert found.failed == len(REQUESTS)
    assert found.worst == tuple(
        f"{path}: release {bundle.manifest.release_id} answered, not r-other" for path in ("/v1/recommend", "/v1/search")
    )
    assert (found.p50_ms, found.p95_ms) == (None, None)


def test_an_empty_slot_fails_each_request(slot_server: SlotServer, tmp_path: Path) -> None:
    found = warm(settings_of(slot_server, tmp_path).slot_url("green"), REQUESTS, seconds=60)
    assert (found.requests, found.failed, found.p50_ms) == (3, 3, None)


def test_an_address_where_nobody_listens_is_told() -> None:
    found = warm("http://127.0.0.1:1/green", REQUESTS[:1], seconds=60)
    assert found.worst[0].startswith("/v1/recommend: no answer: ")


def test_what_the_time_does_not_allow_is_not_asked(slot_server: SlotServer, tmp_path: Path) -> None:
    found = warm(settings_of(slot_server, tmp_path).slot_url("green"), REQUESTS, seconds=0)
    assert (found.requests, found.unasked, found.is_well) == (0, 3, False)


@pytest.mark.parametrize(
    ("warmth", "well"),
    [
        (Warmth(requests=3, failed=0, empty=2, p50_ms=1.0, p95_ms=1.0), True),
        (Warmth(requests=3, failed=0, empty=3, p50_ms=1.0, p95_ms=1.0), False),
        (Warmth(requests=3, failed=1, empty=0, p50_ms=1.0, p95_ms=1.0), False),
        (Warmth(requests=0, failed=0, empty=0, p50_ms=None, p95_ms=None), False),
    ],
)
def test_a_release_is_well_when_it_was_asked_and_answered_with_items(warmth: Warmth, well: bool) -> None:
    assert warmth.is_well is well


def test_requests_are_drawn_from_what_waits_in_the_spool(tmp_path: Path) -> None:
    search = shown(9, query="logo", surface="job_search", user_id="")
    spooled(tmp_path, *(shown(n) for n in range(5)), search)
    found = sample_requests(Settings.read(home=tmp_path), 6, 1)
    assert sorted(map(repr, found)) == sorted(
        map(repr, [*(RecommendRequest(f"u{n}", 3) for n in range(5)), SearchRequest("logo", None, 3)])
    )


def test_the_same_seed_draws_the_same_requests(tmp_path: Path) -> None:
    spooled(tmp_path, *(shown(n) for n in range(100)))
    settings = Settings.read(home=tmp_path)
    first, again, other = (sample_requests(settings, 10, seed) for seed in (1, random.Random(1), 2))
    assert first == again
    assert len(users(first)) == 10
    assert first != other


def test_what_cannot_be_asked_again_is_left_out(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path, max_k=3, max_query_chars=10)
    left_out = (
        shown(1, sources=["given"] * 3),
        shown(2, items=["i"] * 4, scores=[1.0] * 4, sources=["als"] * 4),
        shown(3, user_id=""),
        shown(4, query="x" * 11),
        shown(5, query=" "),
    )
    spooled(tmp_path, *left_out, shown(6), shown(6, request_id="asked again"))
    assert sample_requests(settings, 10, 1) == [RecommendRequest("u6", 3)]


def test_where_the_spool_has_too_few_the_newest_hours_of_the_log_help(tmp_path: Path) -> None:
    spooled(tmp_path, shown(1))
    logged(tmp_path, "10", *(shown(n) for n in range(100, 200)))
    logged(tmp_path, "11", shown(2), shown(3, query="logo", surface="job_search"))
    found = sample_requests(Settings.read(home=tmp_path), 4, 1)
    assert len(found) == 4
    everything = sample_requests(Settings.read(home=tmp_path), 200, 1)
    assert {"u1", "u2", "u3", "u150"} <= users(everything)
    assert SearchRequest("logo", "u3", 3, "job_search") in everything


def test_a_log_that_cannot_be_read_costs_its_requests_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spooled(tmp_path, shown(1))
    settings = Settings.read(home=tmp_path, log_url="nosuch://bucket/log")
    assert users(sample_requests(settings, 4, 1)) == {"u1"}
    assert "requests of the log at nosuch://bucket/log cannot be read" in caplog.text


def test_where_nothing_was_logged_requests_are_made_of_the_releases_people_and_titles(release: Release, tmp_path: Path) -> None:
    bento = tmp_path / "bentos" / "r-1"
    shutil.copytree(release.folder, bento / "src" / BUNDLE)
    settings = Settings.read(home=tmp_path / "home")
    found = sample_requests(settings, 6, 1, bento=str(bento))
    assert [type(one) for one in found] == [RecommendRequest, SearchRequest] * 3
    assert users(found) <= set(release.tables.users["user_id"])
    titles = set(release.tables.items["title"])
    assert {one.query for one in found if isinstance(one, SearchRequest)} <= titles
    assert sample_requests(settings, 6, 1) == []


def test_logged_requests_come_first_and_made_ones_fill_up(release: Release, tmp_path: Path) -> None:
    bento = tmp_path / "bentos" / "r-1"
    shutil.copytree(release.folder, bento / "src" / BUNDLE)
    home = tmp_path / "home"
    spooled(home, shown(1), shown(2))
    found = sample_requests(Settings.read(home=home), 5, 1, bento=str(bento))
    assert len(found) == 5
    assert users(found[:2]) == {"u1", "u2"}


def test_a_release_answers_the_requests_that_are_made_of_it(
    slot_server: SlotServer, bundle: Bundle, release: Release, tmp_path: Path
) -> None:
    bento = tmp_path / "bentos" / "r-1"
    shutil.copytree(release.folder, bento / "src" / BUNDLE)
    settings = settings_of(slot_server, tmp_path / "home")
    url = filled(slot_server, bundle, settings)
    assert warm(url, sample_requests(settings, 20, 7, bento=str(bento)), seconds=60).is_well


def test_a_sample_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 requests are asked for; ask for 1 or more"):
        sample_requests(Settings.read(home=tmp_path), 0, 1)

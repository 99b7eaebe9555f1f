"""Interleaving from end to end: a real edge, two real releases behind it, and the log read back."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import polars as pl
import pytest

from rankloop.bundle import Bundle
from rankloop.experiment import credit, preference
from services.edge import Edge, EdgeConfig, Slots, bucket_of
from services.events.records import decode
from services.events.spool import Position, SpoolReader, SpoolWriter
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.settings import Settings

pytestmark = pytest.mark.slow

HALF = Slots(interleave_bp=5000)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def spool(slot_server, bundle: Bundle, other_release, tmp_path: Path) -> Iterator[Path]:
    writer = SpoolWriter(tmp_path / "impressions", fsync="never", max_bytes=1 << 24, when_full="refuse")
    inner = free_port()
    first = inner - urlsplit(Settings(inner_port=20_000).inner_url).port + 20_000
    settings = Settings(budget_ms=60_000, inner_port=first)
    for slot, own in (("blue", bundle), ("green", Bundle.open(other_release.folder))):
        engine = Engine(own, settings, clock=Engine(own, settings).moment, impressions=writer)
        slot_server.slots[slot] = build_app(engine, settings, name_answers=False)
    with tempfile.TemporaryDirectory() as short:
        config = EdgeConfig(
            http_port=free_port(),
            inner_port=inner,
            metrics_port=free_port(),
            serve_port=slot_server.port,
            admin_socket=Path(short) / "admin.sock",
            slots=HALF,
        )
        edge = Edge(tmp_path / "edge", config)
        edge.start(seconds=60)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{config.http_port}", timeout=60) as client:
                for n in range(24):
                    asked = {"user_id": f"logo-u{n % 8}", "k": 4}
                    # a client cannot choose for itself
                    headers = {"X-Rankloop-Unit": f"p{n}", "X-Rankloop-Interleave": "green", "X-Request-Id": f"q{n}"}
                    assert client.post("/v1/recommend", json=asked, headers=headers).status_code == 200
            yield tmp_path / "impressions"
        finally:
            edge.stop()
            writer.close()


def test_units_in_the_share_see_both_releases_and_the_log_says_who_placed_what(spool: Path) -> None:
    reader = SpoolReader(spool)
    records = [one for name in reader.writers() for _, frame in reader.read(name, Position(0, 0)) for one in decode(frame)]
    drafted = {f"q{n}" for n in range(24) if bucket_of(f"p{n}", HALF.interleave_seed) < HALF.interleave_bp}
    assert 0 < len(drafted) < 24
    assert len(records) == 24
    assert {one.request_id for one in records if one.teams} == drafted
    assert {one.fallback for one in records} == {None}
    ours = records[0].release_id
    (theirs,) = {team for one in records for team in one.teams or ()} - {ours, ""}
    drafts = [one for one in records if one.teams]
    rows = [(one.request_id, one.user_id, *placed) for one in drafts for placed in zip(one.items, one.teams, strict=True)]
    shown = pl.DataFrame(rows, schema=["request_id", "user_id", "item_id", "release_id"], orient="row")
    clicked = shown.filter(pl.col("release_id") == theirs).with_columns(kind=pl.lit("click"))
    credits = credit(shown, clicked, a=ours, b=theirs)
    assert set(credits.requests["request_id"]) == drafted
    assert preference(credits, rng=1).wins == 0

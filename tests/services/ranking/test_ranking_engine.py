"""The engine: the right list, and an honest word when it is less than that."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from monitoring.metrics import Metrics
from rankloop.bundle import Bundle
from rankloop.errors import DataError, Overloaded, StateUnavailable
from rankloop.recommender import Recommender
from rankloop.request import Request, microseconds
from rankloop.state import Act, UserState
from rankloop.testing import group_of
from services.events.records import ImpressionRecord, decode
from services.events.spool import Position, SpoolReader, SpoolWriter
from services.ranking.engine import Engine
from services.ranking.fallbacks import STATE_DOWN
from services.ranking.impressions import fingerprint_of
from services.settings import Settings
from tests.services.conftest import CLOSED, Release


def engine_at(
    bundle: Bundle, moment: datetime, *, state: object = None, impressions: SpoolWriter | None = None, **settings: float
) -> Engine:
    settings = {"budget_ms": 60_000.0} | settings  # a busy machine is no reason to answer with less
    given = {"clock": lambda: moment, "state": state, "impressions": impressions}
    return Engine(bundle, Settings(**settings), metrics=Metrics(process=False), **given)  # type: ignore[arg-type]


@pytest.fixture
def engine(bundle: Bundle, release: Release) -> Engine:
    return engine_at(bundle, release.as_of)


def count(engine: Engine, series: str) -> float:
    lines = [line for line in engine.metrics.text().decode().splitlines() if line.startswith(series + " ")]
    return float(lines[0].split()[-1]) if lines else 0.0


@pytest.mark.parametrize("trade", ["logo", "plumbing", "piano"])
def test_a_person_is_shown_the_own_trade_first(engine: Engine, trade: str) -> None:
    items = engine.recommend(f"{trade}-u5", 3, "job_feed", request_id="r").answer.items
    assert {group_of(item.item_id) for item in items} == {trade}


def test_a_query_leads_to_its_trade_without_a_user(engine: Engine) -> None:
    items = engine.search("boiler", None, 45, "job_search", request_id="r").answer.items
    assert group_of(items[0].item_id) == "plumbing"
    assert {group_of(item.item_id) for item in items if item.source == "bm25"} == {"plumbing"}


def test_scores_fall_and_positions_rise(engine: Engine) -> None:
    items = engine.recommend("logo-u5", 10, "job_feed", request_id="r").answer.items
    assert [item.position for item in items] == list(range(1, 11))
    assert all(a.score >= b.score for a, b in pairwise(items))


def test_the_same_demand_at_the_same_moment_has_the_same_answer(engine: Engine) -> None:
    first, second = (engine.recommend("logo-u5", 10, "job_feed", request_id="r").answer for _ in range(2))
    assert first == second


def test_a_closed_job_is_never_shown(bundle: Bundle, release: Release) -> None:
    everything = len(bundle.catalogue)
    before = engine_at(bundle, release.as_of - timedelta(days=3), stale_days=0)
    assert before.moment() == release.as_of
    shown = engine_at(bundle, release.as_of).recommend("nobody", everything, "job_feed", request_id="r").answer.items
    assert CLOSED not in {item.item_id for item in shown}


def test_a_job_already_applied_for_is_not_shown_again(engine: Engine, release: Release) -> None:
    applied = release.tables.outcomes.filter(kind="apply").row(0, named=True)
    shown = engine.recommend(applied["user_id"], 45, "job_feed", request_id="r").answer.items
    assert applied["item_id"] not in {item.item_id for item in shown}


def test_a_closed_job_can_still_be_ranked_on_demand(engine: Engine) -> None:
    answer = engine.rank("logo-u5", [CLOSED, "piano-i1"], request_id="r").answer
    assert {item.item_id for item in answer.items} == {CLOSED, "piano-i1"}


def test_a_search_that_matches_nothing_is_answered_without_its_text_and_says_so(engine: Engine) -> None:
    answer = engine.search("xylophonequark", "logo-u1", 5, "job_search", request_id="r").answer
    assert answer.fallback == "no item matches the search text: list without it"
    assert answer.items
    assert {item.source for item in answer.items}.isdisjoint({"bm25"})


def test_a_search_that_matches_shows_only_matches(engine: Engine) -> None:
    answer = engine.search("piano", "logo-u1", 50, "job_search", request_id="r").answer
    assert answer.fallback is None
    assert {item.source for item in answer.items} == {"bm25"}
    assert {item.item_id.split("-")[0] for item in answer.items} == {"piano"}


def test_an_unknown_user_is_counted_as_a_fallback(engine: Engine) -> None:
    answer = engine.recommend("nobody", 3, "job_feed", request_id="r").answer
    assert answer.fallback == "unknown user: popular and lexical candidates only"
    assert count(engine, f'rankloop_fallbacks_total{{reason="{answer.fallback}",surface="job_feed"}}') == 1


def test_a_surface_without_training_data_is_told(engine: Engine) -> None:
    answer = engine.recommend("logo-u5", 3, "talent_search", request_id="r").answer
    assert answer.items
    assert answer.fallback == "surface not in the training log: order learned from the others"


def test_a_failing_ranker_leaves_the_retrieval_order(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise FloatingPointError("a feature is out of this world")

    monkeypatch.setattr(Recommender, "rank", broken)
    answer = engine.recommend("logo-u5", 3, "job_feed", request_id="r").answer
    assert len(answer.items) == 3
    assert answer.fallback == "ranker failed: retrieval order"
    assert [item.score for item in answer.items] == [0, -1, -2]
    assert count(engine, 'rankloop_fallbacks_total{reason="ranker failed: retrieval order",surface="job_feed"}') == 1
    given = engine.rank("logo-u5", ["piano-i1", "logo-i1"], explain=True, request_id="r").answer
    assert [item.item_id for item in given.items] == ["piano-i1", "logo-i1"]
    assert given.fallback == "ranker failed: given order"
    assert given.explanations is None


def test_an_explanation_names_every_feature_of_the_ranker(engine: Engine, bundle: Bundle) -> None:
    answer = engine.rank("logo-u5", ["logo-i1", "piano-i1"], explain=True, request_id="r").answer
    assert answer.explanations is not None
    for why in answer.explanations:
        assert {row.feature for row in why.contributions} == set(bundle.parts.ranker.names)


def test_an_undefined_feature_is_null_and_not_zero(engine: Engine) -> None:
    answer = engine.rank("nobody", ["logo-i1"], explain=True, request_id="r").answer
    assert answer.explanations is not None
    assert None in {row.value for row in answer.explanations[0].contributions}


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-1, 0), (0, 0), (3, 3), (7, 7), (8, 0), (3000, 0)],
    ids=["the future", "now", "fresh", "just fresh", "stale", "a log from the past"],
)
def test_a_stale_release_answers_as_of_its_last_moment(bundle: Bundle, release: Release, days: int, expected: int) -> None:
    engine = engine_at(bundle, release.as_of + timedelta(days=days))
    assert engine.moment() == release.as_of + timedelta(days=expected)


def test_similar_items_are_open_and_near(engine: Engine) -> None:
    items = engine.similar("logo-i1", 5, request_id="r").items
    assert {group_of(item.item_id) for item in items} == {"logo"}
    assert not {"logo-i1", CLOSED} & {item.item_id for item in items}


def test_similar_to_an_unknown_item_is_an_error_with_a_remedy(engine: Engine) -> None:
    with pytest.raises(DataError, match="does not hold item 'nothing'; give an item"):
        engine.similar("nothing", 5, request_id="r")


def test_fewer_items_than_asked_is_no_error(engine: Engine) -> None:
    assert 1 <= len(engine.recommend("logo-u5", 200, "job_feed", request_id="r").answer.items) < 200


def test_the_self_test_says_what_was_opened(engine: Engine, bundle: Bundle) -> None:
    ready = engine.self_test()
    assert (ready.release_id, ready.items, ready.users) == (bundle.manifest.release_id, len(bundle.catalogue), 60)


def test_scores_are_finite(engine: Engine) -> None:
    items = engine.recommend("logo-u5", 45, "job_feed", request_id="r").answer.items
    assert np.isfinite([item.score for item in items]).all()


def acted(*acts: tuple[str, str], at: datetime, erased_at: datetime | None = None) -> UserState:
    """A state of acts (item, kind) that all came at one moment."""
    ts = microseconds(at)
    return UserState(tuple(Act(item, kind, ts) for item, kind in acts), erased_at=erased_at and microseconds(erased_at))


class Known:
    """An online store that knows one person."""

    def __init__(self, state: UserState | None) -> None:
        self.state = state

    def user(self, user_id: str) -> UserState | None:
        return self.state


class Down:
    """An online store that does not answer."""

    def user(self, user_id: str) -> UserState | None:
        raise StateUnavailable("the store is down; start it")


def test_what_a_person_did_since_the_release_counts_at_once(bundle: Bundle, release: Release) -> None:
    later = release.as_of + timedelta(hours=1)
    first = engine_at(bundle, later).recommend("logo-u5", 3, "job_feed", request_id="r").answer.items[0].item_id
    engine = engine_at(bundle, later, state=Known(acted((first, "apply"), at=later - timedelta(minutes=1))))
    assert first not in {item.item_id for item in engine.recommend("logo-u5", 45, "job_feed", request_id="r").answer.items}


def test_what_the_release_knows_already_counts_once(bundle: Bundle, release: Release) -> None:
    plain = engine_at(bundle, release.as_of).recommend("logo-u5", 10, "job_feed", request_id="r").answer
    known = Known(acted(("piano-i1", "apply"), at=release.as_of))
    assert engine_at(bundle, release.as_of, state=known).recommend("logo-u5", 10, "job_feed", request_id="r").answer == plain


def test_somebody_new_is_shown_what_is_like_what_they_just_did(bundle: Bundle, release: Release) -> None:
    later = release.as_of + timedelta(hours=1)
    engine = engine_at(bundle, later, state=Known(acted(("piano-i1", "click"), ("piano-i2", "click"), at=later)))
    answer = engine.recommend("nobody", 3, "job_feed", request_id="r").answer
    assert {group_of(item.item_id) for item in answer.items} == {"piano"}
    assert answer.fallback == "new user: only what they did since the release counts"


def test_in_a_log_from_the_past_what_people_do_today_counts_too(bundle: Bundle, release: Release) -> None:
    today = release.as_of + timedelta(days=300)
    first = engine_at(bundle, today).recommend("logo-u5", 1, "job_feed", request_id="r").answer.items[0].item_id
    engine = engine_at(bundle, today, state=Known(acted((first, "dismiss"), at=today)))
    assert engine.recommend("logo-u5", 1, "job_feed", request_id="r").answer.items[0].item_id != first


@pytest.mark.parametrize(("days", "forgotten"), [(1, True), (-1, False)])
def test_a_person_erased_since_the_release_is_a_stranger(bundle: Bundle, release: Release, days: int, forgotten: bool) -> None:
    plain = engine_at(bundle, release.as_of)
    known = Known(acted(at=release.as_of, erased_at=release.as_of + timedelta(days=days)))
    asked = engine_at(bundle, release.as_of, state=known)
    answer = asked.recommend("logo-u5", 10, "job_feed", request_id="r").answer
    as_whom = "nobody" if forgotten else "logo-u5"
    assert answer == plain.recommend(as_whom, 10, "job_feed", request_id="r").answer


def test_a_lean_bundle_gives_the_same_answers(bundle: Bundle, release: Release) -> None:
    lean = Bundle.open(release.folder, lean=True)
    assert lean.parts.items.columns == ["item_id", "title"]
    whole, thin = engine_at(bundle, release.as_of), engine_at(lean, release.as_of)
    for user in ("logo-u5", "nobody"):
        for query in ("piano lessons", "boiler"):
            asked = (query, user, 9, "job_search")
            assert thin.search(*asked, request_id="r").answer == whole.search(*asked, request_id="r").answer
        plain = (user, 9, "job_feed")
        assert thin.recommend(*plain, request_id="r").answer == whole.recommend(*plain, request_id="r").answer


def test_a_store_that_is_down_costs_what_it_would_have_said(bundle: Bundle, release: Release) -> None:
    plain = engine_at(bundle, release.as_of).recommend("logo-u5", 10, "job_feed", request_id="r").answer
    engine = engine_at(bundle, release.as_of, state=Down())
    answer = engine.recommend("logo-u5", 10, "job_feed", request_id="r").answer
    assert answer.items == plain.items
    assert answer.fallback == STATE_DOWN
    assert count(engine, f'rankloop_fallbacks_total{{reason="{STATE_DOWN}",surface="job_feed"}}') == 1


def test_failing_retrievers_leave_the_popular_list(engine: Engine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise FloatingPointError("a weight is out of this world")

    monkeypatch.setattr(Recommender, "candidates", broken)
    answer = engine.recommend("logo-u5", 5, "job_feed", request_id="r").answer
    request = Request("logo-u5", "job_feed", engine.moment())
    popular = bundle.parts.retrievers["popular"].retrieve(request, 5, allowed=bundle.parts.rules.allowed(request))
    assert [item.item_id for item in answer.items] == bundle.catalogue.decode(popular.items)
    assert answer.fallback == "retrievers failed: popular list"


def test_a_request_that_comes_too_late_is_answered_with_the_popular_list(bundle: Bundle, release: Release) -> None:
    engine = engine_at(bundle, release.as_of, budget_ms=50)
    answer = engine.recommend("logo-u5", 5, "job_feed", request_id="r", waited=0.051).answer
    assert {item.source for item in answer.items} == {"popular"}
    assert answer.fallback == "no time: popular list"
    search = engine.search("piano", "logo-u5", 5, "job_search", request_id="r", waited=0.051).answer
    assert {group_of(item.item_id) for item in search.items} == {"piano"}
    assert search.fallback == "no time to rank: retrieval order"


def test_where_ranking_would_take_too_long_the_order_is_that_of_retrieval(bundle: Bundle, release: Release) -> None:
    engine = engine_at(bundle, release.as_of)
    engine.warm(requests=4)
    engine._steps._ranking.took(600.0)  # a stage that became slow
    answer = engine.recommend("logo-u5", 5, "job_feed", request_id="r").answer
    assert answer.fallback == "no time to rank: retrieval order"
    assert [item.score for item in answer.items] == [0, -1, -2, -3, -4]
    for _ in range(1_000):  # each skip lowers what is expected, until ranking is tried, and found fast, again
        answer = engine.recommend("logo-u5", 5, "job_feed", request_id="r").answer
        if answer.fallback is None:
            break
    assert answer.fallback is None


def test_a_request_that_nobody_waits_for_any_more_is_refused(bundle: Bundle, release: Release) -> None:
    engine = engine_at(bundle, release.as_of, budget_ms=50)
    with pytest.raises(Overloaded, match="waited 1001 ms, 20 times the budget of 50 ms; ask again"):
        engine.recommend("logo-u5", 5, "job_feed", request_id="r", waited=1.001)
    assert count(engine, "rankloop_shed_requests_total") == 1


def test_an_impression_says_what_was_shown_and_by_which_features(bundle: Bundle, release: Release, tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path, fsync="never", max_bytes=1 << 20, when_full="refuse")
    engine = engine_at(bundle, release.as_of, impressions=spool)
    shown = engine.search("piano", "piano-u1", 4, "job_search", request_id="r1")
    engine.log(shown)
    spool.close()
    reader = SpoolReader(tmp_path)
    (frame,) = (frame for _, frame in reader.read(reader.writers()[0], Position(1, 0)))
    (record,) = decode(frame)
    assert isinstance(record, ImpressionRecord)
    assert record.items == [item.item_id for item in shown.answer.items]
    assert (record.request_id, record.user_id, record.query, record.surface) == ("r1", "piano-u1", "piano", "job_search")
    assert record.ts == record.as_of == microseconds(release.as_of)
    request = Request("piano-u1", "job_search", release.as_of, "piano")
    rebuilt = bundle.recommender.assembler.assemble([request], [bundle.catalogue.encode(record.items)])
    np.testing.assert_array_equal(np.frombuffer(record.features, "<f4").reshape(len(record.items), -1), rebuilt)
    assert record.feature_names == fingerprint_of(bundle.manifest.features)


def test_a_list_that_cannot_be_logged_is_given_all_the_same(bundle: Bundle, release: Release, tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path, fsync="never", max_bytes=4_000, when_full="refuse")
    engine = engine_at(bundle, release.as_of, impressions=spool)
    for _ in range(5):
        shown = engine.recommend("piano-u1", 20, "job_feed", request_id="r")
        engine.log(shown)
        assert len(shown.answer.items) == 20
    spool.close()
    assert count(engine, 'rankloop_impressions_total{outcome="lost"}') > 0


def test_the_moment_in_an_answer_is_utc(engine: Engine) -> None:
    as_of = datetime.fromisoformat(engine.recommend("logo-u5", 3, "job_feed", request_id="r").answer.as_of)
    assert as_of.utcoffset() == timedelta(0) == UTC.utcoffset(None)

"""The engine: the right list, and an honest word when it is less than that."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from monitoring.metrics import Metrics
from rankloop.bundle import Bundle
from rankloop.errors import DataError
from rankloop.recommender import Recommender
from rankloop.testing import group_of
from services.ranking.engine import Engine
from services.settings import Settings
from tests.services.conftest import CLOSED, Release


def engine_at(bundle: Bundle, moment: datetime, **settings: float) -> Engine:
    return Engine(bundle, Settings(**settings), metrics=Metrics(process=False), clock=lambda: moment)  # type: ignore[arg-type]


@pytest.fixture
def engine(bundle: Bundle, release: Release) -> Engine:
    return engine_at(bundle, release.as_of)


def count(engine: Engine, series: str) -> float:
    lines = [line for line in engine.metrics.text().decode().splitlines() if line.startswith(series + " ")]
    return float(lines[0].split()[-1]) if lines else 0.0


@pytest.mark.parametrize("trade", ["logo", "plumbing", "piano"])
def test_a_person_is_shown_the_own_trade_first(engine: Engine, trade: str) -> None:
    items = engine.recommend(f"{trade}-u5", 3, "job_feed", request_id="r").items
    assert {group_of(item.item_id) for item in items} == {trade}


def test_a_query_leads_to_its_trade_without_a_user(engine: Engine) -> None:
    items = engine.search("boiler", None, 45, "job_search", request_id="r").items
    assert group_of(items[0].item_id) == "plumbing"
    assert {group_of(item.item_id) for item in items if item.source == "bm25"} == {"plumbing"}


def test_scores_fall_and_positions_rise(engine: Engine) -> None:
    items = engine.recommend("logo-u5", 10, "job_feed", request_id="r").items
    assert [item.position for item in items] == list(range(1, 11))
    assert all(a.score >= b.score for a, b in pairwise(items))


def test_the_same_demand_at_the_same_moment_has_the_same_answer(engine: Engine) -> None:
    first, second = (engine.recommend("logo-u5", 10, "job_feed", request_id="r") for _ in range(2))
    assert first == second


def test_a_closed_job_is_never_shown(bundle: Bundle, release: Release) -> None:
    everything = len(bundle.catalogue)
    before = engine_at(bundle, release.as_of - timedelta(days=3), stale_days=0)
    assert before.moment() == release.as_of
    shown = engine_at(bundle, release.as_of).recommend("nobody", everything, "job_feed", request_id="r").items
    assert CLOSED not in {item.item_id for item in shown}


def test_a_job_already_applied_for_is_not_shown_again(engine: Engine, release: Release) -> None:
    applied = release.tables.outcomes.filter(kind="apply").row(0, named=True)
    shown = engine.recommend(applied["user_id"], 45, "job_feed", request_id="r").items
    assert applied["item_id"] not in {item.item_id for item in shown}


def test_a_closed_job_can_still_be_ranked_on_demand(engine: Engine) -> None:
    answer = engine.rank("logo-u5", [CLOSED, "piano-i1"], request_id="r")
    assert {item.item_id for item in answer.items} == {CLOSED, "piano-i1"}


def test_a_search_that_matches_nothing_is_answered_without_its_text_and_says_so(engine: Engine) -> None:
    answer = engine.search("xylophonequark", "logo-u1", 5, "job_search", request_id="r")
    assert answer.fallback == "no item matches the search text: list without it"
    assert answer.items
    assert {item.source for item in answer.items}.isdisjoint({"bm25"})


def test_a_search_that_matches_shows_only_matches(engine: Engine) -> None:
    answer = engine.search("piano", "logo-u1", 50, "job_search", request_id="r")
    assert answer.fallback is None
    assert {item.source for item in answer.items} == {"bm25"}
    assert {item.item_id.split("-")[0] for item in answer.items} == {"piano"}


def test_an_unknown_user_is_counted_as_a_fallback(engine: Engine) -> None:
    answer = engine.recommend("nobody", 3, "job_feed", request_id="r")
    assert answer.fallback == "unknown user: popular and lexical candidates only"
    assert count(engine, 'rankloop_fallbacks_total{reason="unknown user: popular and lexical candidates only"}') == 1


def test_a_surface_without_training_data_is_told(engine: Engine) -> None:
    answer = engine.recommend("logo-u5", 3, "talent_search", request_id="r")
    assert answer.items
    assert answer.fallback == "surface not in the training log: order learned from the others"


def test_a_failing_ranker_leaves_the_retrieval_order(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise FloatingPointError("a feature is out of this world")

    monkeypatch.setattr(Recommender, "rank", broken)
    answer = engine.recommend("logo-u5", 3, "job_feed", request_id="r")
    assert len(answer.items) == 3
    assert answer.fallback == "ranker failed: retrieval order"
    assert [item.score for item in answer.items] == [0, -1, -2]
    assert count(engine, 'rankloop_fallbacks_total{reason="ranker failed: retrieval order"}') == 1
    given = engine.rank("logo-u5", ["piano-i1", "logo-i1"], explain=True, request_id="r")
    assert [item.item_id for item in given.items] == ["piano-i1", "logo-i1"]
    assert given.fallback == "ranker failed: given order"
    assert given.explanations is None


def test_an_explanation_names_every_feature_of_the_ranker(engine: Engine, bundle: Bundle) -> None:
    answer = engine.rank("logo-u5", ["logo-i1", "piano-i1"], explain=True, request_id="r")
    assert answer.explanations is not None
    for why in answer.explanations:
        assert {row.feature for row in why.contributions} == set(bundle.parts.ranker.names)


def test_an_undefined_feature_is_null_and_not_zero(engine: Engine) -> None:
    answer = engine.rank("nobody", ["logo-i1"], explain=True, request_id="r")
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
    assert 1 <= len(engine.recommend("logo-u5", 200, "job_feed", request_id="r").items) < 200


def test_the_self_test_says_what_was_opened(engine: Engine, bundle: Bundle) -> None:
    ready = engine.self_test()
    assert (ready.release_id, ready.items, ready.users) == (bundle.manifest.release_id, len(bundle.catalogue), 60)


def test_scores_are_finite(engine: Engine) -> None:
    items = engine.recommend("logo-u5", 45, "job_feed", request_id="r").items
    assert np.isfinite([item.score for item in items]).all()


def test_the_moment_in_an_answer_is_utc(engine: Engine) -> None:
    as_of = datetime.fromisoformat(engine.recommend("logo-u5", 3, "job_feed", request_id="r").as_of)
    assert as_of.utcoffset() == timedelta(0) == UTC.utcoffset(None)

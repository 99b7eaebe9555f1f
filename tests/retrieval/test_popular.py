"""Popular: the contract, and the arithmetic of decay."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError
from rankloop.request import Request
from rankloop.retrieval import Popular
from rankloop.splits import before
from rankloop.testing import RetrieverContract, known_request, known_world
from rankloop.vocabulary import Vocabulary

RNG = np.random.default_rng(0)


class TestPopular(RetrieverContract):
    personal = False
    answers_strangers = True

    def make(self):
        return Popular()


def _log(*rows: tuple[str, str, float], shown: tuple[str, ...] = ()) -> Tables:
    """Outcomes (item, kind, days before the end) and items that were only shown, at the end."""
    world = known_world(days=1)
    end = world.impressions[Columns.TS].max()
    first = world.outcomes.head(1)
    outcomes = [
        first.with_columns(
            pl.lit(end - timedelta(days=age)).cast(pl.Datetime("us", "UTC")).alias(Columns.TS),
            pl.lit(item).alias(Columns.ITEM_ID),
            pl.lit(kind).alias(Columns.KIND),
        )
        for item, kind, age in rows
    ]
    last = world.impressions.filter(pl.col(Columns.TS) == end).head(1)
    impressions = pl.concat([last.with_columns(pl.lit(item).alias(Columns.ITEM_ID)) for item in ("elsewhere", *shown)])
    return Tables(world.items, world.users, impressions, pl.concat(outcomes))


def _scores(tables: Tables, **settings: object) -> np.ndarray:
    popular = Popular(**settings).fit(tables, Vocabulary(["a", "b", "c"]), rng=RNG)
    return popular.score(known_request(tables, "logo-u0"))


def test_an_outcome_counts_half_after_each_half_life():
    scores = _scores(_log(("a", "click", 0), ("b", "click", 10), ("c", "click", 20)), half_life_days=10)
    assert scores.tolist() == [1, 1 / 2, 1 / 4]


def test_outcomes_add_up_by_the_weight_of_their_kind():
    log = _log(("a", "click", 0), ("a", "hire", 0), ("b", "save", 0), ("c", "dismiss", 0))
    assert _scores(log)[:2].tolist() == [1 + 5, 2]
    assert _scores(log, weights={"save": 7.0})[1] == 7


def test_shown_without_an_outcome_is_0_and_never_shown_is_nan():
    scores = _scores(_log(("a", "click", 0), shown=("b",)))
    assert scores[1] == 0
    assert np.isnan(scores[2])


def test_a_surface_has_its_own_order_and_one_without_outcomes_that_of_all():
    world = known_world()
    catalogue = Vocabulary(world.items[Columns.ITEM_ID])
    popular = Popular(by_surface=True).fit(world, catalogue, rng=RNG)
    by_surface = {s: popular.score(Request("x", s, None)) for s in ("job_feed", "job_search", "talent_search")}
    assert by_surface["job_feed"] + by_surface["job_search"] == pytest.approx(by_surface["talent_search"], rel=1e-5)
    assert not np.array_equal(by_surface["job_feed"], by_surface["job_search"])


def test_an_empty_log_has_nothing_to_say():
    popular = Popular().fit(Tables.empty(), Vocabulary(["a"]), rng=RNG)
    assert np.isnan(popular.score(Request("x", "job_feed", None))).all()


@pytest.mark.parametrize("wrong", [{"half_life_days": 0}, {"weights": {"click": -1}}, {"weights": {"stare": 1}}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ModelError):
        Popular(**wrong)


def test_after_following_the_count_is_that_of_the_last_midnight_before_the_request():
    tables = _log(("a", "click", 3.0), ("a", "click", 0.0), ("b", "click", 2.0))
    catalogue, end = Vocabulary(["a", "b", "c"]), tables.impressions[Columns.TS].max()
    popular = Popular(half_life_days=1).fit(before(tables, end - timedelta(days=2.5)), catalogue, rng=RNG)
    followed = popular.follow(tables, catalogue)
    midnight = (end - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [(midnight - (end - timedelta(days=age))) / timedelta(days=1) for age in (3.0, 2.0)]
    scores = followed.score(Request("ann", "job_feed", midnight + timedelta(hours=1)))
    assert scores[:2] == pytest.approx([2.0**-age for age in days])
    assert np.isnan(scores[2])

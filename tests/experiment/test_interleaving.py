"""Team drafts are fair by construction, credit goes where it was earned, and a better ranking is found out."""

import itertools
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.experiment import Credits, credit, draft_seed, experiment_seed, preference, team_draft

RANKING = st.lists(st.sampled_from("abcdefghij"), max_size=8, unique=True)
FULL = st.permutations(list("abcdefghij"))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Coins(np.random.Generator):
    """A generator that tosses what it is told."""

    def __init__(self, tossed) -> None:
        super().__init__(np.random.PCG64(0))
        self.tossed = np.array(tossed)

    def integers(self, low, high, size):
        assert (low, high) == (0, 2)
        return self.tossed[:size]


def every_draft(a, b, k: int):
    """The list of each way the coins can fall; all are equally likely."""
    return [team_draft(a, b, k, Coins(tossed)) for tossed in itertools.product((0, 1), repeat=(k + 1) // 2)]


@given(RANKING, RANKING, st.integers(1, 12), st.integers(0, 1000))
def test_a_list_has_each_item_once_and_as_many_as_there_are(a: list[str], b: list[str], k: int, seed: int) -> None:
    items, teams = team_draft(a, b, k, seed)
    assert len(items) == len(teams) == min(k, len({*a, *b}))
    assert len(set(items)) == len(items)
    assert set(items) <= {*a, *b}


@given(RANKING, RANKING, st.integers(1, 12), st.integers(0, 1000))
def test_a_team_places_its_own_items_in_its_own_order(a: list[str], b: list[str], k: int, seed: int) -> None:
    items, teams = team_draft(a, b, k, seed)
    for name, ranking in (("a", a), ("b", b)):
        own = [item for item, team in zip(items, teams, strict=True) if team == name]
        assert own == [item for item in ranking if item in own]


@given(RANKING, RANKING, st.integers(1, 12), st.integers(0, 1000))
def test_teams_are_of_equal_size_but_for_the_last_place_of_an_odd_list(a: list[str], b: list[str], k: int, seed: int) -> None:
    _, teams = team_draft(a, b, k, seed)
    assert abs(teams.count("a") - teams.count("b")) <= k % 2
    assert None not in teams or teams.index(None) % 2 == 0
    assert set(teams[teams.index(None) :]) == {None} if None in teams else True


@given(FULL, FULL, st.integers(1, 7))
def test_each_place_is_either_teams_half_of_the_time(a: list[str], b: list[str], k: int) -> None:
    drafts = every_draft(a, b, k)
    for place in range(k):
        assert 2 * sum(draft.teams[place] == "a" for draft in drafts) == len(drafts)


@given(FULL, FULL, st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_clicks_that_only_know_places_give_both_teams_the_same(a: list[str], b: list[str], clicks: list[float]) -> None:
    earned = {"a": 0.0, "b": 0.0}
    for draft in every_draft(a, b, 6):
        for team, rate in zip(draft.teams, clicks, strict=True):
            earned[team] += rate
    assert earned["a"] == pytest.approx(earned["b"])


@given(FULL, st.integers(1, 7))
def test_equal_rankings_give_that_ranking(a: list[str], k: int) -> None:
    assert all(draft.items == tuple(a[:k]) for draft in every_draft(a, a, k))


def test_places_behind_the_end_of_a_ranking_count_for_neither() -> None:
    for draft in every_draft(["x"], ["y", "z", "w"], 4):
        assert set(draft.items[:2]) == {"x", "y"}
        assert draft.items[2:] == ("z", "w")
        assert draft.teams[2:] == (None, None)
    assert team_draft([], ["y", "z"], 5, 0) == (("y", "z"), (None, None))


def test_the_same_request_is_drafted_the_same_and_requests_differ() -> None:
    a, b, seed = list("abcdefgh"), list("hgfedcba"), experiment_seed("r1", "r2")
    drafts = [team_draft(a, b, 8, draft_seed(f"q{n}", seed)) for n in range(40)]
    assert drafts == [team_draft(a, b, 8, draft_seed(f"q{n}", seed)) for n in range(40)]
    assert len(set(drafts)) > 10
    first = sum(draft.teams[0] == "a" for draft in drafts)
    assert 10 <= first <= 30


def test_a_list_without_places_is_refused() -> None:
    with pytest.raises(DataError, match="k is 0"):
        team_draft(["a"], ["b"], 0, 1)


def shown(rows: list[tuple[str, str | None, str, str | None]]) -> pl.DataFrame:
    """Impressions from (request, user, item, release)."""
    return pl.DataFrame(rows, schema=["request_id", "user_id", "item_id", "release_id"], orient="row")


def done(rows: list[tuple[str | None, str, str]]) -> pl.DataFrame:
    """Outcomes from (request, item, kind)."""
    frame = pl.DataFrame(rows, schema={"request_id": pl.String, "item_id": pl.String, "kind": pl.String}, orient="row")
    return frame.with_columns(ts=pl.lit(NOW), user_id=pl.lit("someone"))


def test_credit_goes_to_the_team_that_placed_the_item() -> None:
    mixed = [("q1", "ann", "x", "r1"), ("q1", "ann", "y", "r2"), ("q1", "ann", "z", None), ("q1", "ann", "w", "r1")]
    other_team_first = [("q2", "bo", "x", "r2"), ("q2", "bo", "y", "r1")]
    one_release = [("q3", "cy", "x", "r1"), ("q3", "cy", "y", "r1")]
    impressions = shown([*mixed, *other_team_first, *one_release])
    twice = [("q1", "x", "click"), ("q1", "x", "click"), ("q1", "w", "click")]
    of_nobody = [("q1", "z", "click"), (None, "x", "click"), ("q3", "x", "click"), ("q9", "x", "click")]
    clicked = done([*twice, *of_nobody, ("q1", "y", "save"), ("q2", "x", "click")])
    found = credit(impressions, clicked, a="r1", b="r2")
    assert found.requests.rows() == [("q1", "ann", 2, 0), ("q2", "bo", 0, 1)]
    saved = credit(impressions, clicked, a="r1", b="r2", kinds=("click", "save"))
    assert saved.requests.rows() == [("q1", "ann", 2, 1), ("q2", "bo", 0, 1)]


def test_two_releases_of_the_same_name_have_no_credit_to_share() -> None:
    with pytest.raises(DataError, match="both releases are 'r1'"):
        credit(shown([]), done([]), a="r1", b="r1")


def credits_of(rows: list[tuple[str, str | None, int, int]]) -> Credits:
    schema = {"request_id": pl.String, "user_id": pl.String, "credit_a": pl.UInt32, "credit_b": pl.UInt32}
    return Credits(pl.DataFrame(rows, schema=schema, orient="row"), "r1", "r2")


def test_people_are_counted_not_requests() -> None:
    many = [(f"q{n}", "ann", 1, 0) for n in range(50)]
    found = preference(credits_of([*many, ("p1", "bo", 0, 1), ("p2", "bo", 1, 0), ("p3", "cy", 0, 0)]), rng=1)
    assert (found.wins, found.losses, found.ties, found.silent) == (1, 0, 1, 1)
    assert found.delta == pytest.approx((1 + 1 / 2) / 2 - 1 / 2)
    assert found.outcome == "not enough evidence"


def test_a_request_without_a_person_is_a_person_of_its_own() -> None:
    assert preference(credits_of([("q1", None, 1, 0), ("q2", "", 1, 0)]), rng=1).wins == 2


@pytest.mark.parametrize(
    ("wins", "losses", "outcome", "p_value"),
    [(6, 0, "a", 2 / 2**6), (0, 6, "b", 2 / 2**6), (5, 0, "not enough evidence", 2 / 2**5), (3, 3, "not enough evidence", 1)],
)
def test_the_sign_test_decides(wins: int, losses: int, outcome: str, p_value: float) -> None:
    rows = [(f"w{n}", f"w{n}", 1, 0) for n in range(wins)] + [(f"l{n}", f"l{n}", 0, 1) for n in range(losses)]
    found = preference(credits_of(rows), rng=1)
    assert found.outcome == outcome
    assert found.p_value == pytest.approx(p_value)


def test_without_credit_nothing_is_said() -> None:
    found = preference(credits_of([("q1", "ann", 0, 0)]), rng=1)
    assert (found.outcome, found.p_value, found.silent) == ("not enough evidence", 1.0, 1)
    assert np.isnan([found.delta, found.lower, found.upper]).all()


def played(better: float, people: int, seed: int) -> Credits:
    """People who click what is relevant; ranking `a` has relevant items above others with a chance of `better`, `b` of 1/2."""
    rng = np.random.default_rng(seed)
    impressions, clicks = [], []
    items = [f"i{n}" for n in range(12)]
    relevant = rng.random(12) < 0.3
    for n in range(people):
        a, b = (
            [items[at] for at in np.argsort(-(relevant * sharp + rng.normal(0, 1, 12)), kind="stable")] for sharp in (better, 0.5)
        )
        request = f"q{n}"
        draft = team_draft(a, b, 6, draft_seed(request, seed))
        for place, (item, team) in enumerate(zip(*draft, strict=True)):
            impressions.append((request, f"u{n // 2}", item, {"a": "r1", "b": "r2", None: None}[team]))
            if rng.random() < (0.6 if relevant[items.index(item)] else 0.05) / (1 + place):
                clicks.append((request, item, "click"))
    return credit(shown(impressions), done(clicks), a="r1", b="r2")


def test_a_ranking_that_is_truly_better_is_found_out() -> None:
    found = preference(played(2.0, 1200, 3), rng=1)
    assert found.outcome == "a"
    assert 0 < found.lower < found.delta < found.upper


def test_equal_rankings_are_called_different_no_more_often_than_stated() -> None:
    said = [preference(played(0.5, 200, seed), rng=1).outcome for seed in range(60)]
    assert sum(one != "not enough evidence" for one in said) <= 7  # P(more than 7 of 60 at 5 %) < 0.01

"""What an interleaving experiment says at its end."""

import polars as pl
import pytest
from scipy.stats import binomtest

from rankloop.errors import DataError
from rankloop.experiment import read_out


def lists(people: int) -> pl.DataFrame:
    """Each person gets one list with a place of either team."""
    rows = [(f"q{n}", f"u{n}", item, team) for n in range(people) for item, team in (("x", "new"), ("y", "old"))]
    return pl.DataFrame(rows, schema=dict.fromkeys(("request_id", "user_id", "item_id", "release_id"), pl.String), orient="row")


def acts(new: int, old: int, kind: str = "click") -> pl.DataFrame:
    """The first people act on the tried team's item, the next ones on the other's."""
    rows = [(f"q{n}", "x" if n < new else "y", kind) for n in range(new + old)]
    return pl.DataFrame(rows, schema={"request_id": pl.String, "item_id": pl.String, "kind": pl.String}, orient="row")


def read(shown: pl.DataFrame, done: pl.DataFrame, **given):
    return read_out(shown, done, tried="new", against="old", **given)


def test_people_who_click_one_release_more_prefer_it() -> None:
    found = read(lists(100), acts(40, 10), kinds=("click",))
    (liking,) = found.likings
    assert (found.requests, found.people) == (100, 100)
    assert (liking.wins, liking.losses, liking.ties, liking.silent) == (40, 10, 0, 50)
    assert liking.delta == pytest.approx(40 / 50 - 1 / 2)
    assert liking.p_value == pytest.approx(binomtest(40, 50).pvalue)
    assert liking.outcome == "tried"


def test_the_other_release_may_be_preferred_too() -> None:
    found = read(lists(100), acts(10, 40), kinds=("click",))
    assert found.likings[0].outcome == "against"
    assert found.says.startswith("people prefer old to new by click: 10 to 40")


def test_several_kinds_share_the_chance_of_a_false_alarm() -> None:
    shown, done = lists(100), acts(22, 9)
    assert 0.05 / 2 < binomtest(22, 31).pvalue < 0.05
    assert read(shown, done, kinds=("click",)).likings[0].outcome == "tried"
    assert read(shown, done, kinds=("click", "apply")).likings[0].outcome == "not enough evidence"


def test_an_experiment_that_was_cut_short_decides_nothing_and_says_so() -> None:
    found = read(lists(100), acts(40, 10), kinds=("click",), planned=False)
    assert found.likings[0].outcome == "not enough evidence"
    assert "before its time" in found.says
    assert found.likings[0].wins == 40


def test_without_any_list_there_is_no_evidence_and_no_number() -> None:
    found = read(lists(0), acts(0, 0))
    assert (found.requests, found.people) == (0, 0)
    assert [(own.kind, own.delta, own.p_value) for own in found.likings] == [("click", None, 1.0), ("apply", None, 1.0)]
    assert found.says.startswith("not enough evidence")


@pytest.mark.parametrize(("given", "rule"), [({"kinds": ()}, "each kind"), ({"level": 1.0}, "coverage")])
def test_a_design_that_cannot_work_is_refused(given: dict, rule: str) -> None:
    with pytest.raises(DataError, match=rule):
        read(lists(1), acts(1, 0), **given)

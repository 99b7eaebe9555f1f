"""What goes wrong from a date on touches nothing before it."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rankloop.contracts import Columns, Tables
from rankloop.errors import DataError
from rankloop.simulation import CategoryVanishes, Fault, GoesNull, Marketplace, Scale, TastesShift, TextsGarbled, UnitChange

SCALE = Scale.tiny()
DAY = 8
DATE = SCALE.start + timedelta(days=DAY)
TIMES = {"items": Columns.CREATED_AT, "users": Columns.CREATED_AT, "impressions": Columns.TS, "outcomes": Columns.TS}
ALL: list[Fault] = [
    UnitChange(DAY),
    GoesNull(DAY),
    GoesNull(DAY, column=Columns.COUNTRY, table="users"),
    GoesNull(DAY, column=Columns.QUERY, table="impressions"),
    CategoryVanishes(DAY, "Web development"),
    TastesShift(DAY),
    TextsGarbled(DAY),
    TextsGarbled(DAY, columns=(Columns.QUERY,), table="impressions"),
]


@pytest.fixture(scope="module")
def clean() -> Tables:
    return Marketplace(SCALE, rng=5).history()


def faulty(*faults: Fault) -> Tables:
    return Marketplace(SCALE, rng=5, faults=faults).history()


def before(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """The rows before the date, as they were known at it."""
    known = frame.filter(pl.col(TIMES[table]) < DATE)
    if table != "items":
        return known
    return known.with_columns(pl.when(pl.col(Columns.CLOSED_AT) < DATE).then(pl.col(Columns.CLOSED_AT)).alias(Columns.CLOSED_AT))


@pytest.mark.parametrize("fault", ALL, ids=repr)
def test_a_fault_changes_nothing_before_its_date(clean: Tables, fault: Fault) -> None:
    broken = faulty(fault)
    for name, frame in clean:
        assert_frame_equal(before(getattr(broken, name), name), before(frame, name))


@pytest.mark.parametrize("fault", ALL, ids=repr)
def test_a_fault_changes_something_after_its_date(clean: Tables, fault: Fault) -> None:
    broken = faulty(fault)
    assert any(not frame.equals(getattr(broken, name)) for name, frame in clean)


def test_a_budget_in_cents_is_a_hundred_times_the_dollars(clean: Tables) -> None:
    broken = faulty(UnitChange(DAY)).items
    late = clean.items[Columns.CREATED_AT] >= DATE
    factor = broken[Columns.BUDGET] / clean.items[Columns.BUDGET]
    assert (factor == pl.Series(np.where(late, 100.0, 1.0))).all()


@pytest.mark.parametrize("fault", [UnitChange(DAY), GoesNull(DAY), TextsGarbled(DAY)], ids=repr)
def test_people_do_not_notice_a_fault_of_recording(clean: Tables, fault: Fault) -> None:
    broken = faulty(fault)
    assert_frame_equal(broken.impressions, clean.impressions)
    assert_frame_equal(broken.outcomes, clean.outcomes)


def test_a_column_that_goes_null_is_null_from_the_date_on(clean: Tables) -> None:
    broken = faulty(GoesNull(DAY)).items
    assert (broken[Columns.SKILLS].is_null() == (clean.items[Columns.CREATED_AT] >= DATE)).all()


def test_a_garbled_text_has_no_word_of_the_true_one_and_its_bytes_are_still_there(clean: Tables) -> None:
    late = pl.col(Columns.CREATED_AT) >= DATE
    for wrong, right in zip(
        faulty(TextsGarbled(DAY)).items.filter(late)[Columns.TITLE], clean.items.filter(late)[Columns.TITLE], strict=True
    ):
        assert not set(wrong.split()) & set(right.split())
        assert wrong.removesuffix("\ufffd").encode("utf-16-le").decode() == right[: len(right) // 2 * 2]


def test_a_category_that_vanishes_is_not_posted_again(clean: Tables) -> None:
    def posted(tables: Tables) -> int:
        return tables.items.filter(pl.col(Columns.CREATED_AT) >= DATE, pl.col(Columns.CATEGORY) == "Web development").height

    assert posted(clean) > 0
    assert posted(faulty(CategoryVanishes(DAY, "Web development"))) == 0


def test_tastes_shift_for_everybody_and_only_from_the_date_on() -> None:
    market = Marketplace(SCALE, rng=5, faults=[TastesShift(DAY, share=1.0)])
    tastes = market.truth.world.tastes
    moments = np.array([DATE.timestamp() * 1e6 - 1, DATE.timestamp() * 1e6], np.int64)
    assert tastes.era(moments).tolist() == [0, 1]
    assert sorted(tastes.latent[1].tolist()) == sorted(tastes.latent[0].tolist()), "a full shift is an exchange"


def test_faults_can_be_switched_on_together() -> None:
    broken = faulty(*ALL)
    assert broken.items[Columns.SKILLS].null_count() > 0
    assert broken.items.filter(pl.col(Columns.CREATED_AT) >= DATE, pl.col(Columns.CATEGORY) == "Web development").is_empty()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (UnitChange(99), "from_day must be one of the 14 days"),
        (GoesNull(-1), "from_day must be one of the 14 days"),
        (GoesNull(1, column="colour"), "no column 'colour'"),
        (GoesNull(1, column=Columns.TITLE), "the contract requires 'title'"),
        (UnitChange(1, column=Columns.TITLE), "not a measured number"),
        (UnitChange(1, table="cars"), "in a table 'cars'"),
        (CategoryVanishes(1, "Alchemy"), "there is no such category"),
        (TextsGarbled(1, columns=(Columns.ITEM_ID,)), "is no text"),
        (TextsGarbled(1, columns=(Columns.QUERY,)), "is no text of a table 'items'"),
        (TextsGarbled(1, columns=()), "nothing is no text"),
        (TastesShift(1, share=0), "share must be above 0"),
    ],
    ids=repr,
)
def test_a_fault_that_could_not_show_is_refused(fault: Fault, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Marketplace(SCALE, rng=1, faults=[fault])

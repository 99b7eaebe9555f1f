import numpy as np
import polars as pl
import pytest

from rankloop.drift import Column, ColumnDrift, DriftPolicy, Profile, compare, profile
from rankloop.drift.quality import unit_factor

ROWS = 5_000
COLUMNS = [
    Column("budget", "numeric", "items"),
    Column("rating", "numeric", "items"),
    Column("category", "category", "items"),
    Column("country", "category", "users"),
]


def rows(seed: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "budget": pl.Series(draw.lognormal(3, 1, ROWS)).scatter(np.flatnonzero(draw.uniform(size=ROWS) < 0.1), None),
            "rating": draw.integers(1, 6, ROWS).astype(float),
            "category": draw.choice(["paint", "java", "law", "care"], ROWS, p=[0.5, 0.3, 0.15, 0.05]),
            "country": draw.choice(["de", "at"], ROWS),
        }
    )


@pytest.fixture(scope="module")
def reference() -> Profile:
    return profile(rows(0), COLUMNS)


def judged(reference: Profile, frame: pl.DataFrame) -> dict[str, ColumnDrift]:
    found = compare(reference, profile(frame, bins=reference.bins), DriftPolicy())
    return {column.name: column for column in found.columns}


@pytest.mark.parametrize("factor", [100, 1000, 0.01, 1 / 60, 2.54])
def test_the_factor_of_a_unit_is_found(reference: Profile, factor: float) -> None:
    column = judged(reference, rows(1).with_columns(pl.col("budget") * factor))["budget"]
    assert column.change == "unit"
    assert column.factor == pytest.approx(factor, rel=0.1)
    assert "every quantile is" in column.says


@pytest.mark.parametrize(
    "made",
    [
        pl.col("budget") * 1.5,  # prices rose: no unit has this factor
        pl.col("budget") + 20,
        pl.col("budget") ** 1.5,
        pl.when(pl.col("budget") > 20).then(pl.col("budget") * 3).otherwise("budget"),
    ],
)
def test_what_is_not_one_large_factor_is_taste(reference: Profile, made: pl.Expr) -> None:
    column = judged(reference, rows(1).with_columns(budget=made))["budget"]
    assert (column.verdict, column.change, column.factor) == ("drifted", "taste", None)


def test_zeros_stay_zeros_in_every_unit() -> None:
    before = np.array([0.0, 0.0, 1.0, 2.0, 3.0, 5.0, 9.0])
    assert unit_factor(before, before * 60, 1.8) == pytest.approx(60)
    assert unit_factor(before, np.zeros(7), 1.8) is None
    assert unit_factor(before, -before * 60, 1.8) is None
    assert unit_factor(np.array([0.0, 1.0]), np.array([0.0, 100.0]), 1.8) is None


@pytest.mark.parametrize(("share", "found"), [(0.5, True), (0.2, True), (0.11, False)])
def test_missing_values_count_from_the_policys_share_on(reference: Profile, share: float, found: bool) -> None:
    lost = pl.when(pl.int_range(pl.len()) < ROWS * share).then(None).otherwise(rows(1)["budget"].fill_null(5.0))
    column = judged(reference, rows(1).with_columns(budget=lost))["budget"]
    assert (column.change == "nulls") is found
    assert column.null_share == (pytest.approx(0.1, abs=0.02), pytest.approx(share))


def test_nan_is_a_missing_value_and_is_named() -> None:
    reference = profile(rows(0), COLUMNS)
    column = judged(reference, rows(1).with_columns(rating=pl.lit(float("nan"))))["rating"]
    assert column.change == "nulls"
    assert "100.0% of the rows NaN" in column.says


def test_values_that_are_suddenly_there_are_a_fault_as_well(reference: Profile) -> None:
    column = judged(reference, rows(1).with_columns(pl.col("budget").fill_null(0.0)))["budget"]
    assert column.change == "nulls"
    assert column.null_share[1] == 0.0


def test_a_new_category_is_named_with_its_share(reference: Profile) -> None:
    made = pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("drones")).otherwise("category")
    column = judged(reference, rows(1).with_columns(category=made))["category"]
    assert (column.verdict, column.change) == ("broken", "new categories")
    assert column.says == "category: 'drones', 10.0% of the rows, are new."


def test_a_category_that_is_gone_is_named_with_what_it_had(reference: Profile) -> None:
    column = judged(reference, rows(1).filter(pl.col("category") != "law"))["category"]
    assert column.change == "vanished categories"
    assert "'law'" in column.says
    assert "gone" in column.says


def test_a_table_all_of_whose_columns_fell_silent_is_dead(reference: Profile) -> None:
    dead = {"budget": pl.lit(0.0), "rating": pl.lit(None, pl.Float64), "category": pl.lit(None, pl.String)}
    found = judged(reference, rows(1).with_columns(**dead))
    assert {name: column.change for name, column in found.items()} == {
        "budget": "dead table",
        "rating": "dead table",
        "category": "dead table",
        "country": "",
    }
    assert "every column of items" in found["rating"].says


def test_columns_that_are_not_in_the_rows_are_a_dead_table(reference: Profile) -> None:
    found = judged(reference, rows(1).select("country"))
    assert found["budget"].change == "dead table"
    assert "not in the window's rows" in found["budget"].says
    assert found["budget"].null_share[1] == 1.0


def test_one_silent_column_is_no_dead_table(reference: Profile) -> None:
    assert judged(reference, rows(1).drop("budget"))["budget"].change == "nulls"


def test_what_the_reference_never_had_is_not_judged() -> None:
    reference = profile(rows(0).with_columns(budget=pl.lit(None, pl.Float64)), COLUMNS)
    assert judged(reference, rows(1))["budget"].verdict == "not enough rows"


def test_a_part_of_the_rows_in_another_unit_is_drift(reference: Profile) -> None:
    made = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.col("budget") * 100).otherwise("budget")
    assert judged(reference, rows(1).with_columns(budget=made))["budget"].verdict == "drifted"

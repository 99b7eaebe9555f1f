"""Slices: counted as all rows are, and named only where it is surely worse there."""

import numpy as np
import polars as pl
import pytest

from rankloop.drift import Column, DriftPolicy, profile
from rankloop.drift.bins import Bins
from rankloop.drift.compare import compare
from rankloop.drift.slices import count_slices, drifted_slices
from rankloop.drift.where import size, worst_slice
from rankloop.testing import known_world
from rankloop.watch.slicing import labels_of

WORDS = np.array(["logo", "poster", "books", "audit", "piano", "lesson", "kernel", "driver"])
COLUMNS = [
    Column("pay", "numeric", "items"),
    Column("kind", "category", "items"),
    Column("skills", "list", "items"),
    Column("title", "text", "items"),
    Column("meaning", "embedding", "items"),
]


def rows(seed: int, count: int = 6_000) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "pay": np.where(draw.random(count) < 0.1, np.nan, draw.lognormal(3, 1, count)),
            "kind": draw.choice(["a", "b", ""], count),
            "skills": [draw.choice(WORDS, 3, replace=False).tolist() for _ in range(count)],
            "title": [" ".join(draw.choice(WORDS, 5)) for _ in range(count)],
            "meaning": draw.normal(size=(count, 6)).tolist(),
            "country": draw.choice(["IN", "DE", "US"], count, p=[0.5, 0.3, 0.2]),
            "user_id": draw.integers(0, 500, count).astype(str),
        },
        schema_overrides={"meaning": pl.List(pl.Float32)},
    )


REFERENCE = rows(0)
BINS: Bins = profile(REFERENCE, COLUMNS).bins
PROFILE = profile(REFERENCE, bins=BINS)
BEFORE = count_slices(REFERENCE, REFERENCE.select("country"), BINS)


def worst(window: pl.DataFrame, *names: str) -> str:
    """The slice that is named for a window, as the watch does it."""
    now = count_slices(window, window.select("country"), BINS, names=list(BEFORE))
    slices = drifted_slices(BEFORE, now, BINS, DriftPolicy())
    return worst_slice(slices, names, compare(PROFILE, profile(window, bins=BINS), DriftPolicy()).columns)


def test_slices_are_counted_as_all_rows_are() -> None:
    labels = pl.DataFrame({"all": ["rows"] * REFERENCE.height})
    (own,) = count_slices(REFERENCE, labels, BINS).values()
    assert own.parts == tuple(part for column in PROFILE.columns for part in column.parts)
    assert own.filled == tuple(column.filled - column.odd for column in PROFILE.columns)
    assert (own.rows, own.worth) == (PROFILE.rows, PROFILE.worth)


def test_people_are_counted_in_slices_too() -> None:
    (own,) = count_slices(REFERENCE, pl.DataFrame({"all": ["rows"] * REFERENCE.height}), BINS, unit="user_id").values()
    assert own.worth == pytest.approx(profile(REFERENCE, bins=BINS, unit="user_id").worth)


def test_every_row_of_a_dimension_is_in_one_slice_the_commonest_first() -> None:
    assert list(BEFORE) == ["country=IN", "country=DE", "country=US"]
    assert sum(own.rows for own in BEFORE.values()) == REFERENCE.height


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pay", pl.col("pay") * 100),
        ("pay", pl.lit(None)),
        ("kind", pl.lit("c")),
        ("skills", pl.lit(["rust"])),
        ("title", pl.lit("ganz andere worte")),
        ("meaning", pl.col("meaning").list.eval(pl.element() * 4)),
    ],
    ids=["unit", "nulls", "category", "list", "text", "embedding"],
)
@pytest.mark.parametrize("country", ["IN", "US"])
def test_what_is_wrong_in_one_slice_is_named_with_it(name: str, change: pl.Expr, country: str) -> None:
    hurt = pl.when(pl.col("country") == country).then(change).otherwise(pl.col(name)).alias(name)
    assert worst(rows(1).with_columns(hurt), f"items.{name}") == f"country={country}"


@pytest.mark.parametrize("seed", range(1, 9))
def test_what_is_as_wrong_everywhere_is_named_with_no_slice(seed: int) -> None:
    window = rows(seed, 1_500).with_columns(pl.col("pay") * 1.3, pl.when(pl.int_range(pl.len()) % 3 > 0).then("skills"))
    assert worst(window, "items.pay") == "all"
    assert worst(window, "items.skills") == "all"


def test_a_slice_of_few_rows_is_not_judged_and_a_stable_one_has_next_to_no_drift() -> None:
    window = rows(1, 300)
    now = count_slices(window, window.select("country"), BINS, names=list(BEFORE))
    slices = drifted_slices(BEFORE, now, BINS, DriftPolicy())
    assert {own.verdict for own in slices["country=US"]} == {"not enough rows"}  # about 60, and 100 are needed
    assert max(map(size, slices["country=IN"])) < DriftPolicy().js / 2


def test_a_slice_is_held_against_all_rows_by_the_columns_that_it_has() -> None:
    hurt = rows(1).with_columns(pl.col("pay") * 100)
    now = count_slices(hurt, hurt.select("country"), BINS, names=list(BEFORE))
    slices = drifted_slices(BEFORE, now, BINS, DriftPolicy())
    whole = compare(PROFILE, profile(hurt, bins=BINS), DriftPolicy()).columns
    assert worst_slice(slices, ["items.pay", "items.kind"], whole) == "all"


def test_rows_are_labelled_by_who_asks_and_by_what_is_shown() -> None:
    world = known_world(days=9)
    labels = labels_of(world.outcomes, world)
    expected = world.outcomes.join(world.items, on="item_id", how="left", maintain_order="left")["category"]
    assert labels["category"].to_list() == expected.to_list()
    assert set(labels["people"].drop_nulls()) <= {"new"}
    assert labels_of(world.items.select("title"), world).width == 0

"""Features shown are features logged, and can be rebuilt from the events."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import UTC as UTC_TIMES
from rankloop.contracts import Tables
from rankloop.errors import DataError
from rankloop.features import Assembler, FeatureStore, compute, load_views, logged, parity
from rankloop.request import Request
from rankloop.vocabulary import Vocabulary

VIEWS = load_views()
SERVED_AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def released(tables: Tables) -> Assembler:
    """What a release would serve with, from raw events."""
    store = FeatureStore(VIEWS, compute(VIEWS, tables)).latest()
    return Assembler(store, tables.items, tables.users, Vocabulary(tables.items["item_id"].sort()), [])


def served(assembler: Assembler) -> pl.DataFrame:
    """The log of a service: three lists of four items, with the features they were ordered by."""
    rows = []
    for r, query in enumerate([None, "logo", "3d engine"]):
        request = Request(f"u{r}", "job_search", SERVED_AT + timedelta(minutes=r), query)
        items = np.arange(4) + r
        matrix = assembler.assemble([request], [items])
        asked = {"request_id": f"s{r}", "ts": request.ts, "surface": request.surface, "user_id": request.user_id, "query": query}
        for place, item in enumerate(items):
            rows.append(
                {**asked, "item_id": assembler.catalogue.terms[item], "position": place + 1, "features": matrix[place].tolist()}
            )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.with_columns(pl.col("ts").cast(UTC_TIMES), pl.col("features").cast(pl.List(pl.Float32)))


def test_logged_features_are_rebuilt_to_the_bit(random_tables: Callable[..., Tables]) -> None:
    tables = random_tables(4)
    log = served(released(tables))
    report = parity(log[::-1], released(tables))
    assert report["differ"].sum() == 0
    assert report["largest"].max() == 0
    assert report["rows"].unique().to_list() == [12]
    assert sorted(report["feature"]) == sorted(released(tables).names)


def test_a_feature_that_cannot_be_rebuilt_is_named_with_a_row(random_tables: Callable[..., Tables]) -> None:
    tables = random_tables(4)
    log = served(released(tables))
    doubled = replace(tables, items=tables.items.with_columns(pl.col("budget") * 2))
    report = parity(log, released(doubled))
    wrong = report.filter(pl.col("differ") > 0)
    assert {"item_budget", "item_daily_pay", "category_budget"} <= set(wrong["feature"])
    assert "item_age_days" not in set(wrong["feature"])
    row = wrong.filter(pl.col("feature") == "item_budget").row(0, named=True)
    assert row["rebuilt"] == 2 * row["logged"]
    assert (row["request_id"], row["item_id"]) in log.select("request_id", "item_id").rows()


def test_a_value_that_was_undefined_differs_from_a_number(random_tables: Callable[..., Tables]) -> None:
    assembler = released(random_tables(4))
    log = served(assembler)
    at = assembler.names.index("item_title_length")
    blank = [[None if i == at else value for i, value in enumerate(row)] for row in log["features"].to_list()]
    report = parity(log.with_columns(features=pl.Series(blank, dtype=pl.List(pl.Float32))), assembler)
    assert report.row(0, named=True)["feature"] == "item_title_length"
    assert report.row(0, named=True)["differ"] == 12
    assert report["differ"].sum() == 12


def test_rows_without_logged_features_are_left_out(random_tables: Callable[..., Tables]) -> None:
    tables = random_tables(4)
    report = parity(tables.impressions, released(tables))
    assert report["rows"].unique().to_list() == [0]
    assert report["differ"].sum() == 0


def test_features_of_another_release_are_refused(random_tables: Callable[..., Tables]) -> None:
    assembler = released(random_tables(4))
    log = served(assembler).with_columns(pl.col("features").list.head(5))
    with pytest.raises(DataError, match=r"12 of 12 impressions have not \d+ logged features; keep the rows of one release"):
        parity(log, assembler)
    with pytest.raises(DataError, match="12 of 12 impressions have not 4 logged features"):
        logged(log, ["a", "b", "c", "d"])
    assert logged(log.head(0), ["a"]).shape == (0, 1)

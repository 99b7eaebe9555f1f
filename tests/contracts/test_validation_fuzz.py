"""Whatever comes in, every row ends in the tables or in the quarantine, once."""

from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import column, dataframes

from rankloop.contracts import KINDS, REQUIRED, SCHEMAS, SURFACES, TABLES, Budget, Budgets, examine, validate
from rankloop.errors import ContractBreach

NO_LIMIT = Budgets(every=Budget())

ANY_TYPE: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(pl.String, pl.Int8, pl.UInt64, pl.Int128, pl.Float32, pl.Float64, pl.Boolean, pl.Date, pl.Time, pl.Duration("ms")),
        *(pl.Null, pl.Binary, pl.Categorical, pl.Decimal(10, 2), pl.Datetime("ns"), pl.Datetime("ms", "Asia/Tokyo")),
        *(pl.Datetime("us", "UTC"), pl.List(pl.String), pl.List(pl.Int64), pl.List(pl.Float64), pl.List(pl.Null)),
        *(pl.List(pl.List(pl.String)), pl.Array(pl.Int32, 2), pl.Struct({"a": pl.Int8}), pl.Enum(["r1", "u1", "i1"])),
    ]
)
IDS = st.sampled_from(["a", "b", "c", "", "1"])
LIKELY = {"item_id": IDS, "user_id": IDS, "request_id": IDS, "kind": st.sampled_from(KINDS), "surface": st.sampled_from(SURFACES)}


@st.composite
def raw_tables(draw: st.DrawFn, likely: bool) -> dict[str, pl.DataFrame]:
    """Frames of any types, or frames of the contract's types with keys that often meet; a `row` number in each."""
    frames = {}
    for name in TABLES:
        optional = [c for c in SCHEMAS[name] if c not in REQUIRED[name]]
        present = [*REQUIRED[name], *draw(st.lists(st.sampled_from(optional), unique=True))]
        columns = [
            column(c, dtype=SCHEMAS[name][c] if likely else draw(ANY_TYPE), strategy=LIKELY.get(c) if likely else None)
            for c in present
        ]
        frame = draw(dataframes(columns, max_size=6, allow_null=not likely or draw(st.booleans())))
        frames[name] = frame.with_row_index("row")
    return frames


def assert_partitioned(frames: dict[str, pl.DataFrame]) -> None:
    validated = examine(frames, NO_LIMIT)
    for name, frame in validated.tables:
        kept, fallen = frame["row"].to_list(), validated.quarantine[name]["row"].to_list()
        assert sorted(kept + fallen) == list(range(frames[name].height))
        assert all(validated.quarantine[name]["reasons"].list.len() > 0)
        assert frame.drop("row").schema == pl.Schema(SCHEMAS[name])
    assert not sum(result.count for result in examine(dict(validated.tables), NO_LIMIT).report)


slow_to_draw = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=40)


@slow_to_draw
@given(raw_tables(likely=False))
def test_frames_of_any_types_are_partitioned(frames):
    assert_partitioned(frames)


@slow_to_draw
@given(raw_tables(likely=True))
def test_frames_of_the_right_types_are_partitioned_and_what_is_kept_is_clean(frames):
    assert_partitioned(frames)


@slow_to_draw
@given(raw_tables(likely=True))
def test_a_validation_fails_exactly_where_a_rule_is_over_budget(frames):
    over = [result for result in examine(frames).report if not result.holds]
    if over:
        with pytest.raises(ContractBreach, match="over budget") as breach:
            validate(frames)
        assert (breach.value.rule, breach.value.count, breach.value.examples) == (over[0].rule, over[0].count, over[0].examples)
    else:
        assert all(result.holds for result in validate(frames).report)

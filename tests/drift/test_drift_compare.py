import math

import numpy as np
import polars as pl
import pytest

from rankloop.drift import Column, ColumnDrift, DriftPolicy, Profile, compare, profile
from rankloop.errors import DataError, SettingsError

POLICY = DriftPolicy()
WIDE = 12


def stable(count: int, seed: int) -> pl.DataFrame:
    """Columns of many shapes, some of them correlated."""
    draw = np.random.default_rng(seed)
    normal = draw.normal(size=count)
    return pl.DataFrame(
        {
            "normal": normal,
            "near": normal + 0.1 * draw.normal(size=count),
            "budget": draw.lognormal(3, 1.2, count),
            "heavy": draw.standard_cauchy(count),
            "clicks": draw.poisson(1.3, count),
            "sparse": np.where(draw.uniform(size=count) < 0.9, 0.0, draw.exponential(size=count)),
            "flag": draw.uniform(size=count) < 0.1,
            "country": draw.choice([f"c{at}" for at in range(30)], count, p=_zipf(30)),
            "id": draw.integers(0, 100_000, count).astype(str),
            "skills": draw.choice([f"s{at}" for at in range(50)], (count, 3), p=_zipf(50)).tolist(),
            "title": [" ".join(each) for each in draw.choice([f"w{at}" for at in range(200)], (count, 4)).tolist()],
            "meaning": draw.normal(size=(count, WIDE)).astype(np.float32).tolist(),
        },
        schema_overrides={"meaning": pl.List(pl.Float32)},
    )


def _zipf(size: int) -> np.ndarray:
    weights = 1 / np.arange(1, size + 1)
    return weights / weights.sum()


KINDS = {"country": "category", "id": "category", "flag": "category", "skills": "list", "title": "text", "meaning": "embedding"}
COLUMNS = [Column(name, KINDS.get(name, "numeric"), "t") for name in stable(2, 0).columns]


@pytest.fixture(scope="module")
def reference() -> Profile:
    return profile(stable(20_000, 0), COLUMNS)


def judged(reference: Profile, frame: pl.DataFrame, **more: object) -> dict[str, ColumnDrift]:
    found = compare(reference, profile(frame, bins=reference.bins), POLICY, **more)
    return {column.name: column for column in found.columns}


@pytest.mark.parametrize("rows", [500, 1_500, 10_000])
def test_nothing_that_stayed_the_same_has_drifted(reference: Profile, rows: int) -> None:
    wrong = [
        column.says
        for seed in range(2)
        for column in judged(reference, stable(rows, 100 + seed)).values()
        if column.verdict != "stable"
    ]
    assert wrong == []


def test_few_rows_are_no_evidence(reference: Profile) -> None:
    found = judged(reference, stable(400, 1).with_columns(budget=pl.lit(None, pl.Float64)))
    assert {column.verdict for column in found.values()} == {"not enough rows"}
    assert "500 independent ones are needed" in found["normal"].says


MADE = {
    "normal": (pl.col("normal") + 0.3, "drifted", "taste"),
    "heavy": (pl.col("heavy") + 2, "drifted", "taste"),
    "budget": (pl.col("budget") * 100, "broken", "unit"),
    "near": (pl.lit(None, pl.Float64), "broken", "nulls"),
    "sparse": (pl.lit(0.0), "broken", "constant"),
    "clicks": (pl.lit(7), "broken", "constant"),
    "country": (pl.col("country").replace("c1", "c0"), "broken", "vanished categories"),
    "flag": (pl.lit(True), "broken", "constant"),
    "skills": (pl.col("skills").list.eval(pl.element().replace("s0", "rust")), "broken", "vanished categories"),
    "title": (pl.lit("w1 w2 ") + pl.col("title"), "drifted", "taste"),
    "meaning": (pl.col("meaning").list.eval(pl.element() * 1.3), "broken", "skew"),
}


@pytest.mark.parametrize("name", MADE)
def test_a_change_is_found_in_its_column_only_and_called_what_it_is(reference: Profile, name: str) -> None:
    change, verdict, called = MADE[name]
    found = judged(reference, stable(2_000, 7).with_columns(change.alias(name)))
    assert (found[name].verdict, found[name].change) == (verdict, called), found[name].says
    assert {column.verdict for column in found.values() if column.name != name} == {"stable"}
    assert all(math.isfinite(value) for value in found[name].measures.values())


def test_sheer_size_makes_no_drift() -> None:
    draw = np.random.default_rng(3)
    one, two = (pl.DataFrame({"x": draw.normal(shift, 1, 400_000)}) for shift in (0.0, 0.03))
    column = judged(profile(one, [Column("x", "numeric")]), two)["x"]
    assert column.p_adjusted < 1e-9
    assert column.verdict == "stable"


def test_few_people_with_many_rows_make_no_drift() -> None:
    draw = np.random.default_rng(4)

    def people(count: int) -> pl.DataFrame:
        own = pl.DataFrame({"who": np.arange(count), "x": draw.normal(size=count)})
        return pl.concat([own] * 100)

    reference = profile(people(3_000), [Column("x", "numeric")], unit="who")
    window = people(40)
    alone = compare(reference, profile(window, bins=reference.bins), POLICY).columns[0]
    counted = compare(reference, profile(window, bins=reference.bins, unit="who"), POLICY).columns[0]
    assert (alone.verdict, counted.verdict) == ("drifted", "not enough rows")


def test_the_weeks_rhythm_is_no_drift_but_twice_the_limit_is() -> None:
    def shifted(by: float, seed: int) -> pl.DataFrame:
        return pl.DataFrame({"normal": np.random.default_rng(seed).normal(by, size=20_000)})

    reference = profile(shifted(0.0, 0), [Column("normal", "numeric")])

    def verdict(now: float, before: float) -> ColumnDrift:
        past = profile(shifted(before, 8), bins=reference.bins)
        return judged(reference, shifted(now, 9), before=past)["normal"]

    assert verdict(0.15, 0.0).verdict == "drifted"
    assert verdict(0.15, 0.15).verdict == "stable"
    assert "week's rhythm" in verdict(0.15, 0.15).says
    assert verdict(0.3, 0.3).verdict == "drifted"
    assert "as already at the same weekday before" in verdict(0.3, 0.3).says
    assert verdict(0.0, 0.3).verdict == "stable"


def test_a_fault_of_a_week_ago_is_still_a_fault(reference: Profile) -> None:
    frame = stable(20_000, 9).with_columns(budget=pl.col("budget") * 100)
    found = judged(reference, frame, before=profile(frame, bins=reference.bins))
    assert found["budget"].change == "unit"


def test_profiles_in_other_bins_are_refused(reference: Profile) -> None:
    other = profile(stable(1_000, 1), COLUMNS)
    with pytest.raises(DataError, match="other bins"):
        compare(reference, other, POLICY)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"js": 0}, "share in"),
        ({"wasserstein": -1}, "above 0"),
        ({"known": 1}, "factor above 1"),
        ({"min_rows": 3}, "fewer than 50"),
        ({"jss": 1}, "its fields are"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(changes: dict[str, float], rule: str) -> None:
    with pytest.raises(SettingsError, match=rule):
        DriftPolicy.of(changes)

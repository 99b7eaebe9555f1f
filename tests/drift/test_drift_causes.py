"""Causes: many columns and one reason, told apart by what went wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from rankloop.drift import ColumnDrift, Performance, Shares
from rankloop.drift.causes import Context, causes, ranked
from rankloop.drift.lineage import lineage
from rankloop.drift.sources import Sources
from rankloop.drift.where import change_point, onset, size, worst_slice
from rankloop.features import load_views

MADE = lineage(load_views(), ["bm25", "popular"])
IMPORTANCE = dict.fromkeys(MADE, 1.0)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def column(name: str, verdict: str = "stable", change: str = "", js: float = 0.0, **fields: Any) -> ColumnDrift:
    table, _, bare = name.rpartition(".")
    table = table or ("scores" if name == "score" else "features")
    known = {"kind": "numeric", "measures": {"js": js}, "reference_rows": 5000, "window_rows": 1000, **fields}
    return ColumnDrift(name=bare, table=table, verdict=verdict, change=change, **known)  # type: ignore[arg-type]


def with_others(*changed: ColumnDrift) -> tuple[ColumnDrift, ...]:
    names = {column.name for column in changed}
    return (*changed, *(column(name) for name in MADE if name not in names))


def made_of(raw: str) -> set[str]:
    return {name for name, sources in MADE.items() if raw in sources.values}


def found(*columns: ColumnDrift, **known: Any) -> list[tuple[str, str]]:
    return [(cause.cause, cause.component) for cause in causes(columns, Context(IMPORTANCE, MADE, **known))]


def test_nothing_changed_has_no_cause() -> None:
    assert found(*with_others()) == []
    assert found() == []


def test_a_change_of_unit_is_one_cause_with_all_that_is_made_of_it() -> None:
    touched = made_of("items.budget")
    changed = with_others(
        column("items.budget", "broken", "unit", factor=100.0), *(column(name, "drifted", js=0.4) for name in touched)
    )
    (cause,) = causes(changed, Context(IMPORTANCE, MADE, report_id="d7"))
    assert (cause.cause, cause.component) == ("unit-change", "items.budget")
    assert set(cause.columns) == {"items.budget", *touched}
    assert cause.impact == pytest.approx(len(touched) / len(MADE) * 0.99)
    assert "100 times" in cause.says
    assert cause.command == "rankloop drift show d7"


def test_a_change_of_unit_is_found_from_features_alone() -> None:
    touched = made_of("items.budget")
    unit = {"item_budget", "item_daily_pay"}
    changed = with_others(
        *(column(name, "broken", "unit", factor=100.0) for name in sorted(unit)),
        *(column(name, "drifted", js=0.4) for name in sorted(touched - unit)),
    )
    assert found(*changed) == [("unit-change", "items.budget")]


def test_of_two_raw_columns_the_one_whose_other_features_changed_too_is_at_fault() -> None:
    wrong = {"skill_share", "skill_weighted_share"}
    also = {"skill_overlap", "item_skill_count", "query_skill_share"}
    changed = with_others(
        *(column(name, "broken", "nulls", null_share=(0.1, 0.9)) for name in sorted(wrong)),
        *(column(name, "drifted", js=0.5) for name in sorted(also)),
    )
    assert found(*changed) == [("nulls", "items.skills")]


def test_a_raw_column_that_is_well_is_not_at_fault() -> None:
    changed = with_others(
        column("rate_fit", "broken", "nulls", null_share=(0.0, 1.0)), column("items.budget"), column("items.duration_days")
    )
    assert found(*changed) == [("nulls", "users.hourly_rate")]


def test_two_faults_are_two_causes_the_larger_first() -> None:
    changed = with_others(
        column("items.budget", "broken", "unit", factor=100.0),
        *(column(name, "drifted", js=0.4) for name in made_of("items.budget")),
        column("users.hourly_rate", "broken", "nulls", null_share=(0.0, 1.0)),
        column("user_hourly_rate", "broken", "nulls", null_share=(0.0, 1.0)),
    )
    assert found(*changed) == [("unit-change", "items.budget"), ("nulls", "users.hourly_rate")]


def test_a_table_of_which_nothing_comes_is_one_cause() -> None:
    dead = [column(f"outcomes.{name}", "broken", "dead table") for name in ("kind", "value", "ts")]
    frozen = [column(name, "broken", "constant") for name in MADE if MADE[name].tables == {"outcomes"}]
    assert found(*with_others(*dead, *frozen)) == [("dead-table", "outcomes")]
    assert found(*with_others(*frozen)) == [("dead-table", "outcomes")]


def test_most_columns_of_a_table_going_null_is_one_cause() -> None:
    raw = [column(f"users.{name}", "broken", "nulls", null_share=(0.0, 1.0)) for name in ("hourly_rate", "country", "headline")]
    assert found(*with_others(*raw, column("user_hourly_rate", "broken", "nulls", null_share=(0.0, 1.0)))) == [("nulls", "users")]


def test_a_vanished_category_explains_what_is_keyed_by_it() -> None:
    raw = column("items.category", "broken", "vanished categories", js=0.3, kind="category")
    keyed = [
        column(name, "drifted", js=0.2) for name in ("category_jobs_28d", "user_category_clicks", "country_category_click_share")
    ]
    (cause,) = causes(with_others(raw, *keyed), Context(IMPORTANCE, MADE))
    assert (cause.cause, cause.component) == ("vanished-category", "items.category")
    assert len(cause.columns) == 4


def test_a_vanished_category_weighs_at_least_the_rows_it_had() -> None:
    shown = Shares(labels=("Design", "Writing", "Data"), reference=(0.1, 0.6, 0.3), window=(0.0, 0.6, 0.4))
    raw = column("items.category", "broken", "vanished categories", js=0.2, kind="category", bins=shown)
    (cause,) = causes((raw, column("country_share")), Context({"country_share": 1.0}, {}))
    assert (cause.cause, cause.impact) == ("vanished-category", 0.1)


def test_a_skewed_embedding_is_named() -> None:
    assert found(*with_others(column("items.vector", "broken", "skew", js=0.5, kind="embedding"))) == [
        ("skewed-embedding", "items.vector")
    ]


def test_behaviour_and_outcomes_that_change_without_a_fault_are_one_change_of_tastes() -> None:
    moved = [column(name, "drifted", js=0.3) for name in MADE if MADE[name].tables == {"outcomes"}]
    changed = with_others(column("outcomes.kind", "drifted", js=0.3, kind="category"), *moved)
    (cause,) = causes(changed, Context(IMPORTANCE, MADE, log="/data/log"))
    assert (cause.cause, cause.component) == ("taste-shift", "outcomes")
    assert cause.command == "rankloop runs start /data/log"


def test_what_is_offered_changes_under_the_raw_column_that_it_has_in_common() -> None:
    moved = [column(name, "drifted", js=0.3) for name in ("item_duration_days", "duration_fit", "item_daily_pay")]
    context = Context(dict.fromkeys(("item_duration_days", "duration_fit", "item_daily_pay"), 1.0), MADE)
    assert [(c.cause, c.component) for c in causes(with_others(*moved), context)] == [("taste-shift", "items.duration_days")]


def test_a_small_drift_of_an_unimportant_column_is_no_cause() -> None:
    assert found(*with_others(column("user_age_days", "drifted", js=0.2))) == []


def test_scores_that_move_alone_point_at_the_release() -> None:
    (cause,) = causes(with_others(column("score", "drifted", js=0.4)), Context(IMPORTANCE, MADE))
    assert (cause.cause, cause.component, cause.impact) == ("score-shift", "scores", 0.4)
    assert cause.command.startswith("rankloop rollback")


def test_scores_that_move_with_a_fault_are_explained_by_it() -> None:
    raw = column("items.budget", "broken", "unit", factor=100.0)
    (cause,) = causes(with_others(raw, column("score", "drifted", js=0.4)), Context(IMPORTANCE, MADE))
    assert cause.cause == "unit-change"
    assert "score" in cause.columns


def test_a_lost_metric_is_a_cause_only_where_nothing_else_is_wrong() -> None:
    lost = Performance(metric="ctr@10", kind="measured", value=0.07, reference=0.1, ratio=0.7, lower=0.61, upper=0.8)
    assert found(*with_others(), performance=[lost]) == [("performance", "ctr@10")]
    raw = column("items.budget", "broken", "unit", factor=100.0)
    (cause,) = causes(with_others(raw), Context(IMPORTANCE, MADE, performance=[lost]))
    assert cause.cause == "unit-change"
    assert "70%" in cause.says
    unsure = Performance(metric="ctr@10", kind="measured", value=0.07, reference=0.1, ratio=0.7, lower=0.4, upper=1.1)
    assert found(*with_others(), performance=[unsure]) == []


def test_forty_columns_never_make_more_than_a_handful_of_causes() -> None:
    rng = np.random.default_rng(5)
    names = list(MADE)
    for _ in range(20):
        chosen = rng.choice(len(names), 40, replace=False)
        changed = with_others(*(column(names[i], "drifted", js=float(rng.uniform(0.12, 0.8))) for i in chosen))
        assert len(found(*changed)) == 1


def test_no_column_is_explained_twice_and_every_fault_is_explained() -> None:
    rng = np.random.default_rng(6)
    for _ in range(30):
        changes = rng.choice(["", "constant", "vanished categories"], len(MADE), p=[0.7, 0.15, 0.15])
        columns = [
            column(name, "broken" if change else "drifted", str(change), js=0.3)
            for name, change in zip(MADE, changes, strict=True)
        ]
        explained = [name for cause in causes(columns, Context(IMPORTANCE, MADE)) for name in cause.columns]
        assert len(explained) == len(set(explained))
        assert {name for name, change in zip(MADE, changes, strict=True) if change} <= set(explained)


def test_histories_that_grow_are_no_fault() -> None:
    grown = [column(name, "broken", "nulls", null_share=(0.3, 0.1)) for name in ("user_clicked_budget", "user_category_coec")]
    thinner = column("item_days_since_click", "broken", "nulls", null_share=(0.3, 0.4))
    assert found(*with_others(*grown, thinner)) == []
    assert found(column("items.skills", "broken", "nulls", null_share=(0.3, 0.1), kind="list")) == []


def test_a_count_that_doubled_has_not_changed_its_unit() -> None:
    assert found(*with_others(column("owner_jobs", "broken", "unit", js=0.3, factor=2.0))) == []


def test_a_loss_that_one_look_in_forty_shows_by_chance_is_no_cause() -> None:
    likely = Performance(metric="apply_rate", kind="measured", value=0.088, reference=0.1, ratio=0.88, lower=0.82, upper=0.94)
    assert found(*with_others(), performance=[likely]) == []


def test_features_that_drift_while_outcomes_do_not_must_drift_much() -> None:
    slowly = [column(name, "drifted", js=0.4) for name in list(MADE)[: len(MADE) // 4]]
    assert found(*with_others(*slowly)) == []
    lost = Performance(metric="ctr@10", kind="measured", value=0.07, reference=0.1, ratio=0.7, lower=0.61, upper=0.8)
    assert found(*with_others(*slowly), performance=[lost]) == [("taste-shift", "outcomes")]
    assert found(*with_others(*(column(name, "drifted", js=0.4) for name in MADE))) == [("taste-shift", "outcomes")]


def test_a_fault_that_began_in_the_window_is_named_by_its_newest_part() -> None:
    half = column("items.budget", "drifted", "taste", js=0.3)
    good, bad = column("items.budget"), column("items.budget", "broken", "unit", js=0.9, factor=100.0)
    (cause,) = causes((half,), Context(IMPORTANCE, MADE, parts=[(NOON, [good]), (NOON + timedelta(days=1), [bad])]))
    assert (cause.cause, cause.component, cause.since) == ("unit-change", "items.budget", NOON + timedelta(days=1))


def test_a_fault_that_the_window_does_not_show_yet_is_named_when_two_parts_agree() -> None:
    whole, good = column("items.category", kind="category"), column("items.category", kind="category")
    says = "items.category: 'Design', 9.8% of the reference's rows, are gone."
    bad = column("items.category", "broken", "vanished categories", js=0.3, kind="category", says=says)
    day = timedelta(days=1)
    assert causes((whole,), Context(IMPORTANCE, MADE, parts=[(NOON, [good]), (NOON + day, [bad])])) == ()
    (cause,) = causes((whole,), Context(IMPORTANCE, MADE, parts=[(NOON, [good]), (NOON + day, [bad]), (NOON + 2 * day, [bad])]))
    assert (cause.cause, cause.component, cause.since) == ("vanished-category", "items.category", NOON + day)
    assert cause.says.startswith("items.category has vanished categories: 'Design', 9.8% of the reference's rows, are gone")


def test_columns_are_ranked_by_drift_times_importance() -> None:
    columns = (
        column("item_budget", "drifted", js=0.2),
        column("item_coec", "drifted", js=0.9),
        column("items.budget", "drifted", js=0.1),
    )
    context = Context({"item_budget": 9.0, "item_coec": 1.0}, MADE)
    first, second, third = ranked(columns, context)
    assert [first.name, second.name, third.name] == ["item_budget", "item_coec", "budget"]
    assert [first.impact, second.impact, third.impact] == pytest.approx([0.9 * 0.2, 0.1 * 0.9, 0.9 * 0.1])


def parts(*sizes: float) -> list[tuple[datetime, list[ColumnDrift]]]:
    return [
        (NOON + timedelta(hours=i), [column("a", "drifted" if js > 0.12 else "stable", js=js), column("b", "drifted", js=0.9)])
        for i, js in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "hour"),
    [((0.02, 0.01, 0.03, 0.4, 0.5), 3), ((0.4, 0.5), 0), ((0.0, 0.9), 1), ((0.05, 0.2, 0.05, 0.6, 0.6, 0.7), 3)],
)
def test_the_first_bad_hour_is_where_the_drift_steps_up(sizes: tuple[float, ...], hour: int) -> None:
    assert onset(parts(*sizes), {"a"}) == NOON + timedelta(hours=hour)


def test_no_first_bad_hour_where_none_is_bad_or_none_was_judged() -> None:
    assert onset(parts(0.01, 0.02), {"a"}) is None
    assert onset((), {"a"}) is None
    assert onset([(NOON, [column("a", "not enough rows")])], {"a"}) is None


@pytest.mark.parametrize("step", range(1, 12))
def test_a_step_in_noise_is_found_within_one_place(step: int) -> None:
    series = np.where(np.arange(12) >= step, 0.6, 0.1) + np.random.default_rng(step).normal(0, 0.03, 12)
    assert abs(change_point(series) - step) <= 1


def test_the_worst_slice_is_named_only_where_it_is_clearly_worse() -> None:
    whole = [column("a", "drifted", js=0.2)]
    slices = {
        "country=IN": [column("a", "drifted", js=0.6)],
        "country=DE": [column("a", "stable", js=0.1)],
        "country=XX": [column("a", "not enough rows", js=1.0)],
    }
    assert worst_slice(slices, {"a"}, whole) == "country=IN"
    assert worst_slice({"country=IN": [column("a", "drifted", js=0.21)]}, {"a"}, whole) == "all"
    assert worst_slice({}, {"a"}, whole) == "all"


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_change_of_unit_is_large_whichever_way_it_went(factor: float) -> None:
    assert size(column("a", "broken", "unit", js=0.1, factor=factor)) == pytest.approx(0.99)


def test_features_are_spoilt_as_much_as_their_raw_column_is_at_fault() -> None:
    lone = {"seen": Sources(frozenset({"items.budget"})), "unseen": Sources(frozenset({"items.budget"}))}
    columns = (column("items.budget", "broken", "nulls", null_share=(0.0, 0.5)), column("seen", "drifted", js=0.2))
    (cause,) = causes(columns, Context({"seen": 1.0, "unseen": 3.0}, lone))
    assert cause.impact == pytest.approx(0.25 * 0.5 + 0.75 * 0.5)

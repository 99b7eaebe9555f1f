"""The drift watch as a pipeline: a release made before a fault, and a window after it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from monitoring.drift import EVIDENTLY, PAGE
from pipelines.events import WATCH_STEPS
from pipelines.watch import WatchOrder, WatchResult, compile_watch, run_watch
from rankloop.bundle import Bundle, Manifest, Reference, transplant, verify
from rankloop.contracts import Columns, Tables
from rankloop.drift import Cause, DriftPolicy, DriftReport
from rankloop.errors import DataError
from rankloop.evaluation import Inputs, pack
from rankloop.features import FeatureStore, compute, load_views
from rankloop.ranking import LambdaMart
from rankloop.recipe import Recipe
from rankloop.simulation import CategoryVanishes, Fault, Marketplace, Scale, TextsGarbled, UnitChange
from rankloop.sources.log_layout import LOG_SCHEMAS, partition
from rankloop.splits import before
from rankloop.training import bundle_parts, fit_retrievers, windows
from rankloop.vocabulary import Vocabulary
from rankloop.watch import Asked, compare_window, explain
from rankloop.watch.lists import requests_of

SCALE = Scale(users=250, users_per_day=10, items=300, items_per_day=60, clients=60, days=34, impressions=9_000, list_length=6)
MADE, BROKEN = 28, 30
RECIPE = Recipe(retrievers=("popular", "profile"), depth=40)
POLICY = {"min_rows": 60}


def quiet(text: str, **facts: object) -> None:
    """Says nothing."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data whose budgets are cents from a day on, and two bundles that were made before: with a reference, and without."""
    root = tmp_path_factory.mktemp("world")
    tables = Marketplace(SCALE, rng=5, faults=[UnitChange(BROKEN)]).history()
    (root / "data").mkdir()
    for name, frame in tables:
        frame.write_parquet(root / "data" / f"{name}.parquet")
    old, views = before(tables, SCALE.start + timedelta(days=MADE)), load_views()  # what was known when the release was made
    store = FeatureStore(views, compute(views, old))
    fits = fit_retrievers(old, RECIPE, quiet)
    judged = windows(old, store, fits, RECIPE, quiet)
    ranker = LambdaMart().fit(judged.training, judged.validation, rng=np.random.default_rng(0))
    (root / "evaluation.json").write_text(json.dumps({"systems": {"candidate": {}}}))
    now = SCALE.start + timedelta(days=MADE)
    inputs = Inputs(old, store, fits, ranker, RECIPE)
    pack(inputs, root, root / "bundle", lineage={}, created_at=now)
    parts = bundle_parts(old, store, fits, ranker, RECIPE)
    Bundle.write(parts, root / "bare", as_of=now, created_at=now, surfaces=("job_feed",), numbers={}, lineage={})
    return root


@pytest.fixture(scope="module")
def well() -> Tables:
    """The same marketplace without a fault."""
    return Marketplace(SCALE, rng=5).history()


@pytest.fixture(scope="module")
def watched(world: Path) -> WatchResult:
    until = (SCALE.start + timedelta(days=SCALE.days)).isoformat()
    order = WatchOrder(
        "contract", str(world / "data"), hours=72.0, until=until, bundle=str(world / "bundle"), policy=POLICY, control_api=""
    )
    return run_watch(order, world / "home")


@pytest.mark.slow
def test_a_unit_that_changed_is_named_as_a_cause_with_its_column(watched: WatchResult) -> None:
    found = {(cause.cause, cause.component) for cause in watched.report.causes}
    assert ("unit-change", "items.budget") in found
    assert (watched.verdict, watched.report.surface) == ("broken", "job_feed")
    (budget,) = (own for own in watched.report.columns if own.name == "items.budget")
    assert 50 < (budget.factor or 0) < 200  # of the medians of two samples


@pytest.mark.slow
def test_the_report_is_kept_below_the_home_folder_with_the_same_verdicts(watched: WatchResult, world: Path) -> None:
    place = world / "home" / "drift" / watched.report.report_id
    assert watched.page == place / PAGE
    assert DriftReport.read(place / "report.json") == watched.report
    tests = json.loads((place / EVIDENTLY).read_text())["tests"]
    shown = {test["metric_config"]["params"]["column"]: test["test_config"]["verdict"] for test in tests}
    assert shown == {own.name: own.verdict for own in watched.report.columns if own.name in shown}
    assert shown["items.budget"] == "broken"


@pytest.mark.slow
def test_every_step_is_told(watched: WatchResult) -> None:
    assert {step.name: step.state for step in watched.steps} == dict.fromkeys(WATCH_STEPS, "done")


@pytest.mark.slow
def test_a_bundle_carries_its_reference_under_its_fingerprints(world: Path) -> None:
    manifest = Manifest.read(world / "bundle")
    assert "reference/profile.json" in manifest.files
    verify(world / "bundle", manifest)
    assert manifest.release_id != Manifest.read(world / "bare").release_id
    own = Reference.read(world / "bundle")
    assert own is not None
    assert {"items", "users", "outcomes", "lists-job_feed", "shown-job_feed", "requests-job_feed"} <= set(own.profiles)
    held = {column for sample in own.samples.values() for column in sample.columns}
    assert not held & {Columns.USER_ID, Columns.ITEM_ID, Columns.TS}
    assert all(sample.schema[f"items.{Columns.TITLE}"] != pl.String for name, sample in own.samples.items() if name == "items")


@pytest.mark.slow
def test_a_bundle_without_a_reference_opens_and_is_answered_by_no_reference(world: Path) -> None:
    assert Bundle.open(world / "bare").manifest.surfaces == ("job_feed",)
    tables, until = Tables.read(world / "data"), SCALE.start + timedelta(days=SCALE.days)
    compared = compare_window(tables, world / "bare", Asked("job_feed", until, 72.0), DriftPolicy(), quiet)
    report = explain(compared, tables, world / "bare", report_id="d1", at=until)
    assert report.verdict == "not enough rows"
    assert report.says.startswith("no reference")
    assert (report.columns, report.causes) == ((), ())


@pytest.mark.slow
def test_a_window_without_rows_is_never_called_stable(world: Path) -> None:
    tables, until = Tables.read(world / "data"), SCALE.start - timedelta(days=90)
    compared = compare_window(tables, world / "bundle", Asked("job_feed", until, 1.0), DriftPolicy(), quiet)
    report = explain(compared, tables, world / "bundle", report_id="d1", at=until)
    assert (report.verdict, report.causes) == ("not enough rows", ())
    assert "widen the window" in report.says


def causes_of(world: Path, *faults: Fault) -> dict[str, Cause]:
    """By name, what a watch of the last days says is wrong where these faults are on since the break."""
    tables, until = Marketplace(SCALE, rng=5, faults=faults).history(), SCALE.start + timedelta(days=SCALE.days)
    compared = compare_window(tables, world / "bundle", Asked("job_feed", until, 72.0), DriftPolicy.of(POLICY), quiet)
    return {own.cause: own for own in explain(compared, tables, world / "bundle", report_id="d1", at=until).causes}


@pytest.mark.slow
def test_garbled_texts_are_a_skewed_embedding_with_the_texts_that_moved(world: Path) -> None:
    (skew,) = causes_of(world, TextsGarbled(BROKEN)).values()
    assert (skew.cause, skew.component) == ("skewed-embedding", "items.embedding")
    assert {"items.embedding", "items.title", "items.description"} <= {*skew.columns}
    assert skew.impact > 0


@pytest.mark.slow
def test_vectors_that_moved_as_a_category_went_are_not_skewed(world: Path) -> None:
    posted = pl.read_parquet(world / "data" / "items.parquet")[Columns.CATEGORY].value_counts(sort=True)
    found = causes_of(world, CategoryVanishes(BROKEN, posted[0, Columns.CATEGORY]))
    assert {*found} == {"vanished-category"}
    assert "items.embedding" in found["vanished-category"].columns


@pytest.mark.slow
def test_a_fault_of_one_country_is_named_with_it(world: Path, well: Tables) -> None:
    until = SCALE.start + timedelta(days=SCALE.days)
    (country, _), *_ = well.items[Columns.COUNTRY].value_counts(sort=True).iter_rows()
    late = pl.col(Columns.CREATED_AT) >= SCALE.start + timedelta(days=BROKEN)
    hurt = pl.when(~(late & (pl.col(Columns.COUNTRY) == country))).then(Columns.SKILLS).alias(Columns.SKILLS)
    broken = replace(well, items=well.items.with_columns(hurt))
    compared = compare_window(broken, world / "bundle", Asked("job_feed", until, 72.0), DriftPolicy.of(POLICY), quiet)
    (cause,) = explain(compared, broken, world / "bundle", report_id="d1", at=until).causes
    assert (cause.cause, cause.component, cause.slice) == ("nulls", "items.skills", f"item_country={country}")


@pytest.fixture(scope="module")
def served(world: Path, well: Tables) -> pl.DataFrame:
    """What the release would show to those who asked in the window, as a service logs it."""
    until = SCALE.start + timedelta(days=SCALE.days)
    release = Bundle.open(world / "bundle")
    catalogue = Vocabulary(before(well, until).items[Columns.ITEM_ID].sort())
    recommender = transplant(release, well, catalogue)
    asked = requests_of(well, "job_feed", until - timedelta(hours=72), until, most=500, rng=np.random.default_rng(1))
    parts = []
    for number, request in enumerate(asked):
        ranked = recommender.recommend(request, 10)
        own = {
            Columns.ITEM_ID: catalogue.decode(ranked.items),
            Columns.POSITION: np.arange(1, len(ranked.items) + 1),
            Columns.SCORE: ranked.scores.astype(float),
            Columns.SOURCE: list(ranked.sources),
            Columns.FEATURES: ranked.features.tolist(),
        }
        told = {Columns.REQUEST_ID: f"s{number}", Columns.RELEASE_ID: release.manifest.release_id, Columns.TS: request.ts}
        whose = {Columns.USER_ID: request.user_id, Columns.SURFACE: request.surface}
        parts.append(pl.DataFrame(own).with_columns(**{name: pl.lit(value) for name, value in {**told, **whose}.items()}))
    frame, schema = pl.concat(parts), LOG_SCHEMAS["impressions"]
    unsaid = {name: pl.lit(None, dtype=kind) for name, kind in schema.items() if name not in frame.columns}
    return frame.with_columns(**unsaid).cast(schema).select(*schema)


def causes_in_log(
    world: Path, well: Tables, folder: Path, rows: pl.DataFrame
) -> tuple[dict[tuple[str, str], Cause], DriftReport]:
    """What a watch says where a service logged these impressions, and the tables are as they should be."""
    for (hour,), part in rows.group_by(partition(pl.col(Columns.TS))):
        (folder / "log" / "impressions" / hour).mkdir(parents=True)
        part.write_parquet(folder / "log" / "impressions" / hour / "w.parquet")
    (folder / "log.yaml").write_text(f"log: {folder / 'log'}\n")
    until = SCALE.start + timedelta(days=SCALE.days)
    asked = Asked("job_feed", until, 72.0, "event_log", str(world / "data"), str(folder / "log.yaml"))
    compared = compare_window(well, world / "bundle", asked, DriftPolicy.of(POLICY), quiet)
    report = explain(compared, well, world / "bundle", report_id="d1", at=until)
    return {(own.cause, own.component): own for own in report.causes}, report


@pytest.mark.slow
def test_what_a_service_logs_well_is_no_cause(world: Path, well: Tables, served: pl.DataFrame, tmp_path: Path) -> None:
    found, report = causes_in_log(world, well, tmp_path, served)
    assert found == {}
    assert {own.name for own in report.columns} >= {"score", "source", *Manifest.read(world / "bundle").features}


@pytest.mark.slow
@pytest.mark.parametrize(("by", "cause"), [(0.0, "constant"), (100.0, "unit-change")])
def test_a_feature_that_is_served_wrong_is_named_though_its_table_is_right(
    world: Path, well: Tables, served: pl.DataFrame, tmp_path: Path, by: float, cause: str
) -> None:
    features = Manifest.read(world / "bundle").features
    place = features.index("item_budget")
    wrong = pl.col(Columns.FEATURES).list.to_struct(fields=features).struct
    found, _ = causes_in_log(
        world,
        well,
        tmp_path,
        served.with_columns(
            pl.concat_list(wrong.field(name) * (by if at == place else 1) for at, name in enumerate(features)).alias(
                Columns.FEATURES
            )
        ),
    )
    assert [*found] == [(cause, "item_budget")]


def test_without_a_control_plane_a_bundle_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match="name one with --bundle"):
        WatchOrder("contract", str(tmp_path), control_api="").parameters()


def test_the_watch_compiles_to_every_step_and_records_afresh_each_time(tmp_path: Path) -> None:
    compile_watch(tmp_path / "watch.yaml")
    tasks = next(iter(yaml.safe_load_all((tmp_path / "watch.yaml").read_text())))["root"]["dag"]["tasks"]
    assert {name.replace("-", "_") for name in tasks} == set(WATCH_STEPS)
    cached = {name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert not cached & {"render-drift", "record-drift"}

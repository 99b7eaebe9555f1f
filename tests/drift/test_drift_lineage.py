"""Lineage: every shipped view, a user's own views, and SQL of all shapes; held against what really changes."""

from pathlib import Path

import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Columns, Tables
from rankloop.drift.lineage import CROSSES, KEY_SOURCES, RETRIEVED, lineage, raw_tables
from rankloop.drift.sources import Relation, Sources, base
from rankloop.drift.sql import trace
from rankloop.errors import DataError
from rankloop.features import Assembler, FeatureStore, compute, load_views
from rankloop.features.registry import KEYS
from rankloop.features.relations import relations
from rankloop.retrieval import RETRIEVERS
from rankloop.simulation import Marketplace, Scale
from rankloop.vocabulary import Vocabulary

TABLES: dict[str, Relation] = {name: base(name, {}) for name in ("items", "users", "outcomes")}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Marketplace(Scale.tiny(), rng=3).history()


@pytest.fixture(scope="module")
def before(tables: Tables) -> dict[str, pl.DataFrame]:
    return compute(load_views(), tables)


def test_every_feature_of_an_assembler_has_a_lineage_down_to_columns_of_the_contract() -> None:
    views, empty = load_views(), Tables.empty()
    assembler = Assembler(FeatureStore(views, compute(views, empty)), empty.items, empty.users, Vocabulary([]), [])
    found = lineage(views)
    assert set(found) == set(assembler.names)
    known = {f"{table}.{name}" for table, columns in SCHEMAS.items() for name in columns} | set(SCHEMAS)
    assert all(sources.values and sources.all <= known for sources in found.values())


def test_every_column_that_a_view_may_read_is_known(tables: Tables) -> None:
    given = {name: set(frame.columns) for name, frame in relations(tables).items()}
    assert {name: {column for column, _ in relation.columns} for name, relation in raw_tables().items()} == given


def test_every_retriever_and_every_key_is_known() -> None:
    assert set(RETRIEVED) == set(RETRIEVERS)
    assert set(KEY_SOURCES) == set(KEYS)
    assert lineage((), ["bm25", "own"], {"own_score": CROSSES["skill_overlap"]}) == {
        **CROSSES,
        "bm25_score": RETRIEVED["bm25"],
        "own_score": CROSSES["skill_overlap"],
    }


@pytest.mark.parametrize(
    ("feature", "values", "tables"),
    [
        ("item_budget", {"items.budget"}, {"items"}),
        ("item_daily_pay", {"items.budget", "items.duration_days"}, {"items"}),
        ("item_age_days", {"items.created_at"}, {"items"}),
        ("category_budget", {"items", "items.budget"}, {"items"}),
        ("category_jobs_28d", {"items"}, {"items"}),
        ("item_hires", {"outcomes", "outcomes.kind"}, {"outcomes"}),
        ("item_dismiss_rate", {"impressions", "outcomes", "outcomes.kind"}, {"impressions", "outcomes"}),
        ("user_clicked_budget", {"items.budget", "outcomes.kind"}, {"items", "outcomes"}),
        ("user_item_days_since_seen", {"impressions.ts"}, {"impressions"}),
        ("rate_fit", {"items.budget", "items.duration_days", "users.hourly_rate"}, {"items", "users"}),
    ],
)
def test_a_feature_is_computed_from_exactly_these_columns(feature: str, values: set[str], tables: set[str]) -> None:
    found = lineage(load_views())[feature]
    assert found.values == values
    assert found.tables == tables


def test_a_key_of_a_view_decides_its_rows() -> None:
    found = lineage(load_views())
    assert "items.category" in found["user_category_clicks"].rows
    assert {"users.country", "items.category"} <= found["country_category_click_share"].rows


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("items", Columns.BUDGET),
        ("items", Columns.DURATION_DAYS),
        ("items", Columns.SKILLS),
        ("items", Columns.CATEGORY),
        ("items", Columns.OWNER_ID),
        ("items", Columns.DESCRIPTION),
        ("users", Columns.HOURLY_RATE),
        ("users", Columns.EXPERIENCE_YEARS),
        ("users", Columns.COUNTRY),
        ("outcomes", Columns.REQUEST_ID),
        ("impressions", Columns.QUERY),
    ],
)
def test_what_changes_when_a_raw_column_goes_null_is_what_its_lineage_names(
    tables: Tables, before: dict[str, pl.DataFrame], table: str, column: str
) -> None:
    frame = getattr(tables, table)
    nulled = frame.with_columns(pl.lit(None, frame.schema[column]).alias(column))
    after = compute(load_views(), Tables.from_frames({**dict(tables), table: nulled}))
    found = lineage(load_views())
    changed = {
        feature.name
        for view in load_views()
        for feature in view.features
        if not before[view.name]
        .select(*view.keys, "valid_from", feature.name)
        .equals(after[view.name].select(*view.keys, "valid_from", feature.name))
    }
    named = {name for name, sources in found.items() if f"{table}.{column}" in sources.all}
    assert changed
    assert changed <= named
    computed = {
        name for view in load_views() for name in (f.name for f in view.features) if f"{table}.{column}" in found[name].values
    }
    assert computed <= changed


def test_a_view_of_a_users_own_folder_is_traced_and_a_further_column_comes_from_itself(tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text(
        "-- Ours.\n-- key: item_id\n-- feature: own_boost | what we add | ratio\n"
        "SELECT item_id, created_at AS valid_from, boost * log(budget) AS own_boost FROM items"
    )
    assert lineage(load_views(tmp_path))["own_boost"] == Sources(
        frozenset({"items.boost", "items.budget"}), frozenset({"items.item_id"})
    )


@pytest.mark.parametrize(
    ("sql", "values", "rows"),
    [
        ("SELECT 1 AS x FROM items", set(), set()),
        ("SELECT i.budget AS x FROM items i WHERE i.country = 'IN'", {"items.budget"}, {"items.country"}),
        ("SELECT count(*) AS x FROM items WHERE budget > 0", {"items"}, {"items.budget"}),
        ("SELECT sum(a) FILTER (b > 0) AS x FROM items", {"items.a", "items.b"}, set()),
        ("SELECT a + b AS c, c * 2 AS x FROM items", {"items.a", "items.b"}, set()),
        ("SELECT sum(a) OVER (PARTITION BY k ORDER BY d) AS x FROM items", {"items.a"}, {"items.k", "items.d"}),
        ("SELECT row_number() OVER (ORDER BY d) AS x FROM items", {"items", "items.d"}, set()),
        ("SELECT sum(a) OVER w AS x FROM items WINDOW w AS (PARTITION BY k)", {"items.a"}, {"items.k"}),
        ("SELECT k, max(a) AS x FROM items GROUP BY ALL", {"items.a"}, {"items.k"}),
        ("SELECT k, max(a) AS x FROM items GROUP BY 1 HAVING min(b) > 0", {"items.a"}, {"items.k", "items.b"}),
        ("SELECT max(a) AS x FROM items JOIN users USING (id)", {"items.a", "users.a"}, {"items.id", "users.id"}),
        ("SELECT u.a AS x FROM items i LEFT JOIN users u ON i.o = u.id", {"users.a"}, {"items.o", "users.id"}),
        ("SELECT x FROM (SELECT a AS x FROM items UNION ALL SELECT b FROM users)", {"items.a", "users.b"}, set()),
        ("SELECT x FROM (SELECT a AS x, 0 AS y FROM items UNION BY NAME SELECT b AS y FROM users)", {"items.a"}, set()),
        ("SELECT a AS x FROM items EXCEPT SELECT b FROM users", {"items.a"}, {"users.b", "users"}),
        ("WITH t(x, y) AS (SELECT a, b FROM items) SELECT * EXCLUDE (y) FROM t", {"items.a"}, set()),
        ("WITH t AS (SELECT a AS x FROM items) SELECT * REPLACE (x + 1 AS x) FROM t", {"items.a"}, set()),
        ("WITH t AS (SELECT a AS x FROM items), items AS (SELECT b AS x FROM users) SELECT t.x FROM t", {"items.a"}, set()),
        (
            "WITH RECURSIVE t AS (SELECT a AS x, 0 AS n FROM items UNION ALL SELECT x + u.b, n + 1 FROM t, users u WHERE n < 3)"
            " SELECT x FROM t",
            {"items.a", "users.b"},
            set(),
        ),
        ("SELECT list_sum(list_transform(l, lambda a: a + c)) AS x FROM items", {"items.l", "items.c"}, set()),
        ("SELECT (SELECT max(b) FROM users u WHERE u.id = i.o) AS x FROM items i", {"users", "users.b"}, {"users.id", "items.o"}),
        ("SELECT s.f.g AS x FROM items s", {"items.f"}, set()),
        ("SELECT unnest(skills) AS x FROM items", {"items.skills"}, set()),
        ("SELECT t.x FROM items, unnest(items.skills) AS t(x)", {"items.skills"}, set()),
        ("SELECT x FROM (VALUES (1), (2)) AS v(x)", set(), set()),
        ("FROM items SELECT a AS x QUALIFY row_number() OVER (PARTITION BY k) = 1", {"items.a"}, {"items.k", "items"}),
        ("SELECT DISTINCT ON (k) a AS x FROM items", {"items.a"}, {"items.k"}),
        ("SELECT CASE WHEN a > 0 THEN b ELSE c END AS x FROM items", {"items.a", "items.b", "items.c"}, set()),
        ("SELECT A AS X FROM Items", {"items.A"}, set()),
    ],
)
def test_sql_of_all_shapes_is_traced(sql: str, values: set[str], rows: set[str]) -> None:
    found = {name.lower(): sources for name, sources in trace(sql, TABLES).items()}["x"]
    assert found.values == values
    assert found.rows >= rows
    assert found.rows - rows <= {"items", "users"}


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELEC 1", "DuckDB does not read it"),
        ("DROP TABLE items", "write one SELECT"),
        ("SELECT 1; SELECT 2", "holds 2 statements"),
        ("SELECT a FROM read_parquet('x') JOIN nowhere USING (a)", "there is no table 'nowhere'"),
    ],
)
def test_what_cannot_be_traced_is_refused_by_name(sql: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"own.sql: .*{reason}"):
        trace(sql, TABLES, "own.sql")

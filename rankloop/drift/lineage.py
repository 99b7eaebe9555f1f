"""From which raw columns of the contract tables each feature is computed.

The package does not offer it: it needs the features, which take a second to load, and reports are read where none are.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from rankloop.contracts import SCHEMAS, Columns
from rankloop.drift.sources import NOTHING, Relation, Sources, base, union
from rankloop.drift.sql import trace
from rankloop.features.crosses import RATIOS
from rankloop.features.registry import FeatureView
from rankloop.features.relations import DAY, EXPECTED_CLICK

__all__ = ["CROSSES", "KEY_SOURCES", "RETRIEVED", "lineage", "raw_tables"]


def _values(*names: str) -> Sources:
    return Sources(frozenset(names))


def _by(values: str, *rows: str) -> Sources:
    return Sources(frozenset({values}), frozenset(rows))


KEY_SOURCES: Final[Mapping[str, str]] = {
    Columns.USER_ID: "users.user_id",
    Columns.ITEM_ID: "items.item_id",
    Columns.QUERY: "impressions.query",
    Columns.CATEGORY: "items.category",
    Columns.OWNER_ID: "items.owner_id",
    Columns.COUNTRY: "users.country",
    Columns.SURFACE: "impressions.surface",
}
"""Where a request or a candidate has each key of a view from."""

CROSSES: Final[Mapping[str, Sources]] = {
    "skill_overlap": _values("items.skills", "users.skills"),
    "skill_share": _values("items.skills", "users.skills"),
    "skill_weighted_share": _values("items.skills", "users.skills"),
    "query_tokens": _values("impressions.query"),
    "query_title_share": _values("impressions.query", "items.title"),
    "query_skill_share": _values("impressions.query", "items.skills"),
    "title_query_share": _values("impressions.query", "items.title"),
    "title_headline_share": _values("items.title", "users.headline"),
    "same_country": _values("items.country", "users.country"),
    "local_hour": _values("impressions.ts", "users.utc_offset_hours"),
    "local_weekday": _values("impressions.ts", "users.utc_offset_hours"),
}
"""Of the features made from both sides of a row; the log ratios follow their two features."""

_ITEM_TEXT: Final = ("items.title", "items.description", "items.skills")
_USER_TEXT: Final = ("users.headline", "users.skills")
_ACTS: Final = ("outcomes", "outcomes.kind", "outcomes.item_id", "outcomes.ts")

RETRIEVED: Final[Mapping[str, Sources]] = {
    "popular": _values(*_ACTS, "impressions.surface"),
    "als": _values(*_ACTS, "outcomes.user_id"),
    "bm25": _values(*_ITEM_TEXT, "impressions.query"),
    "profile": _values(*_ITEM_TEXT, *_USER_TEXT),
    "similar": _values(*_ACTS, *_ITEM_TEXT, "outcomes.user_id"),
    "semantic": _values(*_ITEM_TEXT, *_USER_TEXT, "impressions.query"),
}
"""Of each retriever's score."""


def raw_tables() -> dict[str, Relation]:
    """The relations that feature views read, each column with the raw columns it comes from.

    The contract's own columns come from themselves, and so does any further column of a table.

    Example:
        >>> raw_tables()["outcomes"].find("category").values
        frozenset({'items.category'})
    """
    own = {table: {name: _values(f"{table}.{name}") for name in columns} for table, columns in SCHEMAS.items()}
    del own["impressions"][Columns.FEATURES]
    for table in ("impressions", "outcomes"):
        item, user = f"{table}.item_id", f"{table}.user_id"
        own[table] |= {
            Columns.CATEGORY: _by("items.category", item),
            Columns.OWNER_ID: _by("items.owner_id", item),
            Columns.COUNTRY: _by("users.country", user),
            DAY: _values(f"{table}.ts"),
        }
    answers = ("outcomes.request_id", "outcomes.item_id")
    own["outcomes"] |= {name: _by(f"impressions.{name}", *answers) for name in (Columns.SURFACE, Columns.QUERY, Columns.POSITION)}
    places = frozenset({"impressions", "impressions.surface", "impressions.position", "outcomes", "outcomes.kind"})
    own["impressions"][EXPECTED_CLICK] = Sources(places, frozenset({"impressions.ts", "outcomes.ts", *answers}))
    return {table: base(table, columns) for table, columns in own.items()}


def lineage(
    views: Sequence[FeatureView], retrievers: Sequence[str] = (), further: Mapping[str, Sources] | None = None
) -> dict[str, Sources]:
    """The raw columns of every feature that an `Assembler` of these views and retrievers gives.

    Views are traced by their text, a user's own as well as those that come with Rankloop. It is of features, not of models: what
    a ranker makes of them is its importance.

    Args:
        views: see `rankloop.features.load_views`.
        retrievers: their names; one that `RETRIEVED` does not know comes from all of `further[<name>_score]`, or nothing.
        further: sources of features made elsewhere, by name; they win.

    Returns:
        By feature; `values` are columns whose numbers go into it, `rows` those that decide which rows do and under which key.

    Raises:
        DataError: a view is not a SELECT over the contract tables; the message names its file.

    Example:
        >>> from rankloop.features import load_views
        >>> found = lineage(load_views(), ["bm25"])
        >>> sorted(found["item_daily_pay"].values), sorted(found["budget_fit"].tables)
        (['items.budget', 'items.duration_days'], ['items', 'outcomes'])
    """
    tables = raw_tables()
    found: dict[str, Sources] = {}
    for view in views:
        traced = trace(view.sql, tables, view.file)
        keys = Sources(rows=frozenset(KEY_SOURCES[key] for key in view.keys))
        for feature in view.features:
            own = traced.get(feature.name, NOTHING) | keys
            found[feature.name] = Sources(own.values, own.rows - own.values)
    found.update(CROSSES)
    for name, _, over, under in RATIOS:
        if over in found and under in found:
            found[name] = union((found[over], found[under]))
    found.update({f"{name}_score": RETRIEVED.get(name, NOTHING) for name in retrievers})
    return {**found, **(further or {})}

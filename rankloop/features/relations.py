"""What a feature view may read: the contract tables, with the joins every view would repeat."""

from datetime import datetime
from typing import Final

import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.text import normalise

__all__ = ["DAY", "EXPECTED_CLICK", "cut", "last_moment", "relations"]

DAY: Final = "day"
"""The UTC date of an event."""

EXPECTED_CLICK: Final = "expected_click"
"""How likely any item is clicked at an impression's surface and position."""

_DEEPEST: Final = 50
"""Positions below this one share one click rate."""

_PRIOR_CLICKS: Final = 1.0
_PRIOR_SHOWN: Final = 20.0
_PLACE: Final = "place"
_RATE: Final = pl.Decimal(18, 9)


def relations(tables: Tables) -> dict[str, pl.DataFrame]:
    """The four tables as views see them.

    | relation | beside the contract's columns |
    |---|---|
    | items, users | nothing |
    | impressions | `day`; `query` normalised; the item's `category`, `owner_id`; the user's `country`; `expected_click` |
    | outcomes | the same but the last; `surface`, `query` and `position` of the impression it answers |

    `expected_click` is the share of impressions of the same surface and position that were clicked, over
    everything up to the end of the impression's day, plus 1 click in 20: it may be used from the next
    midnight on. It is a DECIMAL, so that its sums do not depend on their order. An outcome without a
    `request_id`, or older than the impression it names, has no surface, query and position.
    """
    shown = _impressions(tables)
    done = _outcomes(tables, shown)
    shown = _with_expected_click(shown, done)
    return {"items": tables.items, "users": tables.users, "impressions": shown, "outcomes": done}


def last_moment(tables: Tables) -> datetime | None:
    """The time of the last thing that happened in the tables; None where nothing did."""
    latest = [
        tables.impressions[Columns.TS].max(),
        tables.outcomes[Columns.TS].max(),
        tables.items[Columns.CREATED_AT].max(),
        tables.users[Columns.CREATED_AT].max(),
    ]
    return max((moment for moment in latest if isinstance(moment, datetime)), default=None)


def cut(tables: Tables, ts: datetime) -> Tables:
    """The tables as they were at `ts`: events strictly before it, items and users created by then, later closings unknown."""
    closed = pl.when(pl.col(Columns.CLOSED_AT) < ts).then(pl.col(Columns.CLOSED_AT)).alias(Columns.CLOSED_AT)
    return Tables(
        items=tables.items.filter(pl.col(Columns.CREATED_AT) <= ts).with_columns(closed),
        users=tables.users.filter(pl.col(Columns.CREATED_AT) <= ts),
        impressions=tables.impressions.filter(pl.col(Columns.TS) < ts),
        outcomes=tables.outcomes.filter(pl.col(Columns.TS) < ts),
    )


def _impressions(tables: Tables) -> pl.DataFrame:
    frame = tables.impressions.drop(Columns.FEATURES)
    queries = frame[Columns.QUERY].unique().drop_nulls()
    keys = pl.Series([normalise(query) for query in queries], dtype=pl.String)
    normal = pl.col(Columns.QUERY).replace_strict(queries, keys, default=None, return_dtype=pl.String)
    return _with_attributes(frame.with_columns(normal), tables)


def _outcomes(tables: Tables, shown: pl.DataFrame) -> pl.DataFrame:
    link = [Columns.REQUEST_ID, Columns.ITEM_ID]
    shown_at = "shown_at"
    places = [Columns.SURFACE, Columns.QUERY, Columns.POSITION]
    asked = shown.select(*link, *places, pl.col(Columns.TS).alias(shown_at)).unique(link, keep="first", maintain_order=True)
    joined = tables.outcomes.join(asked, on=link, how="left", maintain_order="left")
    in_order = pl.col(shown_at) <= pl.col(Columns.TS)
    joined = joined.with_columns(pl.when(in_order).then(pl.col(name)).alias(name) for name in places)
    return _with_attributes(joined.drop(shown_at), tables)


def _with_attributes(events: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    items = tables.items.select(Columns.ITEM_ID, Columns.CATEGORY, Columns.OWNER_ID)
    users = tables.users.select(Columns.USER_ID, Columns.COUNTRY)
    return (
        events.join(items, on=Columns.ITEM_ID, how="left", maintain_order="left")
        .join(users, on=Columns.USER_ID, how="left", maintain_order="left")
        .with_columns(pl.col(Columns.TS).dt.date().alias(DAY))
    )


def _with_expected_click(shown: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    place = pl.min_horizontal(pl.col(Columns.POSITION), _DEEPEST).cast(pl.Int32).alias(_PLACE)
    at = [Columns.SURFACE, _PLACE]
    clicks = done.filter((pl.col(Columns.KIND) == "click") & pl.col(Columns.POSITION).is_not_null())
    daily = pl.concat(
        [
            shown.with_columns(place).group_by(*at, DAY).agg(n=pl.len().cast(pl.Int64), clicks=pl.lit(0, pl.Int64)),
            clicks.with_columns(place).group_by(*at, DAY).agg(n=pl.lit(0, pl.Int64), clicks=pl.len().cast(pl.Int64)),
        ]
    )
    daily = daily.group_by(*at, DAY).agg(pl.col("n", "clicks").sum()).sort(*at, DAY)
    so_far = daily.with_columns(pl.col("n", "clicks").cum_sum().over(at))
    rate = (pl.col("clicks") + _PRIOR_CLICKS) / (pl.col("n") + _PRIOR_SHOWN)
    curve = so_far.select(*at, DAY, rate.clip(0, 1).cast(_RATE).alias(EXPECTED_CLICK))
    return shown.with_columns(place).join(curve, on=[*at, DAY], how="left", maintain_order="left").drop(_PLACE)

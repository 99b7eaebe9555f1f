"""What the other tables know about a row, joined to it so that a rule is one expression."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from rankloop.contracts.columns import Columns

__all__ = ["GOOD", "Facts", "with_facts"]

GOOD: Final = "~good"
"""The boolean column that says whether a row of a table already judged keeps its place."""

_ITEM_GOOD, _ITEM_CREATED_AT = "~item good", "~item created at"
_USER_GOOD, _USER_CREATED_AT = "~user good", "~user created at"
_SHOWN_GOOD, _SHOWN_AT, _SHOWN_TO = "~impression good", "~shown at", "~shown to"


class Facts:
    """Facts as expressions, for the rules; null where the other table has no such row.

    `*_GOOD` is true where a good row is named, false where only rows in quarantine are.
    """

    ITEM_GOOD: Final = pl.col(_ITEM_GOOD)
    ITEM_CREATED_AT: Final = pl.col(_ITEM_CREATED_AT)
    USER_GOOD: Final = pl.col(_USER_GOOD)
    USER_CREATED_AT: Final = pl.col(_USER_CREATED_AT)
    IMPRESSION_GOOD: Final = pl.col(_SHOWN_GOOD)
    SHOWN_AT: Final = pl.col(_SHOWN_AT)
    SHOWN_TO: Final = pl.col(_SHOWN_TO)
    OTHER_REQUEST: Final = pl.any_horizontal(
        pl.col(column).ne_missing(pl.col(column).first().over(Columns.REQUEST_ID))
        for column in (Columns.USER_ID, Columns.SURFACE, Columns.QUERY)
    )


def with_facts(table: str, frame: pl.DataFrame, judged: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Adds the facts of `table`, row for row; `judged` holds the earlier tables, each with the column `GOOD`."""
    if table in ("items", "users"):
        return frame
    created = pl.col(Columns.CREATED_AT)
    items = _by_key(judged["items"], [Columns.ITEM_ID], {_ITEM_GOOD: pl.col(GOOD), _ITEM_CREATED_AT: created})
    users = _by_key(judged["users"], [Columns.USER_ID], {_USER_GOOD: pl.col(GOOD), _USER_CREATED_AT: created})
    frame = frame.join(items, on=Columns.ITEM_ID, how="left", maintain_order="left")
    frame = frame.join(users, on=Columns.USER_ID, how="left", maintain_order="left")
    if table == "impressions":
        return frame
    key = [Columns.REQUEST_ID, Columns.ITEM_ID]
    named = judged["impressions"].join(frame.select(key).drop_nulls(), on=key, how="semi")
    facts = {_SHOWN_GOOD: pl.col(GOOD), _SHOWN_AT: pl.col(Columns.TS), _SHOWN_TO: pl.col(Columns.USER_ID)}
    return frame.join(_by_key(named, key, facts), on=key, how="left", maintain_order="left")


def _by_key(judged: pl.DataFrame, key: list[str], facts: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """One row a key: a good one where there is one."""
    wanted = judged.select(*key, **facts)
    good = next(iter(facts))
    return wanted.sort(good, descending=True, maintain_order=True).unique(key, keep="first", maintain_order=True)

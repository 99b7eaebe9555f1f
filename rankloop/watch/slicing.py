"""Which slices each row of a relation is in: by who asks and by what is shown."""

from datetime import timedelta
from typing import Final

import polars as pl

from rankloop.contracts import Columns, Tables

__all__ = ["labels_of"]

_NEW: Final = timedelta(days=28)
_COUNTRY: Final = f"users.{Columns.COUNTRY}"


def labels_of(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """The slices of each row, a column a dimension; null where a row is in none of it.

        country        of the person
        people         new: in the table of users for less than 28 days
        category       of the item
        item_country   of the item

    Args:
        rows: of a relation, with the ids and the moments of its rows, or the country of users.
        tables: say whose ids those are.

    Example:
        >>> from rankloop.testing import known_world
        >>> world = known_world(days=9)
        >>> labels_of(world.outcomes, world).columns
        ['country', 'people', 'category', 'item_country']
    """
    found = [rows[_COUNTRY].alias(Columns.COUNTRY)] if _COUNTRY in rows.columns else []
    if Columns.USER_ID in rows.columns:
        known = tables.users.select(Columns.USER_ID, Columns.COUNTRY, pl.col(Columns.CREATED_AT).alias("~since"))
        people = rows.select(Columns.USER_ID, Columns.TS).join(known, on=Columns.USER_ID, how="left", maintain_order="left")
        new = pl.when(pl.col(Columns.TS) - pl.col("~since") < _NEW).then(pl.lit("new")).alias("people")
        found += people.select(Columns.COUNTRY, new).get_columns()
    if Columns.ITEM_ID in rows.columns:
        known = tables.items.select(Columns.ITEM_ID, Columns.CATEGORY, pl.col(Columns.COUNTRY).alias("item_country"))
        items = rows.select(Columns.ITEM_ID).join(known, on=Columns.ITEM_ID, how="left", maintain_order="left")
        found += items.drop(Columns.ITEM_ID).get_columns()
    return pl.DataFrame(found)

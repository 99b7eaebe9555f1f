"""Times, requests and titles for data that has none: only who chose what, in which order."""

from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from rankloop.contracts import UTC as UTC_TIME
from rankloop.contracts import Columns
from rankloop.sources.files import Frames, named

__all__ = ["HISTORY_DAYS", "START", "frames"]

START: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""The first artificial day."""

HISTORY_DAYS: Final = 90
"""Days over which everything but the held-out interactions is spread."""

_EARLIER: Final = timedelta(seconds=1)


def frames(events: pl.DataFrame) -> Frames:
    """The four tables from choices on artificial days.

    Every item and user exists from just before `START`, an item's title is its id, and everything shown was
    clicked, one second a position after the request. So popularity by time, ages and seasons mean nothing here.

    Args:
        events: `user` and `item` (text), `day` (whole days after `START`; may be a fraction), in the order of
            each user's choices; a user's choices with the same `day` form one request.
    """
    moment = pl.lit(START).cast(UTC_TIME) + pl.duration(microseconds=(pl.col("day") * 86_400_000_000).round().cast(pl.Int64))
    request = ["user", "day"]
    log = events.with_columns(
        ts=moment,
        request_id=pl.concat_str(pl.col("user"), pl.col("day").rank("dense").over("user"), separator="-"),
        position=pl.int_range(1, pl.len() + 1).over(request),
    )
    earlier = pl.lit(START - _EARLIER).cast(UTC_TIME)
    who: dict[str, str | pl.Expr] = {Columns.USER_ID: "user", Columns.ITEM_ID: "item", Columns.REQUEST_ID: "request_id"}
    acted_at = pl.col("ts") + pl.duration(seconds=pl.col("position"))
    items, users = (events.select(pl.col(column).unique(maintain_order=True)) for column in ("item", "user"))
    return {
        "items": items.select(named({Columns.ITEM_ID: "item", Columns.TITLE: "item", Columns.CREATED_AT: earlier})),
        "users": users.select(named({Columns.USER_ID: "user", Columns.CREATED_AT: earlier})),
        "impressions": log.select(
            named(who | {Columns.TS: "ts", Columns.POSITION: "position", Columns.SURFACE: pl.lit("job_feed")})
        ),
        "outcomes": log.select(named(who | {Columns.TS: acted_at, Columns.KIND: pl.lit("click")})),
    }

"""Splits for collaborative filtering as LightGCN publishes them: `train.txt` and `test.txt`, `user item item ...`."""

import polars as pl

from rankloop.sources import artificial
from rankloop.sources.files import Frames, existing, folder, lists

__all__ = ["read"]


def read(path: str) -> Frames:
    """Reads `train.txt` and `test.txt` (or `.gz`) from a folder.

    The format has no times, titles or lists that were shown, so this makes them up (see `artificial`): the
    order within a line is taken as order in time, which it is not; train fills `artificial.HISTORY_DAYS` days
    and the test is the day after. Items that a user meets on one artificial day form one request; a user's
    whole test set is one request.

    Args:
        path: the folder.

    Raises:
        SourceError: a file is missing, or a user has two lines in one.
    """
    place = folder(path)
    train, test = (lists(existing(place, name)) for name in ("train.txt", "test.txt"))
    day = pl.col("nth") * artificial.HISTORY_DAYS // pl.col("of")
    events = pl.concat([train.with_columns(day=day), test.with_columns(day=pl.lit(artificial.HISTORY_DAYS, pl.Int64))])
    events = events.unique(["user", "item", "day"], keep="first", maintain_order=True)
    return artificial.frames(events.collect(engine="streaming"))

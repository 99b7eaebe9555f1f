"""Samples of a period's rows for charts."""

from typing import Final

import polars as pl

__all__ = ["CHARTED", "stratified"]

CHARTED: Final = 4_000
"""Rows of a relation that a chart is drawn from."""


def stratified(frame: pl.DataFrame, most: int = CHARTED, *, moment: str = "ts", seed: int = 0) -> pl.DataFrame:
    """About `most` rows, of each hour its share and one at least, so that a short fault is in the chart; order is kept.

    Args:
        frame: the rows.
        most: how many are wanted; an hour's share is rounded up.
        moment: the column whose hours are the strata.
        seed: draws the rows.

    Example:
        >>> from datetime import UTC, datetime
        >>> hours = [datetime(2026, 5, 4, 0, tzinfo=UTC)] * 99 + [datetime(2026, 5, 4, 1, tzinfo=UTC)]
        >>> stratified(pl.DataFrame({"ts": hours}), 10)["ts"].n_unique()
        2
    """
    if frame.height <= most:
        return frame
    place = pl.int_range(pl.len()).shuffle(seed).over(pl.col(moment).dt.truncate("1h"))
    size = pl.len().over(pl.col(moment).dt.truncate("1h"))
    return frame.filter(place < (size * most / frame.height).ceil())

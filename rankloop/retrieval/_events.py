"""Outcomes as arrays of codes: what every retriever that learns from behaviour starts from."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import KINDS, UTC, Columns, Tables
from rankloop.errors import ModelError
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Events", "check_weights", "events", "last_moment", "with_others"]


class Events(NamedTuple):
    """Outcomes that count, in order of time.

    Attributes:
        users: everybody with an outcome that counts, by id.
        user: `(events,)` codes in `users`.
        item: `(events,)` codes of the items that were asked for.
        weight: `(events,)` what the outcome's kind is worth, above 0.
        ts: `(events,)` microseconds since the epoch.
        age: `(events,)` days from the outcome to the end of the history.
        surface: `(events,)` where the outcome's impression was; null where it has none.
    """

    users: Vocabulary
    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]
    ts: npt.NDArray[np.int64]
    age: npt.NDArray[np.float64]
    surface: pl.Series


def events(tables: Tables, items: Vocabulary, weights: Mapping[str, float]) -> Events:
    """The outcomes on `items` whose kind has a weight above 0."""
    surfaces = tables.impressions.select(Columns.REQUEST_ID, Columns.SURFACE).unique(Columns.REQUEST_ID, keep="first")
    worth = pl.col(Columns.KIND).replace_strict(dict(weights), default=0.0, return_dtype=pl.Float64)
    log = (
        tables.outcomes.select(Columns.TS, Columns.USER_ID, Columns.ITEM_ID, Columns.REQUEST_ID, worth.alias("weight"))
        .with_columns(item=pl.Series(items.encode(tables.outcomes[Columns.ITEM_ID])))
        .filter(pl.col("weight") > 0, pl.col("item") != UNKNOWN)
        .join(surfaces, on=Columns.REQUEST_ID, how="left")
        .sort(Columns.TS, Columns.USER_ID, Columns.ITEM_ID, "weight")
    )
    users = Vocabulary(log[Columns.USER_ID].unique().sort())
    since = (pl.lit(last_moment(tables), dtype=UTC) - pl.col(Columns.TS)).dt.total_microseconds() / 86_400e6
    return Events(
        users=users,
        user=users.encode(log[Columns.USER_ID]),
        item=log["item"].to_numpy(),
        weight=log["weight"].to_numpy(),
        ts=log[Columns.TS].dt.epoch("us").to_numpy(),
        age=log.select(since).to_series().to_numpy(),
        surface=log[Columns.SURFACE],
    )


def with_others(catalogue: Vocabulary, tables: Tables) -> Vocabulary:
    """The catalogue, and after it the items that are not to be scored but were acted on: closed ones teach tastes too."""
    acted = tables.outcomes[Columns.ITEM_ID].unique().sort()
    return Vocabulary([*catalogue.terms, *(item for item in acted if item not in catalogue)])


def last_moment(tables: Tables) -> datetime | None:
    """When the last thing happened; None in an empty log."""
    moments = [frame[Columns.TS].max() for frame in (tables.impressions, tables.outcomes) if frame.height]
    return max((moment for moment in moments if isinstance(moment, datetime)), default=None)


def check_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """A copy of weights by kind; raises ModelError where a kind is unknown or a weight cannot be."""
    for kind, weight in weights.items():
        if kind not in KINDS or not 0 <= weight < np.inf:
            raise ModelError(f"weight {weight} for outcome kind {kind!r}: kinds are {list(KINDS)}, weights finite and at least 0")
    return dict(weights)

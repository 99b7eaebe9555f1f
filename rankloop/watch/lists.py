"""Lists as rows: what each item was ranked by, as a service logged it, or as the release would rank now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from rankloop.contracts import UTC, Columns, Tables
from rankloop.recommender import Recommender
from rankloop.request import Request

__all__ = ["LENGTH", "logged_lists", "made_lists", "requests_of", "shown_lists"]

LENGTH: Final = 10
"""Items of a list that is made to be looked at."""


_NTH: Final = "~nth of the person"
_WHOSE: Final[dict[str, Any]] = {
    Columns.USER_ID: pl.String,
    Columns.ITEM_ID: pl.String,
    Columns.TS: UTC,
}


def logged_lists(shown: pl.DataFrame, features: Sequence[str], release_id: str) -> pl.DataFrame:
    """The items of lists that a release showed, with what they were ranked by.

    Args:
        shown: impressions as the log has them, or as the contract has them (then without score, source and fallback).
        features: the release's, in order.
        release_id: whose lists; those of others were ranked by other features.

    Returns:
        A column a feature (null where it was undefined), `score`, `source` and `fallback` where they are logged, and whose row it
        is: `user_id`, `item_id`, `ts`. Items that were not ranked have no row.
    """
    wide = pl.col(Columns.FEATURES).list.len() == len(features)
    own = shown.filter((pl.col(Columns.RELEASE_ID) == release_id) & wide)
    told = [name for name in (Columns.SCORE, Columns.SOURCE, Columns.FALLBACK) if name in own.columns]
    values = own[Columns.FEATURES].list.to_array(len(features)).to_numpy() if own.height else np.empty((0, len(features)))
    return _rows(values, features, own.select(*told, Columns.USER_ID, Columns.ITEM_ID, Columns.TS))


def made_lists(recommender: Recommender, requests: Sequence[Request]) -> pl.DataFrame:
    """The first places of the lists that a release would show for these requests, in the form of `logged_lists`."""
    ranked = [recommender.recommend(request, LENGTH) for request in requests]
    sizes = np.array([len(own.items) for own in ranked], np.int64)
    names = recommender.assembler.names
    values = np.concatenate([np.empty((0, len(names)), np.float32), *(own.features for own in ranked)])
    asked = [request for request, size in zip(requests, sizes, strict=True) for _ in range(size)]
    rows = pl.DataFrame(
        {
            Columns.SCORE: np.concatenate([np.empty(0, np.float32), *(own.scores for own in ranked)]),
            Columns.SOURCE: [source for own in ranked for source in own.sources],
            Columns.USER_ID: [request.user_id for request in asked],
            Columns.ITEM_ID: [item for own in ranked for item in recommender.assembler.catalogue.decode(own.items)],
            Columns.TS: [request.ts for request in asked],
        },
        schema_overrides={Columns.SOURCE: pl.String, **_WHOSE},
    )
    return _rows(values, names, rows)


def shown_lists(
    recommender: Recommender,
    tables: Tables,
    surface: str,
    since: datetime,
    until: datetime,
    *,
    most: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """The items that people were shown, by whomever, with the features they have, of a sample of requests.

    What retrievers and the ranker say of them is left out: they know nothing of items that came after them.
    """
    asked = _sampled(tables, surface, since, until, most, rng).drop(Columns.ITEM_ID)
    inside = (pl.col(Columns.TS) >= since) & (pl.col(Columns.TS) < until)
    shown = tables.impressions.filter(inside).join(asked.select(Columns.REQUEST_ID), on=Columns.REQUEST_ID, how="semi")
    lists = shown.group_by(Columns.REQUEST_ID).agg(Columns.ITEM_ID)
    lists = asked.join(lists, on=Columns.REQUEST_ID, how="left", maintain_order="left")
    assembler, requests = recommender.assembler, _requests(asked)
    codes = [assembler.catalogue.encode(own) for own in lists[Columns.ITEM_ID].to_list()]
    kept = [name for name in assembler.names if name not in {f"{own.name}_score" for own in assembler.retrievers}]
    values = assembler.assemble(requests, codes)
    more = pl.DataFrame(
        {
            Columns.USER_ID: [own.user_id for own, items in zip(requests, codes, strict=True) for _ in items],
            Columns.ITEM_ID: [item for items in lists[Columns.ITEM_ID] for item in items],
            Columns.TS: [own.ts for own, items in zip(requests, codes, strict=True) for _ in items],
        },
        schema=_WHOSE,
    )
    return _rows(values, assembler.names, more).select(*kept, Columns.USER_ID, Columns.ITEM_ID, Columns.TS)


def requests_of(
    tables: Tables, surface: str, since: datetime, until: datetime, *, most: int, rng: np.random.Generator
) -> list[Request]:
    """A sample of the requests of `[since, until)`, in order of time, of as many people as there are.

    People repeat themselves: the first request of each comes before the second of any.
    """
    return _requests(_sampled(tables, surface, since, until, most, rng))


def _sampled(tables: Tables, surface: str, since: datetime, until: datetime, most: int, rng: np.random.Generator) -> pl.DataFrame:
    inside = (pl.col(Columns.TS) >= since) & (pl.col(Columns.TS) < until) & (pl.col(Columns.SURFACE) == surface)
    asked = tables.impressions.filter(inside).sort(Columns.TS, Columns.REQUEST_ID)
    first = asked.unique(Columns.REQUEST_ID, keep="first", maintain_order=True)
    drawn = first[rng.permutation(first.height)].with_columns(pl.int_range(pl.len()).over(Columns.USER_ID).alias(_NTH))
    return drawn.sort(_NTH, maintain_order=True).head(most).sort(Columns.TS, Columns.REQUEST_ID)


def _requests(chosen: pl.DataFrame) -> list[Request]:
    columns = (Columns.USER_ID, Columns.SURFACE, Columns.TS, Columns.QUERY)
    return [
        Request(user_id=user, surface=place, ts=ts, query=query) for user, place, ts, query in chosen.select(columns).iter_rows()
    ]


def _rows(values: np.ndarray, names: Sequence[str], more: pl.DataFrame) -> pl.DataFrame:
    frame = pl.DataFrame({name: np.ascontiguousarray(values[:, place]) for place, name in enumerate(names)})
    return frame.with_columns(pl.all().fill_nan(None)).hstack(more)

"""Features shown are features logged: read them back, and prove that they can be rebuilt."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import Columns
from rankloop.errors import DataError
from rankloop.features.assembler import Assembler
from rankloop.request import Request

__all__ = ["logged", "parity"]

Matrix = npt.NDArray[np.float32]

_REQUEST = (Columns.REQUEST_ID, Columns.USER_ID, Columns.SURFACE, Columns.TS, Columns.QUERY)


def logged(impressions: pl.DataFrame, names: Sequence[str]) -> Matrix:
    """The features that were shown, as the service logged them.

    Args:
        impressions: contract rows, each with its features.
        names: the features of the release that served them, in its order.

    Returns:
        `(rows, len(names))` float32, NaN where a feature was undefined.

    Raises:
        DataError: a row has no logged features, or another number of them.

    Example:
        >>> frame = pl.DataFrame({"features": [[1.0, None], [3.0, 4.0]]}, schema={"features": pl.List(pl.Float32)})
        >>> logged(frame, ["clicks", "age"])
        array([[ 1., nan],
               [ 3.,  4.]], dtype=float32)
    """
    lists = impressions[Columns.FEATURES]
    wrong = int((lists.list.len() != len(names)).fill_null(True).sum())
    if wrong:
        raise DataError(
            f"{wrong} of {len(lists)} impressions have not {len(names)} logged features; keep the rows of one release that logged"
        )
    flat = lists.explode(empty_as_null=False).cast(pl.Float32).fill_null(np.nan).to_numpy()
    return flat.reshape(len(lists), len(names))


def parity(impressions: pl.DataFrame, assembler: Assembler) -> pl.DataFrame:
    """Rebuilds logged features and says where they differ.

    It is not a drift report: equal means equal to the bit, NaN equals NaN. The assembler must know what the release
    knew: a store computed from the raw events up to the release's last moment, `latest`, and its retrievers.

    Args:
        impressions: contract rows; those without logged features are left out.
        assembler: of the release, rebuilt from raw events.

    Returns:
        A row a feature, the worst first: `feature`, `rows` compared, `differ` (how many are not equal), `largest` (the
        largest absolute difference among numbers), and of the first row that differs `request_id`, `item_id`, `logged`
        and `rebuilt`.

    Raises:
        DataError: a row logged another number of features than the assembler makes.
    """
    rows = impressions.filter(pl.col(Columns.FEATURES).is_not_null()).sort(*_REQUEST, maintain_order=True)
    was = logged(rows, assembler.names)
    grouped = rows.group_by(*_REQUEST, maintain_order=True).agg(pl.col(Columns.ITEM_ID))
    requests = [
        Request(user, surface, ts, query)
        for user, surface, ts, query in grouped.select(Columns.USER_ID, Columns.SURFACE, Columns.TS, Columns.QUERY).rows()
    ]
    codes = [assembler.catalogue.encode(items) for items in grouped[Columns.ITEM_ID].to_list()]
    now = assembler.assemble(requests, codes)
    unequal = (was != now) & ~(np.isnan(was) & np.isnan(now))
    largest = np.fmax.reduce(np.abs(was - now), axis=0, initial=0.0)
    first = unequal.argmax(axis=0) if len(rows) else np.zeros(len(assembler.names), np.int64)
    differ = unequal.sum(axis=0)
    places = [int(row) if count else None for row, count in zip(first, differ, strict=True)]
    ids = rows.select(Columns.REQUEST_ID, Columns.ITEM_ID).rows()
    shown = [(None, None) if row is None else ids[row] for row in places]
    report = pl.DataFrame(
        {
            "feature": assembler.names,
            "rows": [len(rows)] * len(assembler.names),
            "differ": differ,
            "largest": largest.astype(np.float64),
            Columns.REQUEST_ID: pl.Series([request for request, _ in shown], dtype=pl.String),
            Columns.ITEM_ID: pl.Series([item for _, item in shown], dtype=pl.String),
            "logged": _values(was, places),
            "rebuilt": _values(now, places),
        }
    )
    return report.sort("differ", descending=True, maintain_order=True)


def _values(matrix: Matrix, places: Sequence[int | None]) -> pl.Series:
    return pl.Series([None if row is None else float(matrix[row, i]) for i, row in enumerate(places)], dtype=pl.Float64)

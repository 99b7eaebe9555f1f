"""Every feature view's rows, looked up as they were known at a moment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.errors import BundleError, DataError
from rankloop.features.registry import VALID_FROM, FeatureView, fingerprint, load_views, names_of
from rankloop.features.snapshots import Snapshots
from rankloop.vocabulary import Vocabulary

__all__ = ["FeatureStore"]

Codes = Mapping[str, npt.NDArray[np.int64]]
Matrix = npt.NDArray[np.float32]

_MANIFEST: Final = "store.json"
_FORMAT: Final = 1


class FeatureStore:
    """The rows of feature views in memory, as float32 arrays.

    It computes nothing: `compute` makes the rows. It never answers with a row that was not yet valid; a store of
    the latest rows (see `latest`) takes those as valid always.

    Args:
        views: the views, whose texts the store keeps.
        frames: by view's name, its rows as `compute` returns them.
        latest: `frames` hold one row a key, to be used whatever the time of the request.

    Raises:
        DataError: a view has no frame or a frame lacks a column.

    Example:
        >>> from rankloop.contracts import Tables
        >>> from rankloop.features import compute
        >>> views = load_views()
        >>> store = FeatureStore(views, compute(views, Tables.empty()))
        >>> store.names[:2]
        ('category_jobs_28d', 'category_clicks_28d')
    """

    def __init__(self, views: Sequence[FeatureView], frames: Mapping[str, pl.DataFrame], *, latest: bool = False) -> None:
        self.views = tuple(views)
        self.names = names_of(views)
        self.is_latest = latest
        for view in views:
            missing = [c for c in view.columns if view.name not in frames or c not in frames[view.name].columns]
            if missing:
                raise DataError(f"the rows of view {view.name!r} lack {missing[0]!r}; pass what `compute` returned for it")
        self.frames = {view.name: frames[view.name].select(view.columns) for view in views}
        self.vocabularies = _vocabularies(views, self.frames)
        self._snapshots = [Snapshots(view, self.frames[view.name], self.vocabularies, latest=latest) for view in views]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the views' names and texts: the recipe, not the rows."""
        return fingerprint(self.views)

    def lookup(self, asked: Codes, shown: Codes, ts: npt.NDArray[np.int64], owner: npt.NDArray[np.int64]) -> Matrix:
        """Features of rows, each at the moment of its request.

        Args:
            asked: by key column that belongs to the request, `(requests,)` int64 codes in `vocabularies`; -1 for a
                value never seen, -2 (`ABSENT`) where the request has none.
            shown: the same by key column that belongs to the row's item, `(rows,)`.
            ts: `(requests,)` int64, microseconds since 1970 UTC.
            owner: `(rows,)` int64, each row's request.

        Returns:
            `(rows, len(names))` float32; NaN where a feature is undefined.
        """
        out = np.empty((len(owner), len(self.names)), np.float32)
        moments = ts[owner]
        at = 0
        for part in self._snapshots:
            keys = part.view.keys
            columns = slice(at, at + len(part.view.features))
            if all(key in asked for key in keys):
                own = part.lookup([asked[key] for key in keys], ts)
                out[:, columns] = own if len(own) == 1 else own[owner]
            else:
                one = len(ts) == 1  # its codes stand for all rows
                codes = [shown[key] if key in shown else asked[key] if one else asked[key][owner] for key in keys]
                out[:, columns] = part.lookup(codes, moments)
            at = columns.stop
        return out

    def latest(self) -> "FeatureStore":
        """Only the last row of each key: what a request after the end would get, in a fraction of the memory."""
        frames = {}
        for view in self.views:
            frame = self.frames[view.name]
            last = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(-1)) for key in view.keys)
            frames[view.name] = frame.sort(*view.keys, VALID_FROM).filter(last)
        return FeatureStore(self.views, frames, latest=True)

    def forget_rows(self) -> None:
        """Lets go of the rows as they were computed; what is looked up lies in arrays, but nothing can be saved any more."""
        self.frames = {}

    def save(self, folder: str | Path) -> None:
        """Writes the rows as Parquet, the views' SQL beside them, and `store.json` with the fingerprint."""
        target = Path(folder)
        (target / "views").mkdir(parents=True, exist_ok=True)
        for view in self.views:
            (target / "views" / view.file).write_text(view.sql, "utf-8", newline="")
            self.frames[view.name].write_parquet(target / f"{view.name}.parquet")
        manifest = {"format": _FORMAT, "latest": self.is_latest, "fingerprint": self.fingerprint, "features": list(self.names)}
        (target / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            BundleError: a file is missing, of another format, or a SQL text is not the one that was saved.
        """
        source = Path(folder)
        try:
            manifest = json.loads((source / _MANIFEST).read_text("utf-8"))
            views = load_views(source / "views")
            if manifest["format"] != _FORMAT:
                raise BundleError(f"{source} has format {manifest['format']}; this version reads {_FORMAT}: build it again")
            if manifest["fingerprint"] != fingerprint(views):
                raise BundleError(f"the SQL under {source / 'views'} is not what its rows were computed with: build it again")
            frames = {view.name: pl.read_parquet(source / f"{view.name}.parquet") for view in views}
            return cls(views, frames, latest=manifest["latest"])
        except (OSError, ValueError, KeyError, DataError, pl.exceptions.PolarsError) as error:
            raise BundleError(f"{source} is no feature store: {error}; write one with `FeatureStore.save`") from error


def _vocabularies(views: Sequence[FeatureView], frames: Mapping[str, pl.DataFrame]) -> dict[str, Vocabulary]:
    columns: dict[str, list[pl.Series]] = {}
    for view in views:
        for key in view.keys:
            columns.setdefault(key, []).append(frames[view.name][key].unique())
    return {key: Vocabulary(pl.concat(series).unique().drop_nulls().sort().to_list()) for key, series in columns.items()}

"""The one place where a request and its candidates become a matrix, for training and for serving."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import SCHEMAS, Columns
from rankloop.errors import DataError, ModelError
from rankloop.features.crosses import Batch, Clock, Cross, LogRatios, SameCountry, SkillMatch, TextMatch
from rankloop.features.registry import Feature
from rankloop.features.snapshots import ABSENT
from rankloop.features.store import FeatureStore
from rankloop.request import Request, microseconds
from rankloop.retrieval.base import Retriever
from rankloop.text import tokens
from rankloop.vocabulary import Vocabulary

__all__ = ["Assembler"]

Codes = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

_SHOWN: Final = (Columns.ITEM_ID, Columns.CATEGORY, Columns.OWNER_ID)
_ROWS_AT_ONCE: Final = 1 << 17


class Assembler:
    """Turns requests and their candidates into the ranker's matrix.

    It does not choose candidates and does not score them. Columns, in order: the features of the store, the crosses
    (`skill_overlap`, `rate_fit`, ...), and `<name>_score` for each retriever. A value depends on its own request and
    item only, so one request gives the same numbers alone and among thousands.

    Args:
        store: the features from the views; a store of latest rows in serving.
        items: contract rows of at least the items in `catalogue`.
        users: contract rows of the known users.
        catalogue: the items' codes.
        retrievers: fitted on `catalogue`.

    Raises:
        DataError: an item of the catalogue is not in `items`, or an id is there twice.
        ModelError: two features have one name.

    Example:
        >>> from rankloop.contracts import Tables
        >>> from rankloop.features import compute, load_views
        >>> empty = Tables.empty()
        >>> store = FeatureStore(load_views(), compute(load_views(), empty))
        >>> Assembler(store, empty.items, empty.users, Vocabulary([]), []).names[-3:]
        ('duration_fit', 'pay_fit', 'price_level')
    """

    def __init__(
        self,
        store: FeatureStore,
        items: pl.DataFrame,
        users: pl.DataFrame,
        catalogue: Vocabulary,
        retrievers: Sequence[Retriever],
    ) -> None:
        self.store, self.catalogue, self.retrievers = store, catalogue, tuple(retrievers)
        self._users = Vocabulary(_unique(users, Columns.USER_ID))
        shown = _with_empty_row(_of_catalogue(items, catalogue), "items")
        asking = _with_empty_row(users, "users")
        self._crosses: tuple[Cross, ...] = (
            SkillMatch(shown, asking),
            TextMatch(shown, asking),
            SameCountry(shown, asking),
            Clock(asking),
            LogRatios(store.names),
        )
        self._shown: dict[str, Codes] = {key: self._coded(key, shown[key]) for key in _SHOWN if key in store.vocabularies}
        self._country = self._coded(Columns.COUNTRY, asking[Columns.COUNTRY])
        self.features = self._features()
        self.names = tuple(feature.name for feature in self.features)
        twice = next((name for name in self.names if self.names.count(name) > 1), None)
        if twice:
            raise ModelError(f"feature {twice!r} is there twice; rename the view's feature or the retriever")

    def assemble(self, requests: Sequence[Request], items: Sequence[Codes]) -> Matrix:
        """The matrix of all candidates of all requests.

        Args:
            requests: who asks, when and for what.
            items: by request, `(n,)` int64 codes in the catalogue; -1 for an item it does not hold.

        Returns:
            `(sum of n, len(names))` float32, rows in the order given. NaN where a feature is undefined: an unknown
            user, item or query, except counts, for which never seen is 0.

        Raises:
            DataError: a code is beyond the catalogue, or a request's time has no time zone.
        """
        sizes = np.array([len(own) for own in items], np.int64)
        if len(sizes) != len(requests):
            raise DataError(f"{len(requests)} requests came with {len(sizes)} lists of items; pass one list a request")
        out = np.empty((int(sizes.sum()), len(self.names)), np.float32)
        rows = np.concatenate(([0], np.cumsum(sizes)))
        start = 0
        while start < len(requests):
            # whole requests, one at least
            end = max(start + 1, int(np.searchsorted(rows, rows[start] + _ROWS_AT_ONCE, side="right")) - 1)
            part = out[rows[start] : rows[end]]
            self._fill(requests[start:end], items[start:end], np.repeat(np.arange(end - start), sizes[start:end]), part)
            start = end
        return out

    def _fill(self, requests: Sequence[Request], items: Sequence[Codes], owner: Codes, out: Matrix) -> None:
        flat = np.concatenate(items).astype(np.int64, copy=False)
        if flat.max(initial=-1) >= len(self.catalogue):
            raise DataError(f"item code {flat.max()} is beyond the catalogue of {len(self.catalogue)} items; encode with it")
        unknown = flat < 0
        place = np.where(unknown, len(self.catalogue), flat)
        users = self._users.encode([request.user_id for request in requests])
        ts = np.array([_microseconds(request) for request in requests], np.int64)
        words = _words(requests)
        asked = self._asked(requests, users, words)
        users = np.where(users < 0, len(self._users), users)
        shown = {key: codes[place] for key, codes in self._shown.items()}
        width = len(self.store.names)
        out[:, :width] = self.store.lookup(asked, shown, ts, owner)
        batch = Batch(ts, users, words, owner, place, out[:, :width])
        for cross in self._crosses:
            for values in cross.values(batch):
                out[:, width] = values
                width += 1
        self._score(requests, np.where(unknown, 0, flat), owner, out[:, width:])
        if unknown.any():
            out[unknown, len(self.store.names) :] = np.nan

    def _asked(self, requests: Sequence[Request], users: Codes, words: Sequence[list[str] | None]) -> dict[str, Codes]:
        columns: dict[str, Codes] = {}
        vocabularies = self.store.vocabularies
        if Columns.USER_ID in vocabularies:
            columns[Columns.USER_ID] = vocabularies[Columns.USER_ID].encode([request.user_id for request in requests])
        if Columns.QUERY in vocabularies:
            code = vocabularies[Columns.QUERY].code
            columns[Columns.QUERY] = np.array([ABSENT if own is None else code(" ".join(own)) for own in words], np.int64)
        if Columns.SURFACE in vocabularies:
            columns[Columns.SURFACE] = vocabularies[Columns.SURFACE].encode([request.surface for request in requests])
        columns[Columns.COUNTRY] = self._country[users]
        return columns

    def _score(self, requests: Sequence[Request], items: Codes, owner: Codes, out: Matrix) -> None:
        if not self.retrievers or not len(self.catalogue):
            out[:] = np.nan
            return
        lists = np.split(items, np.searchsorted(owner, np.arange(1, len(requests))))
        for i, retriever in enumerate(self.retrievers):
            scores = np.concatenate(retriever.score_lists(requests, lists))
            if scores.shape != items.shape:
                raise ModelError(f"retriever {retriever.name!r} gave {len(scores)} scores for {len(items)} candidates")
            out[:, i] = scores

    def _coded(self, key: str, values: pl.Series) -> Codes:
        if key not in self.store.vocabularies:
            return np.full(len(values), ABSENT)
        return np.where(values.is_null().to_numpy(), ABSENT, self.store.vocabularies[key].encode(values))

    def _features(self) -> tuple[Feature, ...]:
        stored = [feature for view in self.store.views for feature in view.features]
        crossed = [feature for cross in self._crosses for feature in cross.features]
        scored = [Feature(f"{r.name}_score", f"what the retriever {r.name} thinks of the item", "score") for r in self.retrievers]
        return (*stored, *crossed, *scored)


def _microseconds(request: Request) -> int:
    if request.ts.tzinfo is None:
        raise DataError(f"the time {request.ts} of a request has no time zone; times are UTC: pass datetime(..., tzinfo=UTC)")
    return microseconds(request.ts)


def _words(requests: Sequence[Request]) -> list[list[str] | None]:
    """The tokens of each query, None where there is none; joined by blanks they are what `normalise` gives."""
    known: dict[str | None, list[str] | None] = {}
    for request in requests:
        if request.query not in known:
            known[request.query] = tokens(request.query) or None
    return [known[request.query] for request in requests]


def _unique(frame: pl.DataFrame, key: str) -> list[str]:
    ids: list[str] = frame[key].to_list()
    if len(set(ids)) != len(ids):
        twice = frame[key].filter(frame[key].is_duplicated())[0]
        raise DataError(f"{key} {twice!r} is there twice; validate the table first (`rankloop.contracts.validate`)")
    return ids


def _of_catalogue(items: pl.DataFrame, catalogue: Vocabulary) -> pl.DataFrame:
    known = Vocabulary(_unique(items, Columns.ITEM_ID))
    rows = known.encode(catalogue.terms)
    if (rows < 0).any():
        missing = [catalogue.terms[i] for i in np.flatnonzero(rows < 0)]
        raise DataError(f"{len(missing)} items of the catalogue are not in the items table, such as {missing[:3]}; pass them all")
    return items[rows]


def _with_empty_row(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """The contract's columns and one more row, all null: what is not known of somebody not known."""
    rows = frame.select(pl.col(name).cast(kind) for name, kind in SCHEMAS[table].items())
    return pl.concat([rows, pl.DataFrame({name: [None] for name in rows.columns}, schema=rows.schema)])

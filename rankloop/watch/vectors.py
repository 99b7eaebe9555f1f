"""The vectors of texts: where items and searches lie, by the release's own encoder or by one that the reference brings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from rankloop.contracts import Columns
from rankloop.drift.sources import Sources
from rankloop.retrieval import Retriever, Semantic
from rankloop.text import Encoder, tokens

__all__ = ["ITEMS", "QUERIES", "VECTORS", "WordVectors", "encoder_of", "vectors_of", "with_vectors", "words_of"]

ITEMS: Final = "items.embedding"
QUERIES: Final = "impressions.query_embedding"

_MADE_OF: Final[Mapping[str, Sources]] = {
    ITEMS: Sources(
        frozenset({f"items.{Columns.TITLE}", f"items.{Columns.DESCRIPTION}"}), frozenset({f"items.{Columns.CATEGORY}"})
    ),
    QUERIES: Sources(frozenset({f"impressions.{Columns.QUERY}"})),
}
"""Where items lie depends on which categories they have: a category that is gone moves them, and skews nothing."""

_BUCKETS: Final = 2_048
_DIMS: Final = 16
_FEWEST: Final = 50
_LEARNED: Final = 5_000
_MOST: Final = 3_000
"""Texts of a period that are made vectors."""

_MOST_ENCODED: Final = 1_000
"""The same where an encoder makes them: it takes some milliseconds for each."""

VECTORS: Final[Mapping[str, str]] = {"items": "item-vectors", "requests": "query-vectors"}
"""The relation of the vectors of a relation's texts."""

_filled: Final = [
    pl.when(pl.col(f"items.{name}").str.strip_chars() != "").then(pl.col(f"items.{name}"))
    for name in (Columns.TITLE, Columns.DESCRIPTION)
]
_item_text: Final = pl.concat_str(_filled, separator=". ", ignore_nulls=True)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class WordVectors:
    """Words to 16 numbers, for a release without an encoder: rarity of hashed words, and the directions of most variance.

    It tells texts like the reference's from others, and does not understand them: no retriever uses it. A vector is as long as
    the share of the text that those directions explain, so a text of unknown words has length 0. Words themselves are not kept.

        v = P^T x,   x_b = (1 + log n_b) idf_b for the words of bucket b, |x| = 1

    Attributes:
        rarity: `(buckets,)`, idf.
        directions: `(buckets, dims)`, P.

    Source: S. Deerwester et al., "Indexing by latent semantic analysis", JASIS 1990; K. Weinberger et al., "Feature hashing",
    ICML 2009.

    Example:
        >>> texts = ["design a logo", "design a poster", "keep the books", "close the books"] * 20
        >>> made = WordVectors.fit(texts)
        >>> known, foreign = np.linalg.norm(made.encode(["close the books", "ein anderes"]), axis=1)
        >>> bool(known > 0.9), bool(foreign < 0.1)
        (True, True)
    """

    rarity: Floats
    directions: Floats

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Self:
        """Learns from a reference's texts; the same texts give the same numbers."""
        counts = _counted(texts)
        spread = np.bincount(counts.indices, minlength=_BUCKETS)
        rarity = np.log((1 + len(texts)) / (1 + spread)).astype(np.float32) + np.float32(1)
        rows = _weighed(counts, rarity)
        dims = min(_DIMS, len(texts), _BUCKETS)
        # subspace iteration from a drawn start: what ARPACK gives depends on the build of its library
        found = np.random.default_rng(0).normal(size=(_BUCKETS, dims))
        for _ in range(6):
            found, _ = np.linalg.qr(rows.T @ (rows @ found))
        return cls(rarity.astype(np.float16).astype(np.float32), found.astype(np.float16).astype(np.float32))

    def encode(self, texts: Sequence[str]) -> Floats:
        """Vectors `(texts, dims)`, at most of length 1."""
        rows: Floats = np.asarray(_weighed(_counted(texts), self.rarity) @ self.directions, np.float32)
        return rows


def encoder_of(retrievers: Iterable[Retriever], words: Mapping[str, npt.NDArray[np.floating]]) -> Encoder | WordVectors | None:
    """What makes a release's texts vectors: its own encoder, else the words of its reference, else nothing."""
    own = next((each.encoder for each in retrievers if isinstance(each, Semantic)), None)
    if own is not None or not words:
        return own
    return WordVectors(*(words[name].astype(np.float32) for name in ("rarity", "directions")))


def words_of(items: pl.DataFrame) -> dict[str, npt.NDArray[np.float16]]:
    """What `WordVectors` learns from every other of these items; nothing where those are too few.

    Args:
        items: rows of the relation `items`.
    """
    texts = items[::2].select(_item_text.replace("", None).alias("text"))["text"].drop_nulls()
    if len(texts) < _FEWEST:
        return {}
    made = WordVectors.fit(texts[:_LEARNED].to_list())
    return {"rarity": made.rarity.astype(np.float16), "directions": made.directions.astype(np.float16)}


def vectors_of(rows: Mapping[str, pl.DataFrame], encoder: Encoder | WordVectors | None) -> dict[str, pl.DataFrame]:
    """The relations `item-vectors` and `query-vectors` of a period: vectors of a sample of its texts.

    Args:
        rows: the period's relations `items` and `requests`, or one of them.
        encoder: makes them; without one there are no such relations.
    """
    texts = {ITEMS: ("items", _item_text), QUERIES: ("requests", pl.col(f"impressions.{Columns.QUERY}"))}
    found = {}
    for column, (relation, text) in texts.items():
        if encoder is not None and relation in rows:
            found[VECTORS[relation]] = _vectors(rows[relation], text, column, encoder)
    return found


def with_vectors(lineage: Mapping[str, Sources]) -> dict[str, Sources]:
    """The lineage of features, with the vectors of the texts that they are made of among their sources."""
    found = dict(_MADE_OF)
    for name, own in lineage.items():
        of = frozenset(vector for vector, sources in _MADE_OF.items() if own.values & sources.values)
        found[name] = own | Sources(of)
    return found


def _vectors(rows: pl.DataFrame, text: pl.Expr, name: str, encoder: Encoder | WordVectors) -> pl.DataFrame:
    """A column of vectors beside the moments and who made a row; rows without a text are left out."""
    kept = [own for own in (Columns.USER_ID, Columns.ITEM_ID, Columns.TS) if own in rows.columns]
    filled = pl.when(text.str.strip_chars() != "").then(text).alias("text")
    told = rows.select(*kept, filled).drop_nulls("text")
    most = _MOST if isinstance(encoder, WordVectors) else _MOST_ENCODED
    chosen = told[np.sort(np.random.default_rng(29).permutation(told.height)[:most])]
    different = chosen["text"].unique(maintain_order=True)
    made = encoder.encode(different.to_list())
    table = pl.DataFrame({"text": different, name: pl.Series(made.tolist(), dtype=pl.List(pl.Float32))})
    return chosen.join(table, on="text", how="left", maintain_order="left").select(name, *kept)


def _counted(texts: Sequence[str]) -> sparse.csr_array:
    """How often each bucket's words are in each text, `(texts, buckets)`."""
    buckets = [[crc32(word.encode()) % _BUCKETS for word in tokens(text)] for text in texts]
    ends = np.cumsum([0, *map(len, buckets)])
    flat = np.array([bucket for row in buckets for bucket in row], np.int64)
    found = sparse.csr_array((np.ones(len(flat), np.float32), flat, ends), shape=(len(texts), _BUCKETS))
    found.sum_duplicates()
    return found


def _weighed(counts: sparse.csr_array, rarity: Floats) -> sparse.csr_array:
    rows = counts.copy()
    rows.data = (1 + np.log(rows.data)) * rarity[rows.indices]
    lengths = np.sqrt(np.asarray(rows.power(2).sum(axis=1)).ravel())
    return sparse.csr_array(sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ rows)

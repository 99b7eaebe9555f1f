"""A bounded set of topics of texts: groups of words that occur together."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["topics"]

_WORDS: Final = 400
_TOPICS: Final = 12
_TEXTS: Final = 20_000
_ROUNDS: Final = 20
_WIDTH: Final = 16
_WAYS: Final = 4
_MARKS: Final = ".,;:!?()[]{}\"'`"


def topics(texts: pl.Series) -> dict[str, tuple[str, ...]]:
    """Groups the commonest words by the words they occur with.

    The 400 commonest words are described by their positive pointwise mutual information with each other, turned to 16
    dimensions, and grouped by direction (spherical k-means, first means farthest apart), so the same texts give the same
    topics. A topic is named by its three commonest words.

    Args:
        texts: lists of words in small letters, one for each text; marks at a word's ends do not count.

    Returns:
        Words by topic, at most 12, as they are written, with their marks; empty where there are no words.

    Source: Levy and Goldberg, "Neural word embedding as implicit matrix factorization" (2014); Dhillon and Modha,
        "Concept decompositions for large sparse text data using clustering" (2001).

    Example:
        >>> topics(pl.Series([["paint", "wall"], ["paint", "wall"], ["java"], ["java"]]))
        {'java': ('java',), 'paint': ('paint',), 'wall': ('wall',)}
    """
    seen = pl.DataFrame({"text": np.arange(min(len(texts), _TEXTS)), "written": texts[:_TEXTS]}).explode("written")
    seen = seen.with_columns(word=pl.col("written").str.strip_chars(_MARKS)).filter(pl.col("word") != "").unique()
    common = seen.group_by("word").agg(len=pl.col("text").n_unique()).sort(["len", "word"], descending=[True, False])[:_WORDS]
    words = common["word"].to_list()
    if len(words) <= _TOPICS:
        return _written({word: (word,) for word in sorted(words)}, seen)
    inside = seen.select("text", "word").unique().join(common.with_row_index("at"), on="word")
    places = (inside["text"].to_numpy(), inside["at"].to_numpy())
    held = csr_matrix((np.ones(len(inside)), places), shape=(min(len(texts), _TEXTS), len(words)))
    group = _grouped(_placed((held.T @ held).toarray()))
    found = [tuple(word for word, of in zip(words, group, strict=True) if of == one) for one in range(_TOPICS)]
    return _written({" ".join(own[:3]): own for own in found if own}, seen)


def _written(grouped: dict[str, tuple[str, ...]], seen: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """The same with each word's commonest ways to be written: stripping five million texts would take longer than all else."""
    ways = seen.group_by("word", "written").len().filter((pl.col("len") > 1) | (pl.col("word") == pl.col("written")))
    ways = ways.sort(["len", "written"], descending=[True, False]).group_by("word", maintain_order=True).head(_WAYS)
    written = dict(ways.group_by("word", maintain_order=True).agg("written").iter_rows())
    return {name: tuple(way for word in own for way in written.get(word, [word])) for name, own in grouped.items()}


def _placed(together: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors of words, shape (words, 16), from how often two words share a text."""
    alone = together.diagonal()
    ratio = together * len(together) / np.maximum(np.outer(alone, alone), 1) * alone.mean()
    positive = np.log(np.maximum(ratio, 1.0))
    vectors, values, _ = np.linalg.svd(positive, hermitian=True)
    turned = vectors[:, :_WIDTH] * np.sqrt(values[:_WIDTH])
    return np.asarray(turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-12))


def _grouped(vectors: NDArray[np.float64]) -> NDArray[np.intp]:
    chosen = [0]
    while len(chosen) < _TOPICS:
        chosen.append(int((vectors @ vectors[chosen].T).max(axis=1).argmin()))
    means = vectors[chosen]
    group = (vectors @ means.T).argmax(axis=1)
    for _ in range(_ROUNDS):
        sums = np.stack([vectors[group == one].sum(axis=0) for one in range(_TOPICS)])
        means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        again = (vectors @ means.T).argmax(axis=1)
        if (again == group).all():
            break
        group = again
    return np.asarray(group, dtype=np.intp)

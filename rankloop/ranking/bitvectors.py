"""Boosted trees as bit vectors: every node is asked of many rows at once, and no row walks a tree."""

from contextlib import suppress
from typing import Any, Final, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from rankloop.ranking.base import Matrix
from rankloop.ranking.trees import Forest

__all__ = ["Bitvectors", "compiled"]

_MOST: Final = 64
"""Leaves of a tree that fit into one vector of bits."""

_BLOCK: Final = 128
"""Rows asked together; their columns stay in the second level of the cache."""

_DE_BRUIJN: Final = np.uint64(0x03F79D71B4CB0A89)
_PLACES: Final = np.zeros(64, np.uint8)
_PLACES[[(((1 << bit) * int(_DE_BRUIJN)) & (2**64 - 1)) >> 58 for bit in range(64)]] = np.arange(64)
"""Times this number, a single bit ends up in the first six: which bit it was is looked up there."""


class Bitvectors(NamedTuple):
    """A forest whose trees have at most 64 leaves, laid out so that one instruction asks a node of 8 or 16 rows.

    Leaves are numbered from left to right, one bit each. A node whose answer is "above" clears the bits of the leaves on its
    left; the lowest bit that is left in the end is the leaf. No branch depends on a row and memory is read in order, so
    all nodes of a tree are asked sooner than a few would be found by walking.

    Attributes:
        source: `(columns,)` the feature a column is copied from.
        right: `(columns,)` whether NaN is read as plus infinity; else as minus infinity.
        start: `(trees + 1,)` where the inner nodes of each tree begin.
        column: `(inner nodes,)` the column a node asks.
        threshold: `(inner nodes,)` float32.
        mask: `(inner nodes,)` uint32 or uint64: the leaves that remain where the value is above the threshold.
        value: `(trees, leaves)` float64.

    Source: C. Lucchese et al., "QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression
    Trees", SIGIR 2015; and "Exploiting CPU SIMD Extensions to Speed-up Document Scoring with Tree Ensembles", SIGIR 2016.
    """

    source: npt.NDArray[np.int32]
    right: npt.NDArray[np.bool_]
    start: npt.NDArray[np.int64]
    column: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    mask: npt.NDArray[Any]
    value: npt.NDArray[np.float64]

    @classmethod
    def of(cls, forest: Forest) -> Self | None:
        """The same trees; None where one has more leaves than there are bits."""
        trees = [_inner(forest, int(root)) for root in forest.root]
        most = max(len(leaves) for _, _, leaves in trees)
        if most > _MOST:
            return None
        nodes = np.array([node for inner, _, _ in trees for node in inner], np.int64)
        masks = [mask for _, own, _ in trees for mask in own]
        bits = np.uint32 if most <= 32 else np.uint64
        value = np.zeros((len(trees), np.iinfo(bits).bits))
        for tree, (_, _, leaves) in enumerate(trees):
            value[tree, : len(leaves)] = forest.value[leaves]
        return cls(
            source=forest.source,
            right=forest.right,
            start=np.cumsum([0, *(len(inner) for inner, _, _ in trees)], dtype=np.int64),
            column=forest.column[nodes],
            threshold=forest.threshold[nodes],
            mask=np.array([~mask & int(np.iinfo(bits).max) for mask in masks], bits),
            value=value,
        )

    def score(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Sum of the leaf values of each row, `(rows,)`, added in the order of the trees."""
        scores: npt.NDArray[np.float64] = _ask(np.ascontiguousarray(features, np.float32), ~self.mask.dtype.type(0), *self)
        return scores


def compiled(text: str) -> Bitvectors | Forest:
    """LightGBM's text in the layout that scores fastest.

    Raises:
        ModelError: it has no tree, a split of a kind that Rankloop does not grow, or a leaf that is not finite.
    """
    forest = Forest.parse(text)
    return Bitvectors.of(forest) or forest


def _inner(forest: Forest, root: int) -> tuple[list[int], list[int], list[int]]:
    """A tree's inner nodes, the bits of the leaves left of each, and its leaves from left to right."""
    inner, left, leaves = list[int](), list[int](), list[int]()
    todo = [(root, -1)]  # a node to visit; or where the left half of an inner one, already listed, began
    while todo:
        node, began = todo.pop()
        if began >= 0:
            left[node] = (1 << len(leaves)) - (1 << began)
        elif forest.first[node] == node:
            leaves.append(node)
        else:
            first = int(forest.first[node])
            todo += [(first + 1, -1), (len(inner), len(leaves)), (first, -1)]
            inner.append(node)
            left.append(0)
    return inner, left, leaves


@numba.njit(nogil=True)
def _ask(
    features: npt.NDArray[np.float32],
    every: Any,
    source: npt.NDArray[np.int32],
    right: npt.NDArray[np.bool_],
    start: npt.NDArray[np.int64],
    column: npt.NDArray[np.int32],
    threshold: npt.NDArray[np.float32],
    mask: npt.NDArray[Any],
    value: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    scores = np.zeros(len(features))
    block, alive = np.zeros((len(source), _BLOCK), np.float32), np.empty(_BLOCK, mask.dtype)
    for first in range(0, len(features), _BLOCK):
        here = min(_BLOCK, len(features) - first)
        for place in range(len(source)):
            missing = np.float32(np.inf) if right[place] else np.float32(-np.inf)
            for row in range(here):
                x = features[first + row, source[place]]
                block[place, row] = missing if np.isnan(x) else x
        for tree in range(len(start) - 1):
            alive[:] = every
            for node in range(start[tree], start[tree + 1]):
                values, limit, kept = block[column[node]], threshold[node], mask[node]
                for row in range(_BLOCK):
                    alive[row] &= kept if values[row] > limit else every
            for row in range(here):
                lowest = np.uint64(alive[row]) & (~np.uint64(alive[row]) + np.uint64(1))
                scores[first + row] += value[tree, _PLACES[(lowest * _DE_BRUIJN) >> np.uint64(58)]]
    return scores


with suppress(RuntimeError):  # nowhere to keep the machine code (a read-only image): each process compiles it again
    _ask.enable_caching()

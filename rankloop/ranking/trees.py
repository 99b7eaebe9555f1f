"""Boosted trees laid out for scoring: the same numbers as LightGBM's own, several times as fast on one core."""

from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError
from rankloop.ranking.base import Matrix

__all__ = ["Forest"]

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
_NAN_MISSING: Final = 2
_BLOCK: Final = 64
"""Rows walked together; their columns stay in the first level of the cache."""


class Forest(NamedTuple):
    """All nodes of all trees, a leaf being a node that leads to itself.

    Every row takes the same number of steps through a tree, with no branch to predict, so that a core works on many
    rows at once. NaN needs no case of its own: a column is read as minus infinity where NaN goes left, and as plus
    infinity where it goes right; a column of which splits do both is there twice.

    Attributes:
        source: `(columns,)` the feature a column is copied from.
        right: `(columns,)` whether NaN is read as plus infinity.
        column: `(nodes,)` the column a node asks.
        threshold: `(nodes,)` float32; a value above it goes to the second child.
        first: `(nodes,)` the first child; the second is next to it. A leaf: itself.
        value: `(nodes,)` float64, what a leaf adds; 0 elsewhere.
        root: `(trees,)` its node.
        depth: `(trees,)` steps to its deepest leaf.

    Source: N. Asadi, J. Lin, A. de Vries, "Runtime Optimizations for Tree-Based Machine Learning Models", TKDE 2014.
    """

    source: Ints
    right: npt.NDArray[np.bool_]
    column: Ints
    threshold: Floats
    first: Ints
    value: npt.NDArray[np.float64]
    root: Ints
    depth: Ints

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads LightGBM's text.

        Raises:
            ModelError: it has no tree, a split of a kind that Rankloop does not grow, or a leaf that is not finite.
        """
        try:
            trees = [_Tree.parse(block) for block in text.split("\nTree=")[1:]]
        except (KeyError, ValueError) as error:
            raise ModelError(f"the model's text cannot be read ({error!r}); write it again with save") from error
        if not trees:
            raise ModelError("the model has no tree; train the ranker again")
        nodes = _Nodes()
        roots = [nodes.add(tree) for tree in trees]
        keys, column = np.unique(np.array(nodes.key, np.int32), return_inverse=True)
        return cls(
            source=(keys // 2).astype(np.int32),
            right=keys % 2 == 1,
            column=column.astype(np.int32),
            threshold=np.array(nodes.threshold, np.float32),
            first=np.array(nodes.first, np.int32),
            value=np.array(nodes.value, np.float64),
            root=np.array([root for root, _ in roots], np.int32),
            depth=np.array([depth for _, depth in roots], np.int32),
        )

    def score(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Sum of the leaf values of each row, `(rows,)`, added in the order of the trees."""
        scores: npt.NDArray[np.float64] = _walk(np.ascontiguousarray(features, np.float32), *self)
        return scores


class _Tree(NamedTuple):
    """One tree as LightGBM writes it: a negative child -n is leaf n - 1."""

    feature: list[int]
    threshold: Floats
    nan_left: npt.NDArray[np.bool_]
    children: list[tuple[int, int]]
    leaf: npt.NDArray[np.float64]

    @classmethod
    def parse(cls, block: str) -> Self:
        lines = dict(line.split("=", 1) for line in block.split("\n\n")[0].split("\n")[1:] if "=" in line)
        leaf = np.array(lines["leaf_value"].split(), np.float64)
        if not np.isfinite(leaf).all():
            raise ModelError("a leaf of the model is not a finite number; train the ranker again")
        if int(lines["num_leaves"]) == 1:
            return cls([], np.empty(0, np.float32), np.empty(0, bool), [], leaf)
        if int(lines["num_cat"]) or int(lines.get("is_linear", "0")):
            raise ModelError("the model has categorical splits or linear leaves; Rankloop grows neither")
        exact = np.array(lines["threshold"].split(), np.float64)
        kind = np.array(lines["decision_type"].split(), np.int64)
        # NaN is 0 where training saw none; elsewhere the split says where it goes
        nan_left = np.where(kind >> 2 & 3 == _NAN_MISSING, kind >> 1 & 1 == 1, exact >= 0)
        pairs = zip(map(int, lines["left_child"].split()), map(int, lines["right_child"].split()), strict=True)
        return cls([int(name) for name in lines["split_feature"].split()], _down(exact), nan_left, list(pairs), leaf)


class _Nodes:
    """Nodes as they are laid out: breadth first, two children side by side."""

    def __init__(self) -> None:
        self.key: list[int] = []
        self.threshold: list[float] = []
        self.first: list[int] = []
        self.value: list[float] = []

    def add(self, tree: _Tree) -> tuple[int, int]:
        """Appends a tree; returns its root and depth."""
        root, deepest = self._blank(), 0
        todo = deque([(0 if tree.children else -1, root, 0)])
        while todo:
            node, place, depth = todo.popleft()
            if node < 0:
                self.value[place], deepest = float(tree.leaf[-1 - node]), max(deepest, depth)
                continue
            first, second = self._blank(), self._blank()
            self.key[place] = 2 * tree.feature[node] + (0 if tree.nan_left[node] else 1)
            self.threshold[place], self.first[place] = float(tree.threshold[node]), first
            todo += [(tree.children[node][0], first, depth + 1), (tree.children[node][1], second, depth + 1)]
        return root, deepest

    def _blank(self) -> int:
        """A leaf of value 0: nothing is above its threshold, so a row stays."""
        place = len(self.first)
        self.key.append(0)
        self.threshold.append(np.inf)
        self.first.append(place)
        self.value.append(0.0)
        return place


def _down(exact: npt.NDArray[np.float64]) -> Floats:
    """The largest float32 that is not above: a float32 is above one exactly when it is above the other.

    Infinity (missing values apart from all others) becomes the largest finite number, below plus infinity.
    """
    highest = np.finfo(np.float32).max
    near = np.clip(exact, -highest, highest).astype(np.float32)
    return np.where(near.astype(np.float64) > exact, np.nextafter(near, np.float32(-np.inf)), near)


@numba.njit(nogil=True)
def _walk(
    features: Floats,
    source: Ints,
    right: npt.NDArray[np.bool_],
    column: Ints,
    threshold: Floats,
    first: Ints,
    value: npt.NDArray[np.float64],
    root: Ints,
    depth: Ints,
) -> npt.NDArray[np.float64]:
    rows, columns = len(features), len(source)
    scores, node = np.zeros(rows), np.empty(_BLOCK, np.int32)
    block = np.empty((columns, _BLOCK), np.float32)
    for start in range(0, rows, _BLOCK):
        here = min(_BLOCK, rows - start)
        for row in range(here):
            for place in range(columns):
                x = features[start + row, source[place]]
                if np.isnan(x):
                    x = np.float32(np.inf) if right[place] else np.float32(-np.inf)
                block[place, row] = x
        for tree in range(len(root)):
            node[:here] = root[tree]
            for _ in range(depth[tree]):
                for row in range(here):
                    at = node[row]
                    node[row] = first[at] + np.int32(block[column[at], row] > threshold[at])
            for row in range(here):
                scores[start + row] += value[node[row]]
    return scores


with suppress(RuntimeError):  # nowhere to keep the machine code (a read-only image): each process compiles it again
    _walk.enable_caching()

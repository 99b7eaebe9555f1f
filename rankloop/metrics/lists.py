"""Metrics of retrieved lists against the whole catalogue, where nearly everything is unjudged."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError
from rankloop.metrics._ranked import Floats, Ints, check_cut, defined
from rankloop.vocabulary import UNKNOWN

__all__ = ["catalogue_coverage", "exposure_gini", "of_lists"]

Lists = Sequence[Sequence[Hashable]] | Sequence[npt.NDArray[np.generic]] | npt.NDArray[np.generic]


def of_lists(retrieved: Lists, relevant: Lists, *, k: int) -> dict[str, Floats]:
    """Recall, nDCG, reciprocal rank and hit of retrieved lists, per request.

    Not comparable with the metrics of judged lists: every item that is not in `relevant` counts as not relevant,
    though most were never shown.

        recall = found / R,   ndcg = sum over found of 1 / log2(rank + 1) / sum over r <= min(R, k) of 1 / log2(r + 1)
        reciprocal_rank = 1 / rank of the first found, 0 if none,   hit = 1 if any is found

    Args:
        retrieved: for each request the items, best first: ids, or catalogue codes where a negative code is an empty
            place. Lists may have any length; a shorter one has fewer chances.
        relevant: for each request the items that were wanted; their order means nothing and a repeated item counts
            once. A negative code is an item outside the catalogue: it counts as wanted and is never found.
        k: the last rank that counts.

    Returns:
        `recall`, `ndcg`, `reciprocal_rank` and `hit`, each `(requests,)` float64 in [0, 1]; NaN where nothing was
        wanted.

    Raises:
        DataError: the two differ in length, a list holds an item twice, or `k` < 1.

    Example:
        >>> of_lists([["a", "b", "c"]], [["b", "z"]], k=3)["recall"]
        array([0.5])
    """
    if len(retrieved) != len(relevant):
        raise DataError(f"{len(retrieved)} retrieved lists for {len(relevant)} lists of wanted items; one each a request")
    cut, requests = int(check_cut(k)), len(retrieved)
    found_row, found_item, rank = _flat([row[:cut] for row in retrieved])
    wanted_row, wanted_item, _ = _flat(relevant)
    found_key, wanted_key = _keys(found_row, found_item, wanted_row, wanted_item)
    if len(np.unique(found_key)) != len(found_key):
        raise DataError("a retrieved list holds an item twice; keep only its best place")
    wanted = np.bincount(_wanted_rows(wanted_row, wanted_item, wanted_key), minlength=requests)
    is_hit = np.isin(found_key, wanted_key)
    row, rank = found_row[is_hit], rank[is_hit]
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(1, cut + 1) + 1))])[np.minimum(wanted, cut)]
    best = np.zeros(requests)
    np.maximum.at(best, row, 1 / rank)
    some = wanted > 0
    values = {
        "recall": np.bincount(row, minlength=requests) / np.maximum(wanted, 1),
        "ndcg": np.bincount(row, 1 / np.log2(rank + 1), minlength=requests) / np.where(some, ideal, 1.0),
        "reciprocal_rank": best,
        "hit": (best > 0).astype(np.float64),
    }
    undefined = defined(np.zeros(requests), some, "of_lists", "nothing was wanted")
    return {name: np.minimum(value, 1.0) + undefined for name, value in values.items()}


def catalogue_coverage(lists: Lists, catalogue_size: int) -> float:
    """Share of the catalogue that appears in at least one list.

    Not a measure of evenness; see `exposure_gini`.

    Args:
        lists: for each request the items shown: ids, or codes where a negative one is an empty place.
        catalogue_size: how many items could have been shown.

    Raises:
        DataError: more different items than the catalogue holds.

    Example:
        >>> catalogue_coverage([["a", "b"], ["b"]], 4)
        0.5
    """
    return len(_exposures(lists, catalogue_size)) / catalogue_size


def exposure_gini(lists: Lists, catalogue_size: int) -> float:
    """How unevenly lists spread over the catalogue: 0 all items alike, towards 1 one item takes everything.

    Every place counts the same; the position in a list is not weighed. Items never shown count as 0.

        G = sum over items, sorted by exposure x, of (2 i - n - 1) x_i / (n sum x)

    Args:
        lists: for each request the items shown: ids, or codes where a negative one is an empty place.
        catalogue_size: how many items could have been shown.

    Returns:
        The coefficient, NaN where nothing was shown.

    Raises:
        DataError: more different items than the catalogue holds.

    Source: C. Gini, "Variabilità e mutabilità", 1912.

    Example:
        >>> exposure_gini([["a"], ["a"]], 4)
        0.75
    """
    shown = _exposures(lists, catalogue_size)
    exposure = np.sort(np.concatenate([np.zeros(catalogue_size - len(shown)), shown]))
    places = 2 * np.arange(1, catalogue_size + 1) - catalogue_size - 1
    total = exposure.sum()
    return float(places @ exposure / (catalogue_size * total)) if total else float("nan")


def _exposures(lists: Lists, catalogue_size: int) -> Ints:
    """How often each item that was shown at all was shown."""
    _, item, _ = _flat(lists)
    counts: Ints = np.unique(_codes(item[_in_catalogue(item)]), return_counts=True)[1]
    if len(counts) > catalogue_size:
        raise DataError(f"lists hold {len(counts)} different items, but catalogue_size is {catalogue_size}")
    return counts


def _flat(lists: Iterable[Sequence[Hashable] | npt.NDArray[np.generic]]) -> tuple[Ints, npt.NDArray[np.generic], Ints]:
    """Row, item and 1-based rank of every place, empty places left out only by the caller's keys."""
    rows = list(lists)
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    row = np.repeat(np.arange(len(rows)), sizes)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
    filled = [np.asarray(own) for own in rows if len(own)]
    return row, np.concatenate(filled) if filled else np.empty(0, np.int64), rank


def _in_catalogue(item: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    return item.astype(np.int64) > UNKNOWN if np.issubdtype(item.dtype, np.integer) else np.ones(len(item), bool)


def _codes(item: npt.NDArray[np.generic]) -> Ints:
    inverse: Ints = np.unique(item, return_inverse=True)[1]
    return inverse


def _keys(
    found_row: Ints, found_item: npt.NDArray[np.generic], wanted_row: Ints, wanted_item: npt.NDArray[np.generic]
) -> tuple[Ints, Ints]:
    """One number per (row, item) in both; every empty place gets a number of its own."""
    filled = np.concatenate([_in_catalogue(found_item), _in_catalogue(wanted_item)])
    both = [part for part in (found_item, wanted_item) if len(part)]
    code = _codes(np.concatenate(both)) if both else np.empty(0, np.int64)
    row = np.concatenate([found_row, wanted_row])
    key = np.where(filled, row * (len(code) + 1) + code, -1 - np.arange(len(code)))
    return key[: len(found_row)], key[len(found_row) :]


def _wanted_rows(row: Ints, item: npt.NDArray[np.generic], key: Ints) -> Ints:
    """The row of each different wanted item."""
    return row[np.unique(key, return_index=True)[1]]

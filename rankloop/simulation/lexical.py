"""Words in common between a query and a job, as the old rules count them: letter by letter, no stems, no spelling."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from rankloop.simulation.arrays import Floats, Ints

__all__ = ["Overlap", "words"]

_WORD = re.compile(r"[a-z0-9][a-z0-9+#.]*")


def words(text: str) -> list[str]:
    """The different words of a text, in order.

    Example:
        >>> words("C++ developer, Node.js developer.")
        ['c++', 'developer', 'node.js']
    """
    return list(dict.fromkeys(word.rstrip(".") for word in _WORD.findall(text.lower())))


class Overlap:
    """Share of a query's words that stand in a job's title or skills.

    Args:
        queries: the texts of all queries.
        jobs: title and skills of all jobs, one text each.
    """

    def __init__(self, queries: Sequence[str], jobs: Sequence[str]) -> None:
        split = [words(query) for query in queries]
        places = {word: at for at, word in enumerate(dict.fromkeys(word for own in split for word in own))}
        self._queries = _incidence(split, places)
        self._jobs = _incidence([[word for word in words(job) if word in places] for job in jobs], places).T.tocsc()
        self._lengths = np.array([max(len(own), 1) for own in split], np.float32)

    def share(self, query: Ints, job: Ints) -> Floats:
        """The share for every query and job, `(len(query), len(job))`; counts of words are exact in float32."""
        common = (self._queries[query] @ self._jobs[:, job]).toarray()
        share: Floats = common / self._lengths[query, None]
        return share


def _incidence(rows: list[list[str]], places: dict[str, int]) -> Any:
    columns = np.array([places[word] for row in rows for word in row], np.int64)
    ends = np.cumsum([0, *(len(row) for row in rows)])
    return csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), len(places)))

"""A misspelled token becomes the known token it most likely meant."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError

__all__ = ["Speller"]

_CANDIDATES: Final = 64
"""How many known terms, closest by shared trigrams, are measured letter by letter."""

_REMEMBERED: Final = 50_000


class Speller:
    """Corrects tokens against a vocabulary of known terms and how often each was seen.

    It is not a language model: each token is corrected alone. A known token is never touched, nor one
    with a digit or a sign in it (c++, 3d, node.js). Candidates share character trigrams with the token; of these the
    smallest Damerau-Levenshtein distance (optimal string alignment: insertion, deletion, substitution,
    swap of neighbours) wins, ties by the same first letter, then by frequency, then by the alphabet.
    The distance may be at most 0 for up to 3 letters, 1 for 4 to 7, and 2 from 8 on: a short word that is not
    known is more often another word than a misspelling.

    Args:
        frequencies: known term to how often it was seen (at least 1).

    Raises:
        DataError: a frequency is below 1.

    Source:
        F. J. Damerau, "A technique for computer detection and correction of spelling errors", 1964.

    Example:
        >>> speller = Speller({"design": 90, "python": 40, "logo": 70})
        >>> speller.correct(["pyhton", "desing", "logo", "xyzzy"])
        ['python', 'design', 'logo', 'xyzzy']
    """

    def __init__(self, frequencies: Mapping[str, int]) -> None:
        wrong = next((term for term, seen in frequencies.items() if seen < 1), None)
        if wrong is not None:
            raise DataError(
                f"term {wrong!r} has frequency {frequencies[wrong]}; known terms were seen at least once: leave it out"
            )
        self.terms: tuple[str, ...] = tuple(sorted(frequencies))
        self.frequencies = np.array([frequencies[term] for term in self.terms], np.int64)
        self._known = frozenset(self.terms)
        self._lengths = np.array([len(term) for term in self.terms], np.int64)
        self._postings = _postings(self.terms)
        self._remembered: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.terms)

    def __contains__(self, term: object) -> bool:
        return term in self._known

    def correct(self, tokens: Sequence[str]) -> list[str]:
        """The tokens, each as it is or as the known term it most likely meant."""
        return [self._correct(token) for token in tokens]

    def _correct(self, token: str) -> str:
        if token in self._known or not token.isalpha():
            return token
        found = self._remembered.get(token)
        if found is None:
            found = self._nearest(token)
            if len(self._remembered) < _REMEMBERED:
                self._remembered[token] = found
        return found

    def _nearest(self, token: str) -> str:
        limit = _allowed(token)
        best = (limit + 1, True, 0, token)
        for code in self._candidates(token, limit):
            term = self.terms[code]
            away = _distance(token, term, limit)
            best = min(best, (away, term[0] != token[0], -int(self.frequencies[code]), term)) if away <= limit else best
        return best[3]

    def _candidates(self, token: str, limit: int) -> list[int]:
        lists = [self._postings[gram] for gram in _trigrams(token) if gram in self._postings]
        if not limit or not lists:
            return []
        codes, shared = np.unique(np.concatenate(lists), return_counts=True)
        near = np.abs(self._lengths[codes] - len(token)) <= limit
        codes, shared = codes[near], shared[near]
        order = np.lexsort((codes, -self.frequencies[codes], np.abs(self._lengths[codes] - len(token)), -shared))
        return [int(code) for code in codes[order[:_CANDIDATES]]]


def _allowed(token: str) -> int:
    return 0 if len(token) <= 3 else 1 if len(token) <= 7 else 2


def _trigrams(term: str) -> set[str]:
    padded = f"  {term}  "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def _postings(terms: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    lists: dict[str, list[int]] = {}
    for code, term in enumerate(terms):
        # a term with a digit or a sign is no correction: c++ is not what anybody mistyped
        for gram in _trigrams(term) if term.isalpha() else ():
            lists.setdefault(gram, []).append(code)
    return {gram: np.array(codes, np.int64) for gram, codes in lists.items()}


def _distance(a: str, b: str, limit: int) -> int:
    """Optimal string alignment distance of two terms; `limit + 1` stands for everything above `limit`."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        # a later row can be lower than this one's minimum only through a swap, which starts from `last`
        if min(row) > limit and min(last) > limit:
            return limit + 1
        before, last = last, row
    return min(last[-1], limit + 1)

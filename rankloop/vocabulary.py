"""Strings to small integers and back: the catalogue, the users, the queries."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.errors import DataError

__all__ = ["UNKNOWN", "Vocabulary"]

UNKNOWN = -1
"""The code of a string that the vocabulary does not hold."""


class Vocabulary:
    """An ordered set of strings; a string's code is its place.

    Args:
        terms: the strings, all different.

    Raises:
        DataError: a string appears twice.

    Example:
        >>> jobs = Vocabulary(["j1", "j2"])
        >>> jobs.encode(["j2", "j9"])
        array([ 1, -1])
        >>> jobs.decode([1])
        ['j2']
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self.terms: tuple[str, ...] = tuple(terms)
        self._codes = {term: code for code, term in enumerate(self.terms)}
        if len(self._codes) != len(self.terms):
            raise DataError(f"a vocabulary of {len(self.terms)} terms holds only {len(self._codes)} different ones")

    def __len__(self) -> int:
        return len(self.terms)

    def __contains__(self, term: object) -> bool:
        return term in self._codes

    def code(self, term: str | None) -> int:
        """The code of one string, or `UNKNOWN`."""
        return UNKNOWN if term is None else self._codes.get(term, UNKNOWN)

    def encode(self, terms: Sequence[str | None] | pl.Series) -> npt.NDArray[np.int64]:
        """Codes, shape `(len(terms),)`; `UNKNOWN` where a string is null or not held."""
        if isinstance(terms, pl.Series):
            return self._encode_series(terms)
        get = self._codes.get
        return np.fromiter((UNKNOWN if t is None else get(t, UNKNOWN) for t in terms), np.int64, len(terms))

    def decode(self, codes: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """The strings of codes that are all known."""
        return [self.terms[code] for code in codes]

    def _encode_series(self, terms: pl.Series) -> npt.NDArray[np.int64]:
        unique = terms.unique().drop_nulls()
        codes = pl.Series(self.encode(unique.to_list()), dtype=pl.Int64)
        coded = terms.replace_strict(unique, codes, default=UNKNOWN, return_dtype=pl.Int64)
        return coded.fill_null(UNKNOWN).to_numpy()

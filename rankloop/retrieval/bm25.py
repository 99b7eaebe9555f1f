"""Items whose text holds the words of the search."""

import string
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from rankloop.contracts import Tables
from rankloop.errors import NotFitted
from rankloop.request import Request
from rankloop.retrieval import _files
from rankloop.retrieval._by_key import ByKey
from rankloop.retrieval._lexical import FIELDS, Field, LexicalIndex, check_fields, word_counts
from rankloop.retrieval.base import Scores
from rankloop.text import Speller, tokens
from rankloop.vocabulary import Vocabulary

__all__ = ["Bm25"]

_LONGEST_QUERY: Final = 1000
"""Letters of a query that are read; what is longer is no search, and correcting it would take seconds."""


class Bm25(ByKey):
    """BM25F over title, skills and description: rare words that an item holds often, in short fields, count most.

    Not semantic: an item that shares no word with the query is NaN, and so is every item where there is no query.
    For the formula and its sources see `rankloop.retrieval._lexical.LexicalIndex`.

        score(q, i) = sum over words t of q, as often as they are in it, of impact(t, i)

    Args:
        fields: weight and length normalisation of each text field.
        k1: how soon more of the same word stops to count.
        spelling: correct words of the query that no item holds.

    Raises:
        ModelError: a field or a number that cannot be.

    Example:
        >>> from rankloop.testing import known_request, known_world
        >>> world = known_world(days=1)
        >>> jobs = Vocabulary(world.items["item_id"])
        >>> model = Bm25().fit(world, jobs, rng=np.random.default_rng(0))
        >>> jobs.decode(model.retrieve(known_request(world, "piano-u0"), 1).items)[0].startswith("piano")
        True
    """

    name: ClassVar[str] = "bm25"
    reads_query: ClassVar[bool] = True

    def __init__(
        self, *, fields: Mapping[str, Field | tuple[float, float]] = FIELDS, k1: float = 1.2, spelling: bool = True
    ) -> None:
        self.fields, self.k1, self.spelling = check_fields(fields, k1), k1, spelling
        self._index: LexicalIndex | None = None

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Indexes the items' texts; neither behaviour nor `rng` is used."""
        index = LexicalIndex.build(tables, catalogue, self.fields, self.k1)
        return self._set(index, word_counts(tables, catalogue, self.fields) if self.spelling else {})

    def words(self, query: str | None) -> list[str]:
        """The words searched for: stemmed, and corrected where no item holds them; of a longer text the first 1000 letters."""
        pieces = [(piece, tokens(piece)) for piece in (query or "")[:_LONGEST_QUERY].split()]
        return [word for piece, own in pieces for word in (own if self._known(own) else self._corrected(piece, own))]

    def save(self, folder: Path) -> None:
        """Writes the index; no pickle."""
        settings = {"fields": self.fields, "k1": self.k1, "spelling": self.spelling}
        rest = {"settings": settings, "index": self.index.rest, "spellings": self._spellings}
        _files.write(folder, rest, self.index.arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        rest, arrays = _files.read(folder, LexicalIndex.ARRAYS)
        return cls(**rest["settings"])._set(LexicalIndex.from_arrays(rest["index"], arrays), rest["spellings"])

    @property
    def index(self) -> LexicalIndex:
        """The inverted index; raises NotFitted before there is one."""
        if self._index is None:
            raise NotFitted("this Bm25 was not fitted; call fit() or load()")
        return self._index

    def _set(self, index: LexicalIndex, spellings: dict[str, int]) -> Self:
        self._forget()
        self._index, self._spellings, self._speller = index, spellings, Speller(spellings)
        return self

    def _known(self, words: list[str]) -> bool:
        return all(word in self.index.terms for word in words)

    def _corrected(self, piece: str, words: list[str]) -> list[str]:
        """The words of a piece as it was meant: whole words are corrected, because a wrong ending has a wrong stem."""
        meant = self._speller.correct([piece.strip(string.punctuation).lower()])[0]
        found = tokens(meant)
        return found if self._known(found) else words

    def _key(self, request: Request) -> Hashable:
        codes = self.index.codes(self.words(request.query))
        return tuple(codes.tolist()) or None

    def _score_catalogue(self, key: Hashable) -> Scores:
        codes: npt.NDArray[np.int64] = np.array(key)
        return self.index.score(codes)

    @property
    def _catalogue_size(self) -> int:
        return self.index.size

"""Items whose text holds the words a user describes themselves with."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval import _files
from rankloop.retrieval._by_key import ByKey
from rankloop.retrieval._lexical import FIELDS, Field, LexicalIndex, check_fields
from rankloop.retrieval.base import Scores
from rankloop.text import tokens
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Profile"]


class Profile(ByKey):
    """BM25F with the user's headline and skills as the query: what to show to somebody without any history.

    Not the search text: the request's query is not looked at. A user who is not in the table of users at the fit, or
    whose profile has no word that an item holds, is NaN. Each different word of the profile counts once.

        score(u, i) = sum over different words t of u's headline and skills of impact(t, i)

    Args:
        fields: weight and length normalisation of each text field of the items.
        k1: how soon more of the same word stops to count.

    Raises:
        ModelError: a field or a number that cannot be.

    Example:
        >>> from rankloop.testing import known_request, known_world
        >>> world = known_world(days=1)
        >>> jobs = Vocabulary(world.items["item_id"])
        >>> model = Profile().fit(world, jobs, rng=np.random.default_rng(0))
        >>> jobs.decode(model.retrieve(known_request(world, "piano-u0"), 1).items)[0].startswith("piano")
        True
    """

    name: ClassVar[str] = "profile"

    def __init__(self, *, fields: Mapping[str, Field | tuple[float, float]] = FIELDS, k1: float = 1.2) -> None:
        self.fields, self.k1 = check_fields(fields, k1), k1
        self._index: LexicalIndex | None = None

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Indexes the items' texts and the users' profiles; neither behaviour nor `rng` is used."""
        self._forget()
        self._index = LexicalIndex.build(tables, catalogue, self.fields, self.k1)
        texts = tables.users.sort(Columns.USER_ID).select(
            Columns.USER_ID,
            pl.concat_str(Columns.HEADLINE, pl.col(Columns.SKILLS).list.join("  "), separator="  ", ignore_nulls=True),
        )
        self._users = Vocabulary(texts[Columns.USER_ID])
        words = [np.unique(self._index.codes(tokens(text))) for text in texts[Columns.HEADLINE]]
        self._words = np.concatenate([np.empty(0, np.int64), *words])
        self._starts = np.concatenate([[0], np.cumsum([len(own) for own in words], dtype=np.int64)])
        return self

    def save(self, folder: Path) -> None:
        """Writes the index and the users' words; no pickle."""
        settings = {"fields": self.fields, "k1": self.k1}
        rest = {"settings": settings, "index": self.index.rest, "users": self._users.terms}
        users = {"user_words": self._words.astype(np.int32), "user_starts": self._starts}
        _files.write(folder, rest, self.index.arrays | users)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        rest, arrays = _files.read(folder, [*LexicalIndex.ARRAYS, "user_words", "user_starts"])
        profile = cls(**rest["settings"])
        profile._index = LexicalIndex.from_arrays(rest["index"], arrays)
        profile._users = Vocabulary(rest["users"])
        profile._words, profile._starts = arrays["user_words"].astype(np.int64), arrays["user_starts"]
        if len(profile._starts) != len(profile._users) + 1 or profile._starts[-1] != len(profile._words):
            raise ModelError(f"{folder}: the words of {len(profile._users)} users do not fit their arrays")
        return profile

    @property
    def index(self) -> LexicalIndex:
        """The inverted index; raises NotFitted before there is one."""
        if self._index is None:
            raise NotFitted("this Profile was not fitted; call fit() or load()")
        return self._index

    def _key(self, request: Request) -> Hashable:
        if not self.index.size:
            return None
        user = self._users.code(request.user_id)
        return None if user == UNKNOWN or self._starts[user] == self._starts[user + 1] else user

    def _score_catalogue(self, key: Hashable) -> Scores:
        user = int(key)  # type: ignore[call-overload]  # _key gives codes
        return self.index.score(self._words[self._starts[user] : self._starts[user + 1]])

    @property
    def _catalogue_size(self) -> int:
        return self.index.size

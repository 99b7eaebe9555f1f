"""Items like those a user last acted on."""

import copy
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from rankloop.contracts import GRADES, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval import _files
from rankloop.retrieval._by_key import ByKey
from rankloop.retrieval._events import check_weights, events, with_others
from rankloop.retrieval._lexical import FIELDS, Field, LexicalIndex, check_fields
from rankloop.retrieval._neighbours import Acted, alike
from rankloop.retrieval._postings import Postings, none_is_nan
from rankloop.retrieval._trail import NAMES, Trail
from rankloop.retrieval.base import Candidates, Scores, top
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Similar"]

_COMMON: Final = 0.5
"""A term in more than this share of the items says nothing about what they have in common."""

_HEAVIEST: Final = 16
"""Words of an item that say what it is about; more make the fit ten times as long and move few neighbours."""

_LEAST: Final = 1e-6
"""Below this a similarity is rounding."""


class Similar(ByKey):
    """Neighbours of what the user last acted on, by text and by who acted on both.

    Not a model of the user: it forgets all but the last few items. A user without outcomes is NaN, and so is an item
    that is like none of the user's. An item is no neighbour of itself. The user's last items need not be in the
    catalogue: closed ones have neighbours too.

        sim(r, i) = content * cos(text of r, text of i) + (1 - content) * n_ri / (sqrt(n_r n_i) + shrinkage)
        score(u, i) = sum over u's last items r of w_r sim(r, i) / sum of w_r,   w_r = 2^(-age of r / half-life)

    Only acts strictly before the request count: those of the fit's history, or after `follow` those up to now, and the
    request's recent ones.

    The text of an item is the vector of its 16 highest BM25F impacts; n_i counts the people who acted on i, n_ri those
    who acted on both. An item keeps its nearest by text and its nearest by acts; the similarity to all others is taken
    as none. An age counts from the user's own last outcome.

    Args:
        content: share of the text in the similarity, 0 to 1.
        history: how many of the user's last items count.
        half_life_days: after so many days an item counts half.
        neighbours: how many an item keeps by text, and how many by who acted on both.
        shrinkage: how many people must have acted on both before it is believed.
        weights: outcome kinds that count are those with a weight above 0.
        fields: weight and length normalisation of each text field.
        k1: how soon more of the same word stops to count.

    Raises:
        ModelError: a number that cannot be.

    Source: B. Sarwar et al., "Item-Based Collaborative Filtering Recommendation Algorithms", WWW 2001.

    Example:
        >>> from rankloop.testing import known_world
        >>> world = known_world(days=5)
        >>> jobs = Vocabulary(world.items["item_id"])
        >>> model = Similar().fit(world, jobs, rng=np.random.default_rng(0))
        >>> jobs.decode(model.similar(jobs.code("piano-i3"), 1).items)[0].startswith("piano")
        True
    """

    name: ClassVar[str] = "similar"

    def __init__(
        self,
        *,
        content: float = 0.7,
        history: int = 30,
        half_life_days: float = 30.0,
        neighbours: int = 100,
        shrinkage: float = 5.0,
        weights: Mapping[str, float] = GRADES,
        fields: Mapping[str, Field | tuple[float, float]] = FIELDS,
        k1: float = 1.2,
    ) -> None:
        if not 0 <= content <= 1:
            raise ModelError(f"content is {content}; it is the share of the text, between 0 and 1")
        if history < 1 or neighbours < 1 or not half_life_days > 0 or not shrinkage >= 0:
            given = f"history={history}, neighbours={neighbours}, half_life_days={half_life_days}, shrinkage={shrinkage}"
            raise ModelError(f"history and neighbours are 1 or more, a half-life above 0, shrinkage at least 0: got {given}")
        self.content, self.history, self.half_life_days = content, history, half_life_days
        self.neighbours, self.shrinkage = neighbours, shrinkage
        self.weights, self.fields, self.k1 = check_weights(weights), check_fields(fields, k1), k1
        self._near: Postings | None = None

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Learns from texts and outcomes; `rng` is not used."""
        items = with_others(catalogue, tables)
        words = LexicalIndex.build(tables, items, self.fields, self.k1).vectors(common=_COMMON, heaviest=_HEAVIEST)
        log = events(tables, items, self.weights)
        beside = Acted.of(log, len(items)).together(len(catalogue), keep=self.neighbours, shrinkage=self.shrinkage)
        near = self.content * alike(words, len(catalogue), keep=self.neighbours) + (1 - self.content) * beside
        near.eliminate_zeros()
        return self._set(Postings.of(near), Trail.of(log), items.terms[len(catalogue) :])

    def follow(self, tables: Tables, catalogue: Vocabulary) -> Self:
        """Takes each person's acts up to now; neighbours stay."""
        self._fitted()
        followed = copy.copy(self)
        followed._forget()
        followed._trail = Trail.of(events(tables, Vocabulary([*catalogue.terms, *self._others]), self.weights))
        return followed

    def similar(self, item: int, k: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Candidates:
        """The `k` items most like one item, best first, itself not among them; fewer where fewer have anything in common.

        Args:
            item: its catalogue code.
            k: how many.
            allowed: a mask over the catalogue; None: all.
        """
        if item == UNKNOWN:
            return top(np.empty(0, np.float32), k)
        scores = self._like(np.array([item]), np.ones(1))
        return top(scores, k, allowed=allowed)

    def save(self, folder: Path) -> None:
        """Writes neighbours and last items; no pickle."""
        near = self._fitted()
        settings = {
            "content": self.content,
            "history": self.history,
            "half_life_days": self.half_life_days,
            "neighbours": self.neighbours,
            "shrinkage": self.shrinkage,
            "weights": self.weights,
            "fields": self.fields,
            "k1": self.k1,
        }
        rest = {"settings": settings, "users": self._trail.users.terms, "size": self._catalogue_size, "others": self._others}
        _files.write(folder, rest, near.arrays("near") | self._trail.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        rest, arrays = _files.read(folder, [*NAMES, *Postings.names("near")])
        near, trail = Postings.from_arrays(arrays, "near", rest["size"]), Trail.from_arrays(arrays, Vocabulary(rest["users"]))
        if len(near) != rest["size"] + len(rest["others"]) or not trail.fits(len(near)):
            raise ModelError(f"{folder}: {rest['size']} items and {len(rest['users'])} users do not fit their arrays")
        return cls(**rest["settings"])._set(near, trail, tuple(rest["others"]))

    def _set(self, near: Postings, trail: Trail, others: tuple[str, ...]) -> Self:
        self._forget()
        self._near, self._trail, self._others = near, trail, others
        return self

    def _fitted(self) -> Postings:
        if self._near is None:
            raise NotFitted("this Similar was not fitted; call fit() or load()")
        return self._near

    def _like(self, items: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> Scores:
        """Similarity of the catalogue to weighted items."""
        return none_is_nan(self._fitted().sums(items, weights / weights.sum()), _LEAST)

    def _key(self, request: Request) -> Hashable:
        """The user's acts that came before the request; None where there are none."""
        if not self._catalogue_size:
            return None
        span = self._trail.before(request)
        recent = tuple((act.item, act.ts) for act in request.recent if self.weights.get(act.kind, 0) > 0)
        return (span, recent) if recent or span[0] < span[1] else None

    def _score_catalogue(self, key: Hashable) -> Scores:
        assert isinstance(key, tuple)  # _key gives spans and what came after them
        return self._like(*self._trail.last(*key, history=self.history, half_life_days=self.half_life_days))

    @property
    def _catalogue_size(self) -> int:
        return self._fitted().size

"""What people with a like history act on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rankloop.contracts import GRADES, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval import _files
from rankloop.retrieval._events import Events, check_weights, events, with_others
from rankloop.retrieval._factorise import Factors, Loss, factorise, fold_in
from rankloop.retrieval._kernels import dots
from rankloop.retrieval.base import Items, Retriever, Scores
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Als"]


class Als(Retriever):
    """Matrix factorisation of who acted on what, by alternating least squares.

    Not a model of texts: an item that nobody acted on, and a user who never acted, are NaN. Items of the log that are
    not in the catalogue (closed ones) are learned from too, and not scored; their factors come after the others.
    For the loss and its letters see `rankloop.retrieval._factorise.factorise`.

        score(u, i) = x_u . y_i,   C_ui = the highest weight(kind) of u's outcomes on i, times 2^(-age / half-life)

    Args:
        dims: length of the factors; more find more and cost more.
        unobserved: weight of a cell where nothing was observed, against 1 for a click.
        regularisation: penalty of an average row.
        frequency: 0: the same penalty for all rows; 1: in proportion to the weight observed in a row.
        sweeps: how often both sides are solved.
        steps: conjugate gradient steps for each row and sweep.
        weights: outcome kind to confidence, at least 0; by default the grades.
        half_life_days: after so many days an outcome counts half; None: all count alike.
        threads: how many; None: one a core. The answer does not depend on it.

    Raises:
        ModelError: a number that cannot be.

    Source: Y. Hu, Y. Koren, C. Volinsky, ICDM 2008; S. Rendle et al., RecSys 2022.

    Example:
        >>> from rankloop.testing import known_request, known_world
        >>> world = known_world(days=9)
        >>> jobs = Vocabulary(world.items["item_id"])
        >>> model = Als(dims=4).fit(world, jobs, rng=np.random.default_rng(0))
        >>> jobs.decode(model.retrieve(known_request(world, "logo-u0"), 2).items)[0].startswith("logo")
        True
    """

    name: ClassVar[str] = "als"

    def __init__(
        self,
        *,
        dims: int = 64,
        unobserved: float = 0.02,
        regularisation: float = 3.0,
        frequency: float = 0.5,
        sweeps: int = 6,
        steps: int = 2,
        weights: Mapping[str, float] = GRADES,
        half_life_days: float | None = None,
        threads: int | None = None,
    ) -> None:
        _check(dims=dims, unobserved=unobserved, regularisation=regularisation, sweeps=sweeps, steps=steps)
        if not 0 <= frequency < np.inf or not (half_life_days is None or half_life_days > 0):
            raise ModelError(f"frequency is {frequency} and half_life_days {half_life_days}; at least 0, and above 0 or None")
        self.dims, self.sweeps, self.steps, self.threads = dims, sweeps, steps, threads
        self.loss = Loss(unobserved, regularisation, frequency)
        self.weights, self.half_life_days = check_weights(weights), half_life_days
        self._users: Vocabulary | None = None
        self._mean_weight = 0.0
        self._known, self._every = np.empty(0, bool), np.empty(0, np.int64)

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Learns from the outcomes whose kind has a weight."""
        items = with_others(catalogue, tables)
        log = events(tables, items, self.weights)
        self.fit_matrix(_confidences(log, len(items), self.half_life_days), rng=rng)
        self._users = log.users
        self._known, self._every = self._known[: len(catalogue)], np.arange(len(catalogue))
        return self

    def fit_matrix(self, confidences: Any, *, rng: np.random.Generator) -> Self:
        """Learns from a matrix alone; then only `user_factors`, `item_factors` and `fold_in` have an answer.

        Args:
            confidences: `(users, items)` SciPy sparse matrix, above 0 where something was observed.
            rng: draws the start.

        Raises:
            ModelError: a confidence is negative, or the fit diverged.
        """
        matrix = sparse.csr_matrix(confidences, dtype=np.float32)
        matrix.sum_duplicates()
        if matrix.nnz and not matrix.data.min() > 0:
            raise ModelError(f"a confidence is {matrix.data.min()}; each is above 0, and what is 0 is left out")
        fitted = factorise(
            matrix, dims=self.dims, loss=self.loss, sweeps=self.sweeps, steps=self.steps, threads=self.threads, rng=rng
        )
        self._set(fitted, np.diff(matrix.tocsc().indptr) > 0)
        return self

    def score(self, request: Request, items: Items | None = None) -> Scores:
        """The product of the user's and the items' factors; NaN for users and items without outcomes."""
        if self._users is None:
            raise NotFitted("this Als was not fitted on tables; call fit() or load()")
        user = self._users.code(request.user_id)
        if user == UNKNOWN:
            return np.full(len(self._known) if items is None else len(items), np.nan, np.float32)
        scores: Scores = dots(self.item_factors, self.user_factors[user], self._every if items is None else items, self._known)
        return scores

    def fold_in(self, items: Items, confidences: npt.ArrayLike | None = None) -> npt.NDArray[np.float32]:
        """Factors `(dims,)` of a user who was not there at the fit; their product with `item_factors` is the score.

        Args:
            items: `(n,)` catalogue codes of what the user acted on.
            confidences: `(n,)`; None: 1 each.
        """
        if not self._mean_weight:
            raise NotFitted("this Als was not fitted; call fit(), fit_matrix() or load()")
        c = np.ones(len(items)) if confidences is None else np.asarray(confidences, np.float64)
        penalty = self.loss.regularisation * (c.sum() / self._mean_weight) ** self.loss.frequency
        return fold_in(self.item_factors, items, c, unobserved=self.loss.unobserved, penalty=penalty)

    def save(self, folder: Path) -> None:
        """Writes the factors; no pickle."""
        if self._users is None:
            raise NotFitted("this Als was not fitted on tables; call fit() before save()")
        settings = self.loss._asdict() | {
            "dims": self.dims,
            "sweeps": self.sweeps,
            "steps": self.steps,
            "weights": self.weights,
            "half_life_days": self.half_life_days,
        }
        rest = {"settings": settings, "users": self._users.terms, "mean_weight": self._mean_weight}
        arrays = {"users": self.user_factors, "items": self.item_factors, "known": self._known}
        _files.write(folder, rest, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        rest, arrays = _files.read(folder, ["users", "items", "known"])
        als = cls(**rest["settings"])
        users, items, known = arrays["users"], arrays["items"], arrays["known"]
        if users.shape != (len(rest["users"]), als.dims) or items.shape[1:] != (als.dims,):
            raise ModelError(f"{folder}: factors {users.shape}, {items.shape} do not fit users, items and {als.dims} dims")
        als._set(Factors(users, items, rest["mean_weight"]), known)
        als._users = Vocabulary(rest["users"])
        return als

    def _set(self, factors: Factors, known: npt.NDArray[np.bool_]) -> None:
        _files.check_finite("als", {"users": factors.users, "items": factors.items})
        self.user_factors, self.item_factors, self._mean_weight = factors
        self._known, self._every = known, np.arange(len(known))


def _confidences(log: Events, items: int, half_life_days: float | None) -> Any:
    """`(users, items)` CSR: of several outcomes of a person on an item the one that weighs most counts."""
    weight = log.weight if half_life_days is None else log.weight * np.exp2(-log.age / half_life_days)
    cell = log.user * items + log.item
    order = np.lexsort((-weight, cell))
    cell, first = np.unique(cell[order], return_index=True)
    return sparse.csr_matrix(
        (weight[order][first].astype(np.float32), (cell // items, cell % items)), shape=(len(log.users), items)
    )


def _check(**above_0: float) -> None:
    for name, value in above_0.items():
        if not 0 < value < np.inf:
            raise ModelError(f"{name} is {value}; it is a number above 0")

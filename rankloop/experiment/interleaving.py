"""Team-draft interleaving: one list out of two rankings, and which of them people prefer.

Each person sees both releases at once, so what makes people differ cancels; a preference shows with a tenth or less of the
people that two separate groups need. It says which is preferred, not by how much a business number would move.

Source: F. Radlinski, M. Kurup, T. Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008; the readout:
O. Chapelle, T. Joachims, F. Radlinski, Y. Yue, "Large-Scale Validation and Analysis of Interleaved Search Evaluation",
ACM TOIS 2012.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import polars as pl
import xxhash
from scipy.special import bdtr

from rankloop.contracts import Columns
from rankloop.errors import DataError
from rankloop.metrics import bootstrap_mean

__all__ = [
    "Credits",
    "Interleaved",
    "Preference",
    "credit",
    "draft_seed",
    "experiment_seed",
    "preference",
    "team_draft",
]

Team = Literal["a", "b"]
Outcome = Literal["a", "b", "not enough evidence"]
_CREDIT_A: Final = "credit_a"
_CREDIT_B: Final = "credit_b"


class Interleaved(NamedTuple):
    """One list out of two.

    Attributes:
        items: best first, each once.
        teams: by place whose item it is; None where it counts for neither.
    """

    items: tuple[str, ...]
    teams: tuple[Team | None, ...]


class Credits(NamedTuple):
    """What each request gave to each release.

    Attributes:
        requests: one row a request: `request_id`, `user_id`, `credit_a`, `credit_b`.
        a: the release of `credit_a`.
        b: the release of `credit_b`.
    """

    requests: pl.DataFrame
    a: str
    b: str


class Preference(NamedTuple):
    """Which of two releases people prefer.

    Attributes:
        outcome: `a`, `b`, or `not enough evidence`.
        wins: people who gave `a` more credit.
        losses: people who gave `b` more.
        ties: people who gave both the same, at least some.
        silent: people who gave neither any; they say nothing and are in no other number.
        delta: (wins + ties / 2) / (wins + losses + ties) - 1/2, from -1/2 to 1/2; NaN where nobody gave credit.
        lower: its lower end; NaN with fewer than two people.
        upper: its upper end; NaN likewise.
        p_value: of the sign test, exact and two-sided: the chance of wins and losses so unequal if people had no preference.
    """

    outcome: Outcome
    wins: int
    losses: int
    ties: int
    silent: int
    delta: float
    lower: float
    upper: float
    p_value: float


def experiment_seed(a: str, b: str) -> int:
    """The seed of the drafts between two releases: a new pair is a new experiment with coins of its own.

    Args:
        a: the release that answered the request.
        b: the release it was interleaved with.

    Example:
        >>> experiment_seed("r1", "r2") == experiment_seed("r2", "r1")
        False
    """
    return xxhash.xxh32_intdigest(f"{a}\n{b}".encode())


def draft_seed(request_id: str, experiment: int) -> int:
    """The seed of one request's draft, so that whoever has the two rankings can make its list again.

    Args:
        request_id: as logged.
        experiment: as `experiment_seed` gives it.

    Example:
        >>> draft_seed("q1", experiment_seed("r1", "r2")) == draft_seed("q1", experiment_seed("r1", "r2"))
        True
    """
    return xxhash.xxh64_intdigest(request_id.encode(), experiment)


def team_draft(a: Sequence[str], b: Sequence[str], k: int, rng: int | np.random.Generator) -> Interleaved:
    """Interleaves two rankings as two captains pick teams.

    Each round a coin says who picks first; each team picks its best item that is not in the list yet.

    Where a team has nothing left, the other fills the list: people get as many items as there are. The places from that
    round on count for neither, or a ranking would win by its length; so each team has the same number of places, but for
    the last one of an odd `k`.

    Args:
        a: one ranking, best first.
        b: the other.
        k: length of the list.
        rng: a seed or a generator; it tosses the coins.

    Returns:
        At most `k` items; fewer where both together hold fewer.

    Raises:
        DataError: `k` < 1.

    Example:
        >>> team_draft(["x", "y", "z"], ["y", "w", "x"], 3, rng=1)
        Interleaved(items=('y', 'x', 'z'), teams=('b', 'a', 'a'))
    """
    if k < 1:
        raise DataError(f"k is {k}; an interleaved list has at least one place")
    coins = np.random.default_rng(rng).integers(0, 2, (k + 1) // 2).tolist()
    order: dict[str, Team | None] = {}
    left_a, left_b = iter(a), iter(b)
    for coin in coins:
        picked = _round(left_a, left_b, order, first_is_a=bool(coin), places=k - len(order))
        if picked is None:
            break
        order |= picked
    for item in _rest(a, b, order):
        if len(order) == k:
            break
        order[item] = None
    return Interleaved(tuple(order), tuple(order.values()))


def credit(impressions: pl.DataFrame, outcomes: pl.DataFrame, *, a: str, b: str, kinds: Sequence[str] = ("click",)) -> Credits:
    """What people did with the items of each team, request by request.

    An item counts once a request, however often it was clicked. An outcome that does not name its request is nobody's. A
    request whose rows name only one of the two releases cannot be told from one that was not interleaved: it is left out.

    Args:
        impressions: rows of the contract; `release_id` is the team that an item was placed by.
        outcomes: rows of the contract.
        a: one release.
        b: the other.
        kinds: which outcomes are worth credit.

    Returns:
        One row for each interleaved request, in the order of the impressions.

    Raises:
        DataError: the two releases are the same.
    """
    if a == b:
        raise DataError(f"both releases are {a!r}; credit is shared between two")
    placed = impressions.select(Columns.REQUEST_ID, Columns.USER_ID, Columns.ITEM_ID, Columns.RELEASE_ID)
    placed = placed.filter(pl.col(Columns.RELEASE_ID).is_in([a, b]))
    both = pl.col(Columns.RELEASE_ID).n_unique().over(Columns.REQUEST_ID) == 2
    acted = outcomes.filter(pl.col(Columns.KIND).is_in(list(kinds)) & pl.col(Columns.REQUEST_ID).is_not_null())
    acted = acted.select(Columns.REQUEST_ID, Columns.ITEM_ID).unique()
    earned = placed.filter(both).join(
        acted.with_columns(earned=pl.lit(1)), on=[Columns.REQUEST_ID, Columns.ITEM_ID], how="left", maintain_order="left"
    )
    of = {
        name: pl.col("earned").filter(pl.col(Columns.RELEASE_ID) == one).sum() for name, one in ((_CREDIT_A, a), (_CREDIT_B, b))
    }
    requests = earned.group_by(Columns.REQUEST_ID, maintain_order=True).agg(pl.col(Columns.USER_ID).first(), **of)
    return Credits(requests, a, b)


def preference(credits: Credits, *, rng: int | np.random.Generator, level: float = 0.95) -> Preference:
    """Which release people prefer, as far as the credit says.

    The units are people, not requests: one person's requests are alike. A person's requests are summed, and the person
    prefers the release with more credit; a request without a person is a person of its own.

    The sign test decides: `a` or `b` where `p_value` is below 1 - `level`, else `not enough evidence`. It holds for one
    look at a moment that was fixed before; who looks every day until it says yes will see yes.

    Args:
        credits: as `credit` gives them.
        rng: a seed or a generator, for the interval.
        level: coverage of the interval, and of the decision.

    Returns:
        Wins, losses and ties of `a` against `b`, and what they say.

    Raises:
        DataError: `level` is no coverage.
    """
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it is a coverage between 0 and 1, such as 0.95")
    named = pl.when(pl.col(Columns.USER_ID).fill_null("") == "").then("q" + pl.col(Columns.REQUEST_ID))
    person = named.otherwise("u" + pl.col(Columns.USER_ID)).alias("person")
    people = credits.requests.group_by(person).agg(pl.col(_CREDIT_A, _CREDIT_B).sum()).sort("person")
    given = people.filter(pl.col(_CREDIT_A) + pl.col(_CREDIT_B) > 0)
    sides = np.sign((given[_CREDIT_A].cast(pl.Int64) - given[_CREDIT_B].cast(pl.Int64)).to_numpy())
    wins, losses = int(np.sum(sides > 0)), int(np.sum(sides < 0))
    p_value = min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))
    delta = lower = upper = float("nan")
    if len(sides):
        delta, lower, upper = bootstrap_mean(sides / 2, given["person"].to_list(), rng=rng, level=level)[:3]
    sure: Outcome = "not enough evidence" if p_value >= 1 - level else "a" if wins > losses else "b"
    return Preference(sure, wins, losses, len(sides) - wins - losses, len(people) - len(sides), delta, lower, upper, p_value)


def _round(
    left_a: Iterator[str], left_b: Iterator[str], taken: Container[str], *, first_is_a: bool, places: int
) -> dict[str, Team | None] | None:
    """Both teams' picks of one round, or of the first team alone for the last place; None where one has to pass."""
    own: dict[str, Team | None] = {}
    turns: list[tuple[Team, Iterator[str]]] = [("a", left_a), ("b", left_b)]
    for team, left in (turns if first_is_a else turns[::-1])[:places]:
        best = next((item for item in left if item not in taken and item not in own), None)
        if best is None:
            return None
        own[best] = team
    return own


def _rest(a: Sequence[str], b: Sequence[str], taken: Container[str]) -> list[str]:
    """What neither could be credited with: alternating, each ranking's own order kept."""
    left = [[item for item in ranking if item not in taken] for ranking in (a, b)]
    longest = max(map(len, left))
    mixed = [own[n] for n in range(longest) for own in left if n < len(own)]
    return list(dict.fromkeys(mixed))

"""Whether offline numbers foretell online ones: every release that was tried, offline and online side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError

__all__ = ["ENOUGH", "Agreement", "Effect", "Rank", "Scoreboard", "Trial", "scoreboard"]

ENOUGH: Final = 10
"""Trials below which no correlation is stated: of nine, chance gives tau of 0.5 or more, up or down, once in 13."""

_RESAMPLES: Final = 2000
_LEVEL: Final = 0.95

Floats = npt.NDArray[np.float64]


class Effect(msgspec.Struct, frozen=True):
    """How far the release that was tried lies from the one it was tried against.

    Attributes:
        difference: later minus earlier; online, relative to the earlier one's value. Above 0 the tried release is better.
        lower: where it lies at least; None: not known.
        upper: where it lies at most; None likewise.
        paired: offline, whether both were measured on the same requests; None online.
    """

    difference: float
    lower: float | None = None
    upper: float | None = None
    paired: bool | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.lower is not None and self.upper is not None and (self.lower > 0 or self.upper < 0)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One release that people got beside another.

    Attributes:
        name: the canary's, or the experiment's.
        release_id: what was tried.
        against: what it was tried against.
        ended: how: promoted, rolled back, aborted; an experiment: interleaved, or cut short.
        offline: by metric, before anybody saw it.
        online: by metric, of what people did.
    """

    name: str
    release_id: str
    against: str
    ended: str
    offline: Mapping[str, Effect]
    online: Mapping[str, Effect]


class Rank(NamedTuple):
    """A rank correlation and where it may truly lie; NaN where it is undefined."""

    value: float
    lower: float
    upper: float


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What one offline metric says of one online metric.

    Attributes:
        offline: the offline metric.
        online: the online metric.
        trials: trials that have both.
        same_sign: of these, those where both went the same way; a difference of exactly 0 goes neither way.
        sure: trials whose online interval excludes 0.
        sure_same_sign: of these, those where both went the same way.
        kendall: Kendall's tau-b; None below `ENOUGH` trials, or where all trials are alike.
        spearman: Spearman's rho; None likewise.
        says: in a sentence.
    """

    offline: str
    online: str
    trials: int
    same_sign: int
    sure: int
    sure_same_sign: int
    kendall: Rank | None
    spearman: Rank | None
    says: str


class Scoreboard(msgspec.Struct, frozen=True):
    """All trials, and what offline metrics said of online ones.

    Attributes:
        trials: in the order given.
        agreements: one for each pair of metrics that some trial has.
        enough: trials needed before a correlation is stated.
    """

    trials: tuple[Trial, ...]
    agreements: tuple[Agreement, ...]
    enough: int = ENOUGH


def scoreboard(trials: Sequence[Trial], *, rng: int | np.random.Generator = 0, resamples: int = _RESAMPLES) -> Scoreboard:
    """Sets offline differences beside online ones, and says how well their order agrees.

    A correlation is over trials, so a few of them say little: below `ENOUGH` none is stated, and its interval (percentile
    bootstrap over trials) is wide long after. Online differences are noisy, which makes correlations look weaker than the
    metrics' own; and only releases that the gate passed were ever tried, which narrows what can be seen (restriction of
    range). Trials against the same champion are not quite independent.

    Args:
        trials: every ended one.
        rng: a seed or a generator, for the bootstrap.
        resamples: how many bootstrap samples.

    Raises:
        DataError: two trials of one name.

    Source: M. Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 1945; C. Spearman, "The Proof and Measurement
    of Association between Two Things", 1904; bootstrap of pairs: A. Davison, D. Hinkley, "Bootstrap Methods and their
    Application", 1997, section 2.4.

    Example:
        >>> rows = [
        ...     Trial(
        ...         name=f"c{n}",
        ...         release_id=f"r{n}",
        ...         against="r",
        ...         ended="promoted",
        ...         offline={"ndcg@10": Effect(n / 100)},
        ...         online={"ctr@10": Effect(n / 50, n / 50 - 0.01, n / 50 + 0.01)},
        ...     )
        ...     for n in range(-5, 7)
        ... ]
        >>> agreement = scoreboard(rows).agreements[0]
        >>> agreement.kendall.value, agreement.same_sign, agreement.trials
        (1.0, 11, 12)
        >>> scoreboard(rows[:3]).agreements[0].says
        'ndcg@10 offline and ctr@10 online went the same way in 3 of 3 trials; 10 are needed before a correlation is stated.'
    """
    names = [trial.name for trial in trials]
    if len(set(names)) < len(names):
        raise DataError(f"two trials have the name {max(names, key=names.count)!r}; each is counted once")
    chance = np.random.default_rng(rng)
    pairs = [(offline, online) for offline in _keys(t.offline for t in trials) for online in _keys(t.online for t in trials)]
    found = (_agreement(offline, online, trials, chance, resamples) for offline, online in pairs)
    return Scoreboard(tuple(trials), tuple(one for one in found if one.trials))


def _keys(rows: Iterable[Mapping[str, Effect]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _agreement(offline: str, online: str, trials: Sequence[Trial], chance: np.random.Generator, resamples: int) -> Agreement:
    rows = [(t.offline[offline], t.online[online]) for t in trials if offline in t.offline and online in t.online]
    same = [_same_way(one, other) for one, other in rows]
    sure = [way for way, (_, other) in zip(same, rows, strict=True) if other.excludes_zero]
    kendall = spearman = None
    if len(rows) >= ENOUGH:
        x, y = (np.array([pair[side].difference for pair in rows]) for side in (0, 1))
        kendall, spearman = _ranks(x, y, chance, resamples)
    return Agreement(
        offline=offline,
        online=online,
        trials=len(rows),
        same_sign=sum(same),
        sure=len(sure),
        sure_same_sign=sum(sure),
        kendall=kendall,
        spearman=spearman,
        says=_says(offline, online, len(rows), sum(same), kendall),
    )


def _same_way(one: Effect, other: Effect) -> bool:
    return one.difference * other.difference > 0


def _ranks(x: Floats, y: Floats, chance: np.random.Generator, resamples: int) -> tuple[Rank | None, Rank | None]:
    """Both correlations with the same resamples; None where a side does not vary."""
    rows = chance.integers(0, len(x), (resamples, len(x)))  # (resamples, trials)
    found: list[Rank | None] = []
    for correlation in (_kendall, _spearman):
        value = correlation(x, y)
        again = np.array([correlation(x[row], y[row]) for row in rows])
        again = again[~np.isnan(again)]
        if np.isnan(value) or not len(again):
            found.append(None)
            continue
        lower, upper = np.quantile(again, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        found.append(Rank(value, float(lower), float(upper)))
    return found[0], found[1]


def _kendall(x: Floats, y: Floats) -> float:
    """tau_b = sum of sign(x_i - x_j) sign(y_i - y_j) / sqrt(pairs untied in x * pairs untied in y)."""
    a, b = (np.sign(side[:, None] - side[None, :]) for side in (x, y))  # (trials, trials)
    untied = np.sqrt(np.abs(a).sum() * np.abs(b).sum())
    return float((a * b).sum() / untied) if untied else float("nan")


def _spearman(x: Floats, y: Floats) -> float:
    """Pearson's correlation of ranks, ties at their mean rank."""
    a, b = _mean_ranks(x), _mean_ranks(y)
    a, b = a - a.mean(), b - b.mean()
    spread = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / spread) if spread else float("nan")


def _mean_ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], np.float64)


def _says(offline: str, online: str, trials: int, same: int, kendall: Rank | None) -> str:
    ways = f"{offline} offline and {online} online went the same way in {same} of {trials} trials"
    if trials < ENOUGH:
        return f"{ways}; {ENOUGH} are needed before a correlation is stated."
    if kendall is None:
        return f"{ways}; one of them never moved, so there is no correlation."
    shown = f"Kendall's tau is {kendall.value:+.2f} [{kendall.lower:+.2f}, {kendall.upper:+.2f}]"
    if kendall.lower > 0:
        return f"{ways}; {shown}: what is better offline is better online, as far as this was tried."
    if kendall.upper < 0:
        return f"{ways}; {shown}: what is better offline is worse online; do not choose releases by it."
    return f"{ways}; {shown}: it is not shown that one foretells the other."

"""The click model: who looks at which position, what follows a look, and when."""

from typing import Final, NamedTuple

import numpy as np

from rankloop.simulation.arrays import Floats, Ints
from rankloop.simulation.scale import DAY
from rankloop.simulation.tastes import Chances

__all__ = ["DECAY", "KIND_NAMES", "Events", "draw_events", "examination"]

DECAY: Final = {"job_feed": 0.3, "job_search": 0.45}
"""How fast attention falls along a list; people scroll a feed further than they read a search result."""

KIND_NAMES: Final = ("click", "save", "apply", "interview", "hire", "dismiss")
"""The kinds of outcomes, by the code that `Events.kind` uses."""

_SECOND: Final = 1_000_000


class Events(NamedTuple):
    """Outcomes, in no particular order.

    Attributes:
        row: which of the shown jobs, `(n,)`.
        kind: place in `KIND_NAMES`, `(n,)`.
        ts: microseconds since 1970, `(n,)`.
        value: seconds on the page for a click, NaN otherwise, `(n,)`.
    """

    row: Ints
    kind: Ints
    ts: Ints
    value: Floats


def examination(surface: str, length: int) -> Floats:
    """The probability that each position of a list is looked at, `(length,)`.

    It depends on the position alone, not on the jobs: the position-based model, `P(examined at k) = k^-decay`.

    Args:
        surface: `job_feed` or `job_search`.
        length: items in the list.

    Source: Richardson, Dominowska, Ragno (2007), Predicting Clicks, and Craswell, Zoeter, Taylor, Ramsey (2008), An
        Experimental Comparison of Click Position-Bias Models, for the model; Joachims, Swaminathan, Schnabel (2017),
        Unbiased Learning-to-Rank with Biased Feedback, section 6, for the power law.

    Example:
        >>> examination("job_feed", 4).round(2)
        array([1.  , 0.81, 0.72, 0.66], dtype=float32)
    """
    return (np.arange(1, length + 1, dtype=np.float32) ** np.float32(-DECAY[surface])).astype(np.float32)


def draw_events(given: Chances, examined: Floats, position: Ints, ts: Ints, rng: np.random.Generator) -> Events:
    """Draws what people do with n shown jobs.

    A click follows after seconds, a save after minutes, an application after hours, an interview after a day or more,
    a hire at least a day after that.

    Args:
        given: the chances of each step, `(n,)` each.
        examined: the chance that the job is looked at, `(n,)`.
        position: 1-based, `(n,)`; people reach lower positions later.
        ts: when the list was shown, `(n,)`.
        rng: the only source of randomness.
    """
    dice = rng.random((7, len(ts)))
    looked = dice[0] < examined
    clicked = looked & (dice[1] < given.click)
    saved = clicked & (dice[2] < given.save)
    applied = clicked & (dice[3] < np.where(saved, given.apply_saved, given.apply))
    interviewed = applied & (dice[4] < given.interview)
    hired = interviewed & (dice[5] < given.hire)
    dismissed = looked & ~clicked & (dice[6] < given.dismiss)
    wait = np.exp(rng.normal(size=(6, len(ts))))
    seconds = 30 * wait[5] ** 0.9 * (1 + saved + 3 * applied)
    click = ts + _delay(1.0 + 1.5 * position + 3.0 * wait[0] ** 0.7)
    save = click + _delay(60.0 + 120.0 * wait[1] ** 0.8)
    apply = np.where(saved, save, click) + _delay(np.minimum(600.0 + 3 * 3600.0 * wait[2], 3.0 * 86_400))
    interview = apply + (DAY * (0.2 + 1.2 * wait[3] ** 0.6)).astype(np.int64)
    hire = interview + (DAY * (1.0 + 1.5 * wait[4] ** 0.6)).astype(np.int64)
    steps = [(clicked, click), (saved, save), (applied, apply), (interviewed, interview), (hired, hire), (dismissed, click)]
    rows = [np.flatnonzero(happened) for happened, _ in steps]
    return Events(
        row=np.concatenate(rows),
        kind=np.repeat(np.arange(len(rows)), [len(own) for own in rows]),
        ts=np.concatenate([when[own] for own, (_, when) in zip(rows, steps, strict=True)]),
        value=np.concatenate([seconds[rows[0]], np.full(sum(len(own) for own in rows[1:]), np.nan)]).astype(np.float32),
    )


def _delay(seconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Ints:
    return (seconds * _SECOND).astype(np.int64)

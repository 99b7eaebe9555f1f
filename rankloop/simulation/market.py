"""The marketplace: one object that makes a history and keeps its truth."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import polars as pl

from rankloop.contracts import Tables
from rankloop.request import Request
from rankloop.simulation.build import Drawn, build
from rankloop.simulation.faults import Fault, check
from rankloop.simulation.recording import tables
from rankloop.simulation.scale import Scale
from rankloop.simulation.simulate import Log, simulate
from rankloop.simulation.streams import Streams
from rankloop.simulation.truth import Truth

__all__ = ["Marketplace"]


class Marketplace:
    """A work marketplace whose true preferences are known.

    Clients post jobs, freelancers look at lists and search, an old set of rules orders the lists. It is not a model of
    any real company; the words and the numbers are our own. The generative story is in docs/guides/simulation.md.

    Args:
        scale: how large.
        rng: a seed, or a generator from which one is drawn; the same seed gives the same bytes, in any process.
        faults: what goes wrong, from a day on.

    Raises:
        DataError: a fault that could not show.

    Example:
        >>> market = Marketplace(Scale.tiny(), rng=1)
        >>> tables = market.history()
        >>> tables.impressions.height
        4000
        >>> request = market.live_requests(1, rng=2)[0]
        >>> market.answer(request, market.truth.best(request, 10), rng=3).columns[:3]
        ['ts', 'user_id', 'item_id']
    """

    def __init__(self, scale: Scale, *, rng: int | np.random.Generator, faults: Sequence[Fault] = ()) -> None:
        check(faults, scale)
        self.scale, self.faults = scale, tuple(faults)
        self._streams = Streams(rng)
        self._log: Log | None = None

    def history(self, progress: Callable[[int, int], None] | None = None) -> Tables:
        """The log of the whole span, in contract columns.

        Args:
            progress: called with the days done and the days in all.
        """
        return tables(self._run(progress), self._drawn.texts, self.faults, self.scale)

    @property
    def truth(self) -> Truth:
        """The true preferences, with the jobs as they stand at the end of history; runs the history if need be."""
        return Truth(self._run(None).world)

    def answer(
        self, request: Request, item_ids: Sequence[str], *, rng: int | np.random.Generator, request_id: str | None = None
    ) -> pl.DataFrame:
        """What the person does with a ranked list: see `Truth.answer`."""
        return self.truth.answer(request, item_ids, rng=rng, request_id=request_id)

    def live_requests(self, n: int, *, rng: int | np.random.Generator) -> list[Request]:
        """Requests of the day after history: see `Truth.live_requests`."""
        return self.truth.live_requests(n, rng=rng)

    @cached_property
    def _drawn(self) -> Drawn:
        return build(self.scale, self._streams, self.faults)

    def _run(self, progress: Callable[[int, int], None] | None) -> Log:
        if self._log is None:
            self._log = simulate(self._drawn, self.scale, self._streams, progress)
        return self._log

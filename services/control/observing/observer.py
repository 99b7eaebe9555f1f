"""What every observer gives, and what both of ours do alike."""

import logging
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import msgspec

from rankloop.canary import Arm, Observation, Ratio

__all__ = ["MOST_LAG", "EdgeCounts", "Observer", "Overlap", "belongs", "completed"]

log = logging.getLogger(__name__)

MOST_LAG: Final = 60.0
"""Seconds behind the spools after which a tally is as good as away."""

_SKEW: Final = 1.0
"""Seconds that two machines' clocks may differ by; a step takes far longer."""

Overlap = Callable[[str, str], Ratio | None]
"""What a shadow says of two releases, if there is one."""


class EdgeCounts(NamedTuple):
    """What the edges gave a slot since the phase began.

    Attributes:
        requests: answered, however.
        failed: with 5xx, less those that waited for a replica for too long.
    """

    requests: int = 0
    failed: int = 0

    @classmethod
    def of(cls, answered: float, errors: float, unconnected: float) -> "EdgeCounts":
        """From HAProxy's counts of a backend: a request that waited too long is an error without a connection."""
        return cls(round(answered), max(0, round(errors - unconnected)))


class Observer(Protocol):
    """Says what was seen of a canary and of the release it is compared with."""

    def observe(self, stable: str, canary: str, since: float) -> Observation | None:
        """Both slots since the present share of the canary holds.

        Args:
            stable: the release that serves.
            canary: the other one.
            since: when the share was decided on, seconds since the epoch.

        Returns:
            None where it cannot be told: the tally or an edge is away or behind, or still counts an earlier phase.
        """


def belongs(seen: Observation, lag: float, stable: str, canary: str, since: float) -> bool:
    """Whether an observation is of the phase that is asked for, and of now."""
    if (seen.stable.release_id, seen.canary.release_id) != (stable, canary):
        log.info("the tally counts %s and %s, not %s and %s", seen.stable.release_id, seen.canary.release_id, stable, canary)
        return False
    if seen.since < since - _SKEW:
        log.info("the tally counts since %.1f, which is before %.1f: it has not noticed the new share", seen.since, since)
        return False
    if lag > MOST_LAG:
        log.warning("the tally is %.0f s behind the spools", lag)
    return lag <= MOST_LAG


def completed(seen: Observation, slots: tuple[str, str], counts: Mapping[str, EdgeCounts], overlap: Ratio | None) -> Observation:
    """An observation with what the tally cannot know.

    Args:
        seen: the tally's.
        slots: the stable one, and the canary's.
        counts: by slot; one that is not there was asked nothing.
        overlap: of a shadow.
    """
    arms = zip(slots, (seen.stable, seen.canary), strict=True)
    stable, canary = (_counted(arm, counts.get(slot, EdgeCounts())) for slot, arm in arms)
    return msgspec.structs.replace(seen, stable=stable, canary=canary, overlap=overlap)


def _counted(arm: Arm, counts: EdgeCounts) -> Arm:
    return msgspec.structs.replace(arm, requests=counts.requests, failed=counts.failed)

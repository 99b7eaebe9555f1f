"""Requests to look at: what the edge refused, and what people were shown while an incident goes on."""

import heapq
import re
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from services.control.database import Incident
from services.control.incident import Example
from services.events.records import ImpressionRecord, decode
from services.events.segments import Position, SpoolReader

__all__ = ["Looked", "look_up", "look_up_within"]

_MOST: Final = 5
_TAIL: Final = 256 << 10
_SPOOL: Final = 4 << 20
_LINE: Final = re.compile(r"^\S+ \S+ \S+ \S+ (?P<status>5\d\d) \d+ \S+ \d+ (?P<what>\S+ \S+) (?P<id>[A-Za-z0-9._:-]{1,128})$")


class Looked(NamedTuple):
    """What was found.

    Attributes:
        examples: at most five.
        missing: what could not be read, in sentences.
    """

    examples: list[Example]
    missing: list[str]


def look_up(known: Incident, home: Path) -> Looked:
    """Examples for an incident, those that failed first; nothing that a person typed, and nobody's name, is in them.

    Args:
        known: the incident.
        home: where the edge's log and the spool of impressions lie.
    """
    found: list[Example] = []
    missing: list[str] = []
    for name, look in (("the edge's log", _refused), ("the impressions", _shown)):
        try:
            found += look(known, home)
        except (OSError, msgspec.DecodeError) as error:
            missing.append(f"example requests: {name} could not be read: {error}")
    return Looked(found[:_MOST], missing)


def look_up_within(known: Incident, home: Path, seconds: float) -> Looked:
    """The same, given up after so many seconds: a disk that hangs must stop no page of another incident."""
    found: list[Looked] = []
    looking = threading.Thread(target=lambda: found.append(look_up(known, home)), name="examples", daemon=True)
    looking.start()
    looking.join(seconds)
    return found[0] if found else Looked([], [f"example requests could not be looked up within {seconds:g} s"])


def _refused(known: Incident, home: Path) -> list[Example]:
    """The last answers of 5xx, where the incident is about who answers; the log has no times, so its file's stands."""
    file = home / "stack" / "logs" / "edge.log"
    if known.component not in ("edge", "replicas", "serving") or not file.exists():
        return []
    at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    if at < known.since:
        return []
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - _TAIL))
        lines = log.read().decode("utf-8", "replace").splitlines()
    matched = (own for own in map(_LINE.match, lines) if own and "readyz" not in own["what"])
    last = deque(matched, maxlen=_MOST - 2)
    return [Example(own["id"], at, "", f"the edge answered {own['status']} to {own['what']}") for own in reversed(last)]


def _shown(known: Incident, home: Path) -> list[Example]:
    """Lists that were made with less than the whole release, were empty, or took longest, since the incident began."""
    since = known.since.timestamp() * 1e6
    wanted = (own for own in _impressions(home) if own.ts >= since and known.surface in ("all", own.surface))
    worst = heapq.nlargest(_MOST, wanted, key=lambda own: (own.fallback is not None, not own.items, own.micros))
    return [_example(own) for own in worst]


def _example(own: ImpressionRecord) -> Example:
    faults = [f"fallback: {own.fallback}"] if own.fallback else []
    faults += [] if own.items else ["an empty list"]
    says = ", ".join([*faults, f"{len(own.items)} items in {own.micros / 1000:.1f} ms"])
    return Example(own.request_id, datetime.fromtimestamp(own.ts / 1e6, UTC), own.release_id, f"{own.surface}: {says}")


def _impressions(home: Path) -> Iterator[ImpressionRecord]:
    """Those of each writer's newest segment."""
    reader = SpoolReader(home / "spool" / "impressions")
    for writer in reader.writers():
        for number in reader.segments(writer)[-1:]:
            for _, frame in reader.read(writer, Position(number, 0), limit_bytes=_SPOOL):
                yield from (own for own in decode(frame) if isinstance(own, ImpressionRecord))

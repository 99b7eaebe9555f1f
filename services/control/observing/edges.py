"""What edges count, read from them: how much each count grew since a phase began."""

import logging
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

import httpx
import msgspec

from rankloop.files import write_aside
from services.control.observing.observer import EdgeCounts
from services.edge import NAMES

__all__ = ["Grown", "read_counts"]

log = logging.getLogger(__name__)

_LINE: Final = re.compile(
    r'^haproxy_backend_(http_responses|connection_errors)_total\{proxy="(\w+)"(?:,code="(\w+)")?\} ([0-9.e+]+)$', re.MULTILINE
)


class _Memory(msgspec.Struct):
    """What is remembered of one phase.

    Attributes:
        began: the phase's begin, as the tally says it.
        last: by edge and count, what it stood at when it was read last.
        grown: by edge and count, how much it grew since the first time it was read in the phase.
    """

    began: float
    last: dict[str, dict[str, float]]
    grown: dict[str, dict[str, float]]


class Grown:
    """Remembers the counts of edges; an edge that was started again begins at 0, and goes on from what it had.

    A phase's begin is the first time it is asked for, so what edges answered in the seconds before is not in it.

    Args:
        edges: where the edges' metrics are.
        client: asks them.
        file: where it is remembered for the next process; None: nowhere.
    """

    def __init__(self, edges: list[str], client: httpx.Client, file: Path | None) -> None:
        self._edges, self._client, self._file = edges, client, file
        self._memory = self._read()

    def since(self, began: float) -> dict[str, EdgeCounts] | None:
        """By slot, what all edges together answered in the phase that began then; None where one does not say."""
        found = {}
        for edge in self._edges:
            try:
                reply = self._client.get(edge).raise_for_status()
            except httpx.HTTPError as error:
                log.warning("the edge's metrics at %s cannot be read: %s", edge, error)
                return None
            found[edge] = read_counts(reply.text)
        if self._memory is None or self._memory.began != began:
            self._memory = _Memory(began, {}, {})
        for edge, counts in found.items():
            self._grow(self._memory, edge, counts)
        if self._file is not None:
            write_aside(self._file, msgspec.json.encode(self._memory).decode())
        return _by_slot(self._memory)

    def _grow(self, memory: _Memory, edge: str, counts: dict[str, float]) -> None:
        last, grown = memory.last.get(edge, counts), memory.grown.setdefault(edge, {})
        for name, count in counts.items():
            before = last.get(name, 0.0)
            grown[name] = grown.get(name, 0.0) + (count if count < before else count - before)
        memory.last[edge] = counts

    def _read(self) -> _Memory | None:
        try:
            return None if self._file is None else msgspec.json.decode(self._file.read_bytes(), type=_Memory)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s cannot be read (%s); edges are counted from now on", self._file, error)
            return None


def read_counts(text: str) -> dict[str, float]:
    """The counts of slots in HAProxy's metrics.

    Example:
        >>> read_counts('haproxy_backend_http_responses_total{proxy="blue",code="5xx"} 3')
        {'blue 5xx': 3.0}
    """
    rows = ((slot, code or "unconnected", float(count)) for _, slot, code, count in _LINE.findall(text))
    return {f"{slot} {what}": count for slot, what, count in rows if slot in NAMES}


def _by_slot(memory: _Memory) -> dict[str, EdgeCounts]:
    grown = defaultdict[str, float](float)
    for counts in memory.grown.values():
        for name, count in counts.items():
            slot, _, what = name.partition(" ")
            grown[name] += count
            if what != "unconnected":
                grown[f"{slot} answered"] += count
    return {slot: EdgeCounts.of(grown[f"{slot} answered"], grown[f"{slot} 5xx"], grown[f"{slot} unconnected"]) for slot in NAMES}

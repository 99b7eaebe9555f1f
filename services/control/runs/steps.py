"""Which lines of a run's log belong to which of its steps."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.control.runs.launching import LogPart

__all__ = ["log_part", "part_of"]

_MOST_BYTES: Final = 262_144
_COLOUR: Final = re.compile(rb"\x1b\[[0-9;]*m")
_BEGINS: Final = re.compile(rb"[\d:.]+ - INFO - (?:Executing task '([\w-]+)'|Task ([\w-]+) cache hit)")


def log_part(file: Path, step: str | None, after: int) -> LogPart:
    """Whole lines of a run's log, without colours; a quarter of a MiB at most.

    Args:
        file: `run.log`, which need not be there yet.
        step: only this step's lines; None: all.
        after: an offset that an earlier part named; 0 for the beginning.
    """
    if not file.exists():
        return LogPart("", after)
    taken: list[bytes] = []
    size, offset = 0, after
    for own, end, line in _lines(file.read_bytes()):
        if end <= after:
            continue
        if step in (None, own):
            if size + len(line) > _MOST_BYTES and taken:
                break
            taken.append(line)
            size += len(line)
        offset = end
    return LogPart(b"".join(taken).decode(errors="replace"), offset)


def part_of(text: str, after: int) -> LogPart:
    """The part of a log that a server only gives as a whole."""
    content = text.encode()
    whole = content[: content.rfind(b"\n") + 1]
    return LogPart(whole[after:].decode(errors="replace"), max(after, len(whole)))


def _lines(content: bytes) -> Iterator[tuple[str | None, int, bytes]]:
    """The step of each whole line, the offset after it, and the line."""
    step, end = None, 0
    for raw in content[: content.rfind(b"\n") + 1].splitlines(keepends=True):
        end += len(raw)
        line = _COLOUR.sub(b"", raw)
        if begun := _BEGINS.match(line):
            step = (begun[1] or begun[2]).decode().replace("-", "_")
        yield step, end, line

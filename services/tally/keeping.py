"""Which segments of the spools the tally still needs, for the curator, which deletes those that nobody needs."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from rankloop.files import write_aside
from services.events.rolling import Sealed
from services.tally.snapshot import Positions

__all__ = ["Keeping", "write_positions"]

log = logging.getLogger(__name__)

_AWAY_SECONDS: Final = 600.0


def write_positions(folder: Path, positions: Positions) -> None:
    """Says where the snapshot beside it stands; written after that, so that it never claims too much."""
    write_aside(_file(folder), msgspec.json.encode(positions).decode(), mode=0o600)


class Keeping:
    """Asks the file that a tally writes.

    Args:
        home: the home folder.
        clock: Unix time, seconds.
    """

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = home / "tally", clock

    def passed(self, segment: Sealed) -> bool:
        """Whether the tally has no need of a segment; also where there is none, or it was away for ten minutes."""
        file = _file(self._folder)
        try:
            if self._clock() - file.stat().st_mtime > _AWAY_SECONDS:
                return True
            positions = msgspec.json.decode(file.read_bytes(), type=Positions)
        except FileNotFoundError:
            return True
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s cannot be read (%s); the tally is not waited for", file, error)
            return True
        return positions.get(segment.stream, {}).get(segment.writer, (0, 0))[0] > segment.number


def _file(folder: Path) -> Path:
    return folder / "positions.json"

"""Where reports of drift are kept on this machine: `<home>/drift/<report_id>`, the newest ones."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rankloop.drift.report import DriftReport
from rankloop.errors import DataError

__all__ = ["shelve"]

_KEPT: Final = 200
"""Pages that are kept; each has some megabytes of charts, and the record keeps every report's numbers."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def shelve(report: DriftReport, files: Mapping[str, Path], home: Path, *, kept: int = _KEPT) -> Path:
    """Copies a report's files to its place, and removes the oldest of more than `kept` places.

    Args:
        report: names the place.
        files: by name, what lies there beside the report itself: its page, Evidently's JSON.
        home: the state folder, `RANKLOOP_HOME`.
        kept: how many places there may be.

    Returns:
        The place.

    Raises:
        DataError: the report's name cannot be a folder's.
    """
    if not _NAME.fullmatch(report.report_id):
        raise DataError(f"a drift report is called {report.report_id[:64]!r}; letters, digits and '._-' make a name")
    shelf = home / "drift"
    aside, place = shelf / f".{report.report_id}.part", shelf / report.report_id
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    report.write(aside / "report.json")
    for name, file in files.items():
        shutil.copyfile(file, aside / name)
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)
    places = sorted((one for one in shelf.iterdir() if _NAME.fullmatch(one.name)), key=lambda one: one.stat().st_mtime)
    for old in places[: max(0, len(places) - kept)]:
        shutil.rmtree(old)
    return place

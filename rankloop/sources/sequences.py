"""Sequences for next-item prediction: one user a line, items in the order of time, the last two held out."""

import json
import re
from pathlib import Path
from typing import Final

import polars as pl

from rankloop.contracts import Columns
from rankloop.errors import SourceError
from rankloop.sources import artificial
from rankloop.sources.files import Frames, lists

__all__ = ["read"]

_ATTRIBUTES: Final = "_item2attributes.json"
_SEQUENCE: Final = re.compile(r"\d+( \d+)+\s*")


def read(path: str) -> Frames:
    """Reads a file of `user item item ...` lines, and `<name>_item2attributes.json` beside it where there is one.

    The order is real and the times are not (see `artificial`): of a user's items all but the last two are spread
    evenly over `artificial.HISTORY_DAYS` days, the second-last falls on the day after (validation), the last on
    the next (test). A user with fewer than three items has no held-out ones. Each choice is a request of its own.

    Args:
        path: the file, or a folder with one such file.

    Raises:
        SourceError: no such file, several of them, a user with two lines, or attributes that are not lists.
    """
    file = _sequence_file(Path(path))
    early = pl.col("of") - 2
    days = artificial.HISTORY_DAYS
    day = (
        pl.when(pl.col("of") < 3)
        .then(pl.col("nth") * days / pl.col("of"))
        .when(pl.col("nth") < early)
        .then(pl.col("nth") * days / early)
        .otherwise(days + pl.col("nth") - early)
    )
    frames = artificial.frames(lists(file).with_columns(day=day).collect(engine="streaming"))
    attributes = file.with_name(file.name.split(".")[0] + _ATTRIBUTES)
    if attributes.is_file():
        frames["items"] = frames["items"].join(_skills(attributes), on=Columns.ITEM_ID, how="left", maintain_order="left")
    return frames


def _sequence_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise SourceError(f"{path} does not exist; give a file of `user item item ...` lines, or its folder")
    found = [file for file in sorted(path.glob("*.txt")) if _SEQUENCE.fullmatch(_first_line(file))]
    if len(found) != 1:
        names = [file.name for file in found] or sorted(file.name for file in path.iterdir())
        raise SourceError(
            f"{path} must hold one .txt file of `user item item ...` lines; it has {names}; or name the file itself"
        )
    return found[0]


def _first_line(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline()


def _skills(file: Path) -> pl.DataFrame:
    """Item id and its attributes as texts."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        skills = [[str(attribute) for attribute in attributes] for attributes in found.values()]
    except (ValueError, AttributeError, TypeError) as error:
        raise SourceError(f"{file} must be JSON of the form {{item: [attribute, ...]}}: {error}") from error
    return pl.DataFrame(
        {Columns.ITEM_ID: list(found), Columns.SKILLS: skills}, schema_overrides={Columns.SKILLS: pl.List(pl.String)}
    )

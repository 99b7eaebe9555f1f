"""Which data a command was given: the source's name, guessed where it can be, and an absolute address."""

from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from rankloop.errors import SourceError

__all__ = ["Given", "Mapping", "Source", "given"]

Source = Annotated[
    str,
    typer.Option(
        "--source",
        help="The data's format: contract, event_log, job_views, lightgcn, mapping or sequences.  [default: told by the files]",
        show_default=False,
    ),
]
Mapping = Annotated[
    str,
    typer.Option(
        "--mapping", help="A YAML file that describes your own Parquet or CSV, or names a service's log.", show_default=False
    ),
]

_MARKS: Final = {
    "contract": ("items.parquet", "items"),
    "job_views": ("Job_Views.csv", "Job_Views.csv.gz"),
    "lightgcn": ("train.txt", "train.txt.gz"),
}


class Given(NamedTuple):
    """What to read.

    Attributes:
        source: one of `rankloop.sources.SOURCES`.
        path: absolute where it is on this machine.
        mapping: the mapping file; empty for other sources than `mapping`.
    """

    source: str
    path: str
    mapping: str


def given(path: str, source: str, mapping: str) -> Given:
    """Fills in what the command line left out.

    Raises:
        SourceError: nothing is there, or its files do not tell the format.
    """
    local = "://" not in path
    if local and not any(mark in path for mark in "*?[") and not Path(path).exists():
        raise SourceError(f"there is nothing at {path!r}; give the file or folder that the source reads")
    address = str(Path(path).resolve()) if local else path
    named = source or ("mapping" if mapping else _guessed(Path(path)))
    return Given(named, address, str(Path(mapping).resolve()) if mapping else "")


def _guessed(path: Path) -> str:
    for source, marks in _MARKS.items():
        if any((path / mark).exists() for mark in marks):
            return source
    if path.suffix == ".txt" or (path.is_dir() and list(path.glob("*.txt"))):
        return "sequences"
    raise SourceError(
        f"the files at {str(path)!r} do not tell their format; name it with --source, "
        "or describe your own Parquet or CSV with --mapping FILE"
    )

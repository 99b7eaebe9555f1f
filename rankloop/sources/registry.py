"""The sources by name."""

from collections.abc import Callable
from typing import Final, NamedTuple

from rankloop.contracts.suggest import closest
from rankloop.errors import SourceError
from rankloop.sources import contract, event_log, job_views, lightgcn, mapping, sequences
from rankloop.sources.files import Frames

__all__ = ["SOURCES", "Source", "addresses", "read"]


class Source(NamedTuple):
    """One outside format.

    Attributes:
        read: path to raw frames; takes a mapping file as well where `mapped`.
        summary: what it reads, a line.
        mapped: whether it needs a mapping file.
        addresses: path and mapping file to everything that is read besides the mapping; None: the path alone.
    """

    read: Callable[..., Frames]
    summary: str
    mapped: bool = False
    addresses: Callable[[str, str], tuple[str, ...]] | None = None


SOURCES: Final[dict[str, Source]] = {
    "contract": Source(contract.read, "a folder of Parquet files in the contract's columns"),
    "job_views": Source(job_views.read, "a log of job views with wished positions, two CSV files"),
    "lightgcn": Source(lightgcn.read, "train.txt and test.txt of `user item item ...` lines, without times"),
    "sequences": Source(sequences.read, "one file of `user item item ...` lines in the order of time"),
    "mapping": Source(mapping.read, "your own Parquet or CSV, here or in object storage, by a mapping file", mapped=True),
    "event_log": Source(
        event_log.read, "contract tables, and after them what a service showed and people did", True, event_log.addresses
    ),
}
"""Name to source; the name is what `rankloop run --source` and a pipeline's parameter take."""


def addresses(source: str, path: str, mapping: str = "") -> tuple[str, ...]:
    """The files, folders, globs or URLs whose change is a change of the data.

    Args:
        source: one of `SOURCES`.
        path: what the source is given.
        mapping: the mapping file, for a source that needs one.

    Raises:
        SourceError: the mapping cannot be read.
    """
    found = SOURCES.get(source)
    return found.addresses(path, mapping) if found and found.addresses and mapping else (path,)


def read(source: str, path: str, *, mapping: str | None = None) -> Frames:
    """Raw frames in contract columns; `rankloop.contracts.validate` makes tables of them.

    Args:
        source: one of `SOURCES`.
        path: the folder of the data; for `mapping` and `event_log` the root of the paths in the mapping file.
        mapping: the mapping file; only for the sources `mapping` and `event_log`.

    Raises:
        SourceError: the source is not known, a file or a column is missing, or the mapping is missing or not wanted.
    """
    if source not in SOURCES:
        raise SourceError(f"source {source!r} is not known; there are {list(SOURCES)}{closest(source, SOURCES)}")
    found = SOURCES[source]
    if found.mapped != (mapping is not None):
        need = "needs a mapping file" if found.mapped else "takes no mapping file"
        mapped = [name for name, one in SOURCES.items() if one.mapped]
        raise SourceError(f"source {source!r} {need}; a mapping file says to the sources {mapped} what to read")
    return found.read(path, mapping) if found.mapped else found.read(path)

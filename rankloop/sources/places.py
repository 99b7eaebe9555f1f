"""Local and remote files as lazy frames; a relative path stays inside its root."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import fsspec
import polars as pl

from rankloop.errors import SourceError

__all__ = ["Place", "listed", "resolve", "scan", "scan_files", "there"]

_GLOB: Final = frozenset("*?[")


class Place(NamedTuple):
    """Where files lie.

    Attributes:
        path: an absolute path or a URL: of a file, a folder of Parquet files, or a glob.
        root: the local folder that every file must lie in, links followed; None: anywhere.
    """

    path: str
    root: Path | None = None


def resolve(path: str, root: str) -> Place:
    """The place that `path` stands for; a relative one lies inside `root`, a folder or an fsspec URL.

    Raises:
        SourceError: a relative path climbs out of the root, or a URL carries a user name or password.

    Example:
        >>> resolve("jobs/*.parquet", "s3://lake/raw").path
        's3://lake/raw/jobs/*.parquet'
    """
    for url in (path, root):
        if "@" in urlsplit(url).netloc:
            raise SourceError(f"the address of {urlsplit(url).path} carries credentials; give them in the environment instead")
    if "://" in path or Path(path).is_absolute():
        return Place(path)
    if ".." in Path(path).parts:
        raise SourceError(f"{path} leads out of {root}; a relative path must stay inside it, or be made absolute")
    if "://" in root:
        return Place(f"{root.rstrip('/')}/{path}")
    folder = Path(root).resolve()
    return Place(str(folder / path), folder)


def scan(place: Place, form: str | None, stack: ExitStack, *, separator: str, missing: list[str]) -> pl.LazyFrame:
    """A lazy frame over every file of a place, in the order of their names; CSV columns are all text.

    Local files are scanned where they are. Of remote Parquet, fsspec reads only the columns that are asked for;
    remote CSV is copied to a temporary folder, which the stack removes.

    Args:
        place: where the files lie.
        form: parquet or csv; None: by the name of the first file.
        stack: closes what the lazy frame needs; collect before it does.
        separator: between the columns of a CSV file.
        missing: texts that are null in a CSV file.

    Raises:
        SourceError: nothing is there, a link leads out of the root, the format is not known, or the place cannot
            be reached.
    """
    system, found = _reach(place)
    if not found:
        raise SourceError(f"{place.path}: there is no such file; check the path, and that a glob matches something")
    if place.root is not None:
        _hold_inside(place.root, found)
    local = "file" in _protocols(system)
    if (form or _format(found[0])) == "csv":
        files = found if local else _copied(system, found, stack)
        return pl.scan_csv(files, infer_schema=False, separator=separator, null_values=missing)
    return scan_files(system, found)


def listed(pattern: str) -> tuple[fsspec.AbstractFileSystem, list[str]]:
    """The file system of a glob, here or at a URL, and the files that fit, in the order of their names.

    Raises:
        SourceError: the place cannot be reached.
    """
    return _reach(Place(pattern))


def scan_files(system: fsspec.AbstractFileSystem, files: list[str]) -> pl.LazyFrame:
    """A lazy frame over Parquet files of one file system, in the order given; their folders' names add no columns."""
    return pl.scan_parquet(files, hive_partitioning=False) if "file" in _protocols(system) else _remote_parquet(system, files)


def there(place: Place) -> bool:
    """Whether a place has any file.

    Raises:
        SourceError: it cannot be reached.
    """
    return bool(_reach(place)[1])


def _reach(place: Place) -> tuple[fsspec.AbstractFileSystem, list[str]]:
    """The file system of a place, and its files in the order of their names."""
    try:
        system, path = fsspec.core.url_to_fs(place.path)
        return system, _files(system, path)
    except (ImportError, ValueError, OSError) as error:
        raise SourceError(f"{place.path} cannot be reached: {error}") from error


def _protocols(system: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


def _hold_inside(root: Path, files: list[str]) -> None:
    for file in files:
        if not Path(file).resolve().is_relative_to(root):
            raise SourceError(f"{file} is a link that leads out of {root}; make the path absolute if that is meant")


def _files(system: fsspec.AbstractFileSystem, place: str) -> list[str]:
    if _GLOB & set(place):
        return sorted(system.glob(place))
    if system.isdir(place):
        return sorted(system.glob(f"{place.rstrip('/')}/**/*.parquet"))
    return [place] if system.exists(place) else []


def _format(file: str) -> str:
    name = file.lower().removesuffix(".gz").removesuffix(".zst")
    for form, suffixes in (("parquet", (".parquet", ".pq")), ("csv", (".csv", ".tsv", ".txt"))):
        if name.endswith(suffixes):
            return form
    raise SourceError(f"{file}: the name does not say whether it is Parquet or CSV; add `format: parquet` or `format: csv`")


def _copied(system: fsspec.AbstractFileSystem, files: list[str], stack: ExitStack) -> list[str]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rankloop-")))
    copies = []
    for number, file in enumerate(files):
        copy = folder / f"{number:06}-{Path(file).name}"
        system.get_file(file, str(copy))
        copies.append(str(copy))
    return copies


def _remote_parquet(system: fsspec.AbstractFileSystem, files: list[str]) -> pl.LazyFrame:
    from pyarrow import dataset, fs

    remote = fs.PyFileSystem(fs.FSSpecHandler(system))
    return pl.scan_pyarrow_dataset(dataset.dataset(files, filesystem=remote, format="parquet"))

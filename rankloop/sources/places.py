"""Local and remote files as lazy frames; a relative path stays inside its root."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]
import polars as pl

from rankloop.errors import SourceError

__all__ = ["resolve", "scan"]

_GLOB: Final = frozenset("*?[")
_LOCAL: Final = ("file", "local")


def resolve(path: str, root: str) -> str:
    """The absolute path or URL that `path` stands for; a relative one lies inside `root`.

    Raises:
        SourceError: a relative path leads out of the root, or a URL carries a user name or password.

    Example:
        >>> resolve("jobs/*.parquet", "s3://lake/raw")
        's3://lake/raw/jobs/*.parquet'
    """
    for url in (path, root):
        if "@" in urlsplit(url).netloc:
            raise SourceError(f"the address of {urlsplit(url).path} carries credentials; give them in the environment instead")
    if "://" in path or Path(path).is_absolute():
        return path
    if ".." in Path(path).parts:
        raise SourceError(f"{path} leads out of {root}; a relative path must stay inside it, or be made absolute")
    if "://" in root:
        return f"{root.rstrip('/')}/{path}"
    target = Path(root).resolve() / path
    fixed = Path(*(part for part in _until_glob(target)))
    if not fixed.resolve().is_relative_to(Path(root).resolve()):
        raise SourceError(f"{path} is a link that leads out of {root}; a relative path must stay inside it")
    return str(target)


def scan(path: str, form: str | None, stack: ExitStack, *, separator: str, missing: list[str]) -> tuple[str, pl.LazyFrame]:
    """A lazy frame over every file at `path`, in the order of their names; CSV columns are all text.

    Local files are scanned in place. Remote Parquet is read through fsspec, only the columns that are asked for;
    remote CSV is copied to a temporary folder, which the stack removes.

    Args:
        path: absolute: a file, a folder of Parquet files, a glob, or an fsspec URL of one of these.
        form: parquet or csv; None: by the name of the first file.
        stack: closes what the lazy frame needs; collect before it does.
        separator: between the columns of a CSV file.
        missing: texts that are null in a CSV file.

    Returns:
        The name to use in messages, and the frame.

    Raises:
        SourceError: nothing is there, the format is not known, or the place cannot be reached.
    """
    protocol = path.partition("://")[0] if "://" in path else "file"
    try:
        system, place = fsspec.core.url_to_fs(path)
        found = _files(system, place)
    except (ImportError, ValueError, OSError) as error:
        raise SourceError(f"{path} cannot be reached: {error}") from error
    if not found:
        raise SourceError(f"{path}: there is no such file; check the path, and that a glob matches something")
    form = form or _format(found[0])
    local = found if protocol in _LOCAL else None
    if form == "csv":
        files = local or _copied(system, found, stack)
        return path, pl.scan_csv(files, infer_schema=False, separator=separator, null_values=missing)
    return path, pl.scan_parquet(local) if local else _remote_parquet(system, found)


def _until_glob(path: Path) -> list[str]:
    parts = []
    for part in path.parts:
        if _GLOB & set(part):
            break
        parts.append(part)
    return parts


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

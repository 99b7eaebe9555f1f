"""Names for "the same data" and "the same code", so that a cached step is never stale."""

import hashlib
from functools import cache
from pathlib import Path

import fsspec

import components
import rankloop
from rankloop.errors import SourceError
from rankloop.sources import addresses

__all__ = ["code_version", "data_version"]


def data_version(path: str, mapping: str = "", source: str = "") -> str:
    """Changes when a file at `path` (a file, folder or glob; any fsspec address) or the mapping does.

    It reads no data: the file system's own key of each file (size and time of change, or the ETag) is enough. Where
    the source reads other places too, such as a service's log, they count as well.

    Raises:
        SourceError: nothing is there.
    """
    keys = [key for address in addresses(source, path, mapping) for key in _file_keys(address)]
    if mapping:
        keys.append(Path(mapping).read_text())
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def _file_keys(path: str) -> list[str]:
    system, root = fsspec.core.url_to_fs(path)
    files = sorted(system.glob(root)) if any(mark in root for mark in "*?[") else sorted(system.find(root))
    if not files:
        raise SourceError(f"there is no file at {path!r}; give the file or folder that the source reads")
    return [f"{file}:{system.ukey(file)}" for file in files]


@cache
def code_version() -> str:
    """Changes when a line of the library or of a step does."""
    digest = hashlib.sha256()
    for package in (rankloop, components):
        root = Path(str(package.__file__)).parent
        for file in sorted(root.rglob("*")):
            if file.suffix in {".py", ".sql", ".toml", ".j2", ".css"}:
                digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]

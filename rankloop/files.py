"""Files that are whole or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["settle", "write_aside", "write_json"]


def write_aside(path: Path, text: str, *, mode: int = 0o666, durable: bool = False) -> Path:
    """Writes `text` as UTF-8 next to `path`, making its folder, then renames.

    A reader sees the old file or the new one, never half of one.

    Args:
        path: the file.
        text: what it will hold.
        mode: who may read and write it, before the process's umask; 0o600 keeps it from others from its first byte on.
        durable: return when the disk has it, so that it is whole after a crash of the machine too.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_aside(Path(folder) / "note.txt", "whole").read_text()
        'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    aside.unlink(missing_ok=True)
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    return settle(aside, path) if durable else aside.replace(path)


def write_json(path: Path, record: Mapping[str, Any], *, durable: bool = False) -> Path:
    """Writes a record as JSON, in the way of `write_aside`."""
    return write_aside(path, json.dumps(record, indent=2) + "\n", durable=durable)


def settle(aside: Path, path: Path) -> Path:
    """Renames a file that was written aside, and returns when the disk has its content and its name."""
    _sync(aside)
    aside.replace(path)
    _sync(path.parent)
    return path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

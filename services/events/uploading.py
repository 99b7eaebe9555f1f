"""A place where the log's files lie, here or at a URL, and how they get there."""

import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import fsspec
import polars as pl

from monitoring.metrics import CuratorMetrics
from rankloop.erasures import Erased, parse, text_of
from rankloop.errors import SettingsError
from rankloop.files import settle, write_aside
from rankloop.sources.log_layout import ERASURES, LOG_TABLES, SUFFIX
from services.events.rolling import Rolling, Sealed

__all__ = ["LogPlace", "Uploading"]

log = logging.getLogger(__name__)

_WHOLE: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "obs"})
"""Object stores: a file appears there when all of it has come, and renaming would copy it."""

_TRIES: Final = 3


class UploadBroken(OSError):
    """A file is not there as it was sent."""


class LogPlace:
    """The log's files at one address; names are relative to it, such as `outcomes/date=2026-03-01/hour=09/a.parquet`.

    Args:
        address: a folder or any fsspec URL.

    Raises:
        SettingsError: the URL is of no known kind, or its driver is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            self._system, root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"RANKLOOP_LOG_URL is {_plain(address)!r}: {error}; give a URL of a kind that fsspec knows"
            ) from error
        self._root = root.rstrip("/")
        protocols = {self._system.protocol} if isinstance(self._system.protocol, str) else set(self._system.protocol)
        self._whole, self._local = bool(protocols & _WHOLE), "file" in protocols

    def files(self, table: str) -> list[str]:
        """The files of a table."""
        self._system.invalidate_cache()
        found = self._system.glob(f"{self._root}/{table}/*/*/*{SUFFIX}")
        return sorted(str(file).removeprefix(f"{self._root}/") for file in found)

    def put(self, local: Path, name: str) -> None:
        """Sends a file; a reader there sees all of it or nothing.

        Raises:
            OSError: it cannot be sent, or its size there is not the size here.
        """
        target, size = f"{self._root}/{name}", local.stat().st_size
        folder, _, last = target.rpartition("/")
        self._system.makedirs(folder, exist_ok=True)
        aside = target if self._whole else f"{folder}/.{last}.part"
        self._system.put_file(str(local), aside)
        self._check(aside, size)
        if self._local:
            settle(Path(aside), Path(target))
        elif aside != target:
            self._system.mv(aside, target)
            self._check(target, size)

    def column(self, name: str, column: str) -> pl.Series:
        """One column of a file.

        Raises:
            FileNotFoundError: it is gone.
        """
        with self._system.open(f"{self._root}/{name}", "rb") as file:
            return pl.read_parquet(file, columns=[column]).get_column(column)

    def read(self, name: str) -> pl.DataFrame:
        """A file's rows.

        Raises:
            FileNotFoundError: it is gone.
        """
        with self._system.open(f"{self._root}/{name}", "rb") as file:
            return pl.read_parquet(file)

    def text(self, name: str) -> str | None:
        """A small file's text; None where there is none."""
        try:
            return bytes(self._system.cat_file(f"{self._root}/{name}")).decode()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Removes a file or a folder with what is in it; one that is gone is fine."""
        with suppress(FileNotFoundError):
            self._system.rm(f"{self._root}/{name}", recursive=True)

    def remove_if_empty(self, name: str) -> None:
        """Removes a folder that has nothing in it, where there are folders."""
        with suppress(OSError, NotImplementedError):
            self._system.rmdir(f"{self._root}/{name}")

    def _check(self, target: str, size: int) -> None:
        self._system.invalidate_cache()
        there = self._system.info(target)["size"]
        if there != size:
            raise UploadBroken(f"{target} has {there} bytes of {size} after it was sent; it is sent again")


def _plain(address: str) -> str:
    """An address without a user name or password."""
    return re.sub(r"//[^/@]*@", "//", address)


class Uploading:
    """Sends the log's files to their URL and removes them here.

    Args:
        folder: the log's, in the home folder.
        there: the place at the URL.
        metrics: of the curator.
        stopping: whether to leave the rest to the next step.
    """

    def __init__(
        self, folder: Path, there: LogPlace, metrics: CuratorMetrics, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._folder, self._there, self._metrics, self._stopping = folder, there, metrics, stopping
        self._erasures: dict[Path, str] = {}

    def step(self) -> None:
        """Sends what waits; a file is removed here only when its size there was right.

        Raises:
            OSError: the first thing that went wrong; after three the rest waits for the next time.
        """
        self.send_erasures()
        failed: list[Exception] = []
        for file in self._waiting():
            if self._stopping():
                return
            try:
                self._there.put(file, str(file.relative_to(self._folder)))
            except Exception as error:  # drivers raise what their libraries do
                self._metrics.uploads.labels("failed").inc()
                failed.append(error)
                if len(failed) == _TRIES:
                    break
            else:
                self._metrics.uploads.labels("done").inc()
                file.unlink(missing_ok=True)
                self._drop_folders(file.parent)
        if failed:
            raise failed[0]

    def send_erasures(self) -> None:
        """Sends the erasures list where it has changed, together with what another home with the same key put there."""
        for file in sorted((self._folder / ERASURES).glob("*.json")):
            text, name = file.read_text(), f"{ERASURES}/{file.name}"
            if self._erasures.get(file) == text:
                continue
            ours = parse(text, str(file))
            theirs = parse(self._there.text(name) or text, name).at
            both = {who: max(ours.at.get(who, at), at) for who, at in theirs.items()}
            with tempfile.TemporaryDirectory(prefix="rankloop-") as folder:
                whole = write_aside(Path(folder) / file.name, text_of(Erased(ours.key, {**ours.at, **both})))
                self._there.put(whole, name)
            self._erasures[file] = text

    def landed(self, rolling: Rolling, segment: Sealed) -> bool:
        """Whether nothing of a rolled segment waits here."""
        return not any((self._folder / name).exists() for name in rolling.files(segment))

    def _waiting(self) -> Iterator[Path]:
        for table in LOG_TABLES:
            yield from sorted((self._folder / table).glob(f"*/*/*{SUFFIX}"))

    def _drop_folders(self, hour: Path) -> None:
        for folder in (hour, hour.parent):
            with suppress(OSError):
                folder.rmdir()

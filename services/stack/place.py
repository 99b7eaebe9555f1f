"""Where the stack keeps its files, and what says that a process belongs to it."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rankloop.errors import StackError
from rankloop.files import write_aside

__all__ = ["MARK", "Place"]

MARK: Final = "RANKLOOP_STACK"
"""Environment variable that every process of a stack inherits; its value names the home folder."""

_DOORS: Final = Path("/tmp")  # the system's own choice may be too long a path on macOS
_UNIX_SOCKET_BYTES: Final = 107
_DEEPEST_SOCKET: Final = "/" + "n" * 56 + "/admin.sock.4194304.tmp"


@dataclass(frozen=True)
class Place:
    """The folders of one stack.

    Ray and HAProxy make UNIX sockets, whose paths may have 107 bytes, far below their own folders. So both are
    given the door, a short symbolic link to the real folder under the home folder.

    Attributes:
        home: the absolute home folder of all state.
    """

    home: Path

    @property
    def mark(self) -> str:
        """Names this stack among others on the machine."""
        return hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Everything of the stack itself."""
        return self.home / "stack"

    @property
    def logs(self) -> Path:
        """What the stack's starters printed."""
        return self.folder / "logs"

    @property
    def ray(self) -> Path:
        """Ray's and HAProxy's files, by their real name."""
        return self.folder / "ray"

    @property
    def session(self) -> Path:
        """The files of Ray's newest start; Ray's own link to it goes through the door, which `down` closes."""
        return max(self.sessions(), default=self.ray / "session_none")

    def sessions(self) -> list[Path]:
        """One folder for each start of Ray, oldest first."""
        return sorted(folder for folder in self.ray.glob("session_2*") if folder.is_dir())

    @property
    def door(self) -> Path:
        """The same folder by a short name."""
        return _DOORS / f"rankloop-{self.mark[:8]}"

    def prepare(self) -> None:
        """Makes the folders and the door.

        Raises:
            StackError: something that is not ours has the door's name, or even the short name is too long.
        """
        for folder in (self.logs, self.ray, self.home / "bento"):
            folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # Ray opens its own folder to everybody
        if len(str(self.door) + _DEEPEST_SOCKET) > _UNIX_SOCKET_BYTES:
            raise StackError(f"{self.door} is too long a name for sockets below it; the stack cannot run on this system")
        self.close_door()
        try:
            self.door.symlink_to(self.ray.resolve(), target_is_directory=True)
        except FileExistsError as error:
            raise StackError(f"{self.door} is there and not ours; remove it, or set RANKLOOP_HOME to another folder") from error

    def close_door(self) -> None:
        """Removes the short name, if it is ours."""
        if self.door.is_symlink() and self.door.lstat().st_uid == os.getuid():
            self.door.unlink()

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Writes `<folder>/<name>.json` whole or not at all."""
        write_aside(self.folder / f"{name}.json", json.dumps(record, indent=2))

    def read(self, name: str) -> dict[str, Any]:
        """Reads what `write` wrote; empty where nothing was."""
        file = self.folder / f"{name}.json"
        record: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return record

    def forget(self, name: str) -> None:
        """Removes what `write` wrote."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the stack while it is changed; the system lets go when the holder dies, however it dies.

        Raises:
            StackError: another process is changing it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise StackError(
                    f"process {holder} is starting or stopping the stack of {self.home}; wait until it has ended"
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

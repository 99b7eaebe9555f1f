"""A connection to Ray for the length of a search: quiet, without telemetry, and gone afterwards."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import ray

from rankloop.errors import SettingsError

__all__ = ["check_temp", "cores", "session"]

_SOCKET_BYTES: Final = 107
_SESSION_BYTES: Final = 75
"""What Ray appends to its folder before the name of a UNIX socket ends."""
_STORE_BYTES: Final = 200_000_000
_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune would take Ctrl-C as an order to finish with what it has
}


@contextmanager
def session(address: str | None, *, cpus: int, data_bytes: int, temp: Path | None) -> Iterator[None]:
    """A connection to Ray; closes and clears away only what it opened.

    Args:
        address: of a cluster; None uses the one this process is connected to, or starts one.
        cpus: cores of one that is started.
        data_bytes: what will be put into its memory.
        temp: where one that is started keeps sockets and logs; None takes a fresh folder, removed at the end.

    Raises:
        SettingsError: no Ray answers at the address.
    """
    with _quiet(), _environment(_ENVIRONMENT):
        if ray.is_initialized():
            yield
            return
        folder = None if address else _folder(temp)
        try:
            if folder is None:
                _connect(str(address))
            else:
                _start(folder, cpus, data_bytes)
            yield
        finally:
            ray.shutdown()
            if folder is not None and temp is None:
                shutil.rmtree(folder, ignore_errors=True)


def check_temp(temp: Path | None) -> None:
    """Raises unless sockets below the folder have names short enough.

    Raises:
        SettingsError: the path is too long.
    """
    if temp is not None and len(os.fsencode(temp.resolve())) + _SESSION_BYTES > _SOCKET_BYTES:
        limit = _SOCKET_BYTES - _SESSION_BYTES
        raise SettingsError(f"temp is {temp.resolve()}, too long for a UNIX socket; give a path of at most {limit} bytes")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _connect(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise SettingsError(
            f"no Ray answers at {address} ({error.__cause__ or error}); start it, or mend the address; a cluster that asks "
            "for a token needs RAY_AUTH_MODE=token and the token where Ray looks for it"
        ) from error


def _start(folder: Path, cpus: int, data_bytes: int) -> None:
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=2 * data_bytes + _STORE_BYTES,
        _temp_dir=str(folder),
    )


def _folder(temp: Path | None) -> Path:
    if temp is not None:
        temp.mkdir(parents=True, exist_ok=True)
        return temp.resolve()
    fits = len(os.fsencode(tempfile.gettempdir())) + len("/rl-xxxxxxxx") + _SESSION_BYTES <= _SOCKET_BYTES
    return Path(tempfile.mkdtemp(prefix="rl-", dir=None if fits else "/tmp"))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a while; Ray and Tune read them when they start."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Only Tune's errors are logged: `progress` says the rest."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)

"""A tally put away, with where in the spools it stands: what a killed one goes on from."""

import logging
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from rankloop.errors import DataError
from services.tally.coverage import SHOWN, Showings
from services.tally.lists import Lists
from services.tally.phase import Phase
from services.tally.table import Table
from services.tally.tally import ArmTally, Held, Tally
from services.tally.units import COLUMNS, Units

__all__ = ["Positions", "new_tally", "read", "write"]

log = logging.getLogger(__name__)

_VERSION: Final = 1
Positions = dict[str, dict[str, tuple[int, int]]]
"""By stream and writer, the segment and the offset to go on from."""


class _Arm(msgspec.Struct):
    lists: int
    seconds: list[int]
    moments: dict[str, list[str]]
    units: dict[str, bytes]
    pairs: dict[str, bytes]
    bits: int


class _Snapshot(msgspec.Struct):
    version: int
    secret: int
    phase: Phase | None
    positions: Positions
    arms: tuple[_Arm, _Arm]
    lists: dict[str, bytes]
    held: list[Held]
    surfaces: list[str]
    unmatched: int


def new_tally() -> Tally:
    """A tally that has seen nothing, with a secret of its own."""
    return Tally(secret=secrets.randbits(63))


def write(tally: Tally, positions: Positions, file: Path) -> None:
    """Puts it away, whole or not at all: a killed process leaves the last one or this one."""
    first, second = (_put(arm) for arm in tally.arms)
    own = _Snapshot(
        version=_VERSION,
        secret=tally.secret,
        phase=tally.phase,
        positions=positions,
        arms=(first, second),
        lists=tally.lists.columns(),
        held=tally.held,
        surfaces=tally.surfaces,
        unmatched=tally.unmatched,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.part")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(msgspec.msgpack.encode(own))
    aside.replace(file)


def read(file: Path) -> tuple[Tally, Positions]:
    """What was put away.

    Raises:
        DataError: it is none, or another version's.
    """
    try:
        own = msgspec.msgpack.decode(file.read_bytes(), type=_Snapshot)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{file} is no snapshot of a tally: {error}; move it away, and a new one begins") from error
    if own.version != _VERSION:
        raise DataError(f"{file} is of version {own.version}, and this one reads {_VERSION}: move it away, and a new one begins")
    tally = Tally(secret=own.secret)
    tally.phase, tally.held, tally.surfaces, tally.unmatched = own.phase, own.held, own.surfaces, own.unmatched
    tally.lists = Lists(own.lists)
    first, second = (_taken(arm) for arm in own.arms)
    tally.arms = (first, second)
    return tally, own.positions


def _put(arm: ArmTally) -> _Arm:
    return _Arm(
        lists=arm.lists,
        seconds=arm.seconds,
        moments={metric: [str(one) for one in moments] for metric, moments in arm.units.moments.items()},
        units=_bytes(arm.units.table),
        pairs=_bytes(arm.showings.table),
        bits=arm.showings.bits,
    )


def _taken(own: _Arm) -> ArmTally:
    moments = {metric: [int(one) for one in several] for metric, several in own.moments.items()}
    arm = ArmTally(Units(_table(COLUMNS, own.units), moments), Showings(_table(SHOWN, own.pairs), own.bits))
    arm.lists, arm.seconds = own.lists, own.seconds
    return arm


def _bytes(table: Table) -> dict[str, bytes]:
    return {"keys": table.keys.tobytes()} | {name: table[name].tobytes() for name in table.dtypes}


def _table(columns: dict[str, type[np.generic]], put: dict[str, bytes]) -> Table:
    values = {name: np.frombuffer(put[name], dtype) for name, dtype in columns.items()}
    return Table(columns, np.frombuffer(put["keys"], np.uint64), values)

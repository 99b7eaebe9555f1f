"""What a release learned from, as a bundle carries it: what later windows of time are held against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.drift import Profile
from rankloop.drift.slices import SliceCounts
from rankloop.errors import BundleError
from rankloop.files import write_aside

__all__ = ["FOLDER", "Reference"]

FOLDER: Final = "reference"
"""Within a bundle; a bundle may be without it."""

_PROFILE: Final = "profile.json"
_SLICES: Final = "slices.msgpack"
_WORDS: Final = ("rarity", "directions")


_Slices = dict[str, dict[str, SliceCounts]]


class _Record(msgspec.Struct, frozen=True):
    since: datetime
    until: datetime
    profiles: dict[str, Profile]
    hours: dict[str, float]
    usual: dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Reference:
    """Counts of all rows that the release learned from or was tested on, and a sample of them for charts.

    It is no training data: a sample has numbers and categories, no text and no id.

    Attributes:
        since: the first moment.
        until: the end, itself outside.
        profiles: by relation, see `rankloop.watch`: `items`, `users`, `outcomes`, and for each surface `lists-<surface>` and
            `requests-<surface>`.
        samples: by the same names, some thousand rows each.
        hours: by the names of relations whose rows are counted whole, the time in which those came.
        usual: by relation and column, how far parts of the reference lie from the whole: js, wasserstein, nulls.
        words: `rarity` and `directions` of `rankloop.watch.vectors.WordVectors`; empty where the release has an encoder.
        slices: by relation and slice, such as `country=IN`, the counts of its rows in the bins of the relation's profile.
    """

    since: datetime
    until: datetime
    profiles: Mapping[str, Profile]
    samples: Mapping[str, pl.DataFrame]
    hours: Mapping[str, float]
    usual: Mapping[str, Mapping[str, Mapping[str, float]]]
    words: Mapping[str, npt.NDArray[np.float16]] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, SliceCounts]] = field(default_factory=dict)

    def expected(self, name: str, hours: float) -> float | None:
        """How many rows of a relation should come in so many hours; None where that is not known."""
        span = self.hours.get(name)
        return self.profiles[name].rows * hours / span if span else None

    def write(self, bundle: Path) -> None:
        """Writes `reference/` into a bundle's folder."""
        folder = bundle / FOLDER
        folder.mkdir(parents=True)
        record = _Record(self.since, self.until, dict(self.profiles), dict(self.hours), _plain(self.usual))
        write_aside(folder / _PROFILE, msgspec.json.encode(record).decode())
        for name, sample in self.samples.items():
            sample.write_parquet(folder / f"{name}.parquet")
        (folder / _SLICES).write_bytes(msgspec.msgpack.encode(self.slices))
        for name, numbers in self.words.items():
            np.save(folder / f"{name}.npy", numbers, allow_pickle=False)

    @classmethod
    def read(cls, bundle: Path) -> "Reference | None":
        """Reads what `write` wrote; None where the bundle carries none.

        Raises:
            BundleError: it is there and cannot be read.
        """
        folder = bundle / FOLDER
        if not folder.is_dir():
            return None
        try:
            record = msgspec.json.decode((folder / _PROFILE).read_bytes(), type=_Record)
            samples = {name: pl.read_parquet(file) for name in record.profiles if (file := folder / f"{name}.parquet").is_file()}
            words = {name: np.load(file, allow_pickle=False) for name in _WORDS if (file := folder / f"{name}.npy").is_file()}
            file = folder / _SLICES  # references from before it have none
            slices = msgspec.msgpack.decode(file.read_bytes(), type=_Slices) if file.is_file() else {}
        except (OSError, ValueError, msgspec.MsgspecError, pl.exceptions.PolarsError) as error:
            raise BundleError(f"the reference in {folder} cannot be read ({error}); package the release again") from error
        return cls(record.since, record.until, record.profiles, samples, record.hours, record.usual, words, slices)


def _plain(usual: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    return {relation: {name: dict(own) for name, own in columns.items()} for relation, columns in usual.items()}

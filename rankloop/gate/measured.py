"""What was measured of one ranking system: the gate's input, as arrays by request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.errors import DataError

__all__ = ["Measured"]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.object_]
_NOTE: Final = "rankloop.measured"
_FORMAT: Final = 1
_UNIT: Final = "unit"


@dataclass(frozen=True)
class Measured:
    """Per-request metrics of one system on the test requests.

    Two systems can be compared when they were measured on the same requests in the same order.

    Args:
        name: of the system: a release id, `candidate`, `popular`.
        units: `(requests,)`, whose request it was; requests of one unit are not independent.
        values: metric to `(requests,)` float64, NaN where the metric is undefined or was not measured.
        slices: dimension to `(requests,)` labels, such as `surface` to `job_feed`.
        totals: metrics of the whole system that no request has alone, such as `coverage`.

    Raises:
        DataError: no request, or arrays of different lengths.

    Example:
        >>> Measured("popular", ["ann", "bo"], {"ndcg@10": [0.5, np.nan]}).values["ndcg@10"]
        array([0.5, nan])
    """

    name: str
    units: npt.ArrayLike
    values: Mapping[str, npt.ArrayLike]
    slices: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        units = np.array([str(unit) for unit in np.asarray(self.units, object)], object)
        if not len(units):
            raise DataError(f"{self.name} was measured on no request; widen the test window")
        values = {name: np.asarray(array, np.float64) for name, array in self.values.items()}
        slices = {
            name: np.array([str(label) for label in np.asarray(array, object)], object) for name, array in self.slices.items()
        }
        for name, array in {**values, **slices}.items():
            if array.shape != units.shape:
                raise DataError(
                    f"{self.name}: {name} has shape {array.shape}, but there are {len(units)} requests; one value each"
                )
        totals = {name: float(value) for name, value in self.totals.items()}
        for name, mended in (("units", units), ("values", values), ("slices", slices), ("totals", totals)):
            object.__setattr__(self, name, mended)

    def array(self, metric: str) -> Floats | None:
        """A metric by request, None if it was not measured."""
        found = self.values.get(metric)
        return None if found is None else np.asarray(found)

    def labels(self, dimension: str) -> Labels | None:
        """A dimension's label by request, None if there is no such dimension."""
        found = self.slices.get(dimension)
        return None if found is None else np.asarray(found, object)

    def same_requests(self, other: "Measured") -> bool:
        """Whether both were measured on the same requests, as far as their people and slices tell."""
        return np.array_equal(np.asarray(self.units), np.asarray(other.units)) and all(
            np.array_equal(np.asarray(labels), np.asarray(other.slices[dimension]))
            for dimension, labels in self.slices.items()
            if dimension in other.slices
        )

    def write(self, path: Path) -> None:
        """Writes one Parquet file, a row a request; name and totals are in its metadata."""
        columns: dict[str, npt.ArrayLike] = {_UNIT: self.units}
        columns |= {f"slice:{name}": labels for name, labels in self.slices.items()}
        columns |= {f"metric:{name}": values for name, values in self.values.items()}
        note = {"format": _FORMAT, "name": self.name, "totals": self.totals}
        frame = pl.DataFrame({name: np.asarray(array).tolist() for name, array in columns.items()})
        frame.write_parquet(path, metadata={_NOTE: json.dumps(note)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote.

        Raises:
            DataError: the file is missing or of another format.
        """
        try:
            note = json.loads(pl.read_parquet_metadata(path)[_NOTE])
            frame = pl.read_parquet(path)
        except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{path} holds no measurement ({error}); measure the system again") from error
        if note.get("format") != _FORMAT:
            raise DataError(f"{path} is of format {note.get('format')}, not {_FORMAT}; measure the system again")
        parts: dict[str, dict[str, npt.ArrayLike]] = {"slice": {}, "metric": {}}
        for column in frame.columns:
            if column != _UNIT:
                kind, name = column.split(":", 1)
                parts[kind][name] = frame[column].to_numpy()
        return cls(note["name"], frame[_UNIT].to_numpy(), parts["metric"], parts["slice"], note["totals"])

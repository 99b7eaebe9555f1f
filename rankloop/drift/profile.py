"""What the rows of one period look like."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from rankloop.drift.bins import Bins, ColumnBins
from rankloop.drift.column import Column
from rankloop.drift.counting import Counted, count
from rankloop.drift.fitting import fit
from rankloop.drift.rows import Relation, Rows, opened
from rankloop.errors import DataError
from rankloop.files import write_aside

__all__ = ["QUANTILES", "ColumnProfile", "Profile", "profile"]

QUANTILES: Final = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The shares whose quantiles a profile keeps of a numeric column."""

_SAMPLE: Final = 20_000
_DESCRIBED: Final = ("numeric", "category", "list")
_NEW: Final = 0.002
_MOST_NEW: Final = 10


class ColumnProfile(msgspec.Struct, frozen=True):
    """One column of one period.

    Attributes:
        there: whether the rows have it.
        filled: rows with a value.
        odd: of those, NaN or infinite; of embeddings also those of another length.
        parts: counts by bin, for each part of its bins.
        quantiles: of a numeric column: its values at `QUANTILES`, from the sample; else empty.
        distinct: different values in the sample, of lists different elements; 0 of texts and embeddings.
        newcomers: labels that the reference's sample has not, with their share of the sample's labels; the commonest ten.
    """

    there: bool
    filled: int = 0
    odd: int = 0
    parts: tuple[tuple[int, ...], ...] = ()
    quantiles: tuple[float, ...] = ()
    distinct: int = 0
    newcomers: dict[str, float] = {}


class Profile(msgspec.Struct, frozen=True):
    """All columns of one period, counted in the bins of its reference.

    Attributes:
        rows: how many rows there are.
        worth: how many independent rows those are worth.
        bins: what they are counted in.
        columns: one for each of the bins' columns, in their order.
    """

    rows: int
    worth: float
    bins: Bins
    columns: tuple[ColumnProfile, ...]

    def write(self, path: Path) -> Path:
        """Writes it as JSON."""
        return write_aside(path, msgspec.json.encode(self).decode())

    @classmethod
    def read(cls, path: Path) -> "Profile":
        """Reads what `write` wrote.

        Raises:
            DataError: the file cannot be read, or is no profile.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(f"drift: {path} is no profile ({error}); make it again from the reference's rows") from error


def profile(
    relation: Relation,
    columns: Sequence[Column] = (),
    bins: Bins | None = None,
    *,
    unit: str | None = None,
    threads: int = 2,
    memory: str = "3GB",
) -> Profile:
    """Counts every row of a period; without `bins` it is a reference, and its own sample makes them.

    Rows are read twice: a sample of about 20,000 (drawn by a hash of the row's number, so the same each time), and then
    all of them, by one query.

    Args:
        relation: Parquet paths, a `pl.DataFrame`, a `pa.Table`, or a DuckDB relation (which keeps its own connection's
            threads and memory).
        columns: what is watched; with `bins` these say it.
        bins: the reference's, to count a window in.
        unit: the column of who made a row, as people repeat themselves; None: rows count as independent.
        threads: cores that are used.
        memory: what DuckDB may use of it; more is put on disk.

    Raises:
        DataError: the rows cannot be read, a column is named twice, or there are none to watch.

    Example:
        >>> from rankloop.drift.column import Column
        >>> seen = profile(pl.DataFrame({"country": ["de", "at", "de", None]}), [Column("country", "category")])
        >>> seen.columns[0].filled, seen.bins.columns[0].parts[0].labels, seen.columns[0].parts
        (3, ('de', 'at'), ((2, 1, 0),))
    """
    watched = tuple(own.column for own in bins.columns) if bins else tuple(columns)
    if not watched or len({column.name for column in watched}) < len(watched):
        raise DataError(f"drift: {len(watched)} columns are watched; at least one is, and each once")
    with opened(relation, threads, memory) as rows:
        # A window's texts and vectors are only counted: they are most of what there is to read.
        read = [at for at, column in enumerate(watched) if bins is None or column.kind in _DESCRIBED]
        there = [at for at in read if watched[at].name in rows.types]
        sample = rows.sample([watched[at] for at in there], _SAMPLE)
        sample = sample.rename({f"c{place}": f"c{at}" for place, at in enumerate(there)}) if there else sample
        fitted = bins or fit(watched, sample)
        counted = count(rows, fitted)
        return Profile(rows.count, _worth(rows, unit), fitted, _columns(fitted, counted, sample))


def _worth(rows: Rows, unit: str | None) -> float:
    if unit is not None and unit not in rows.types:
        raise DataError(f"drift: there is no column {unit!r} to count people by; there are {', '.join(sorted(rows.types))}")
    return rows.worth(unit)


def _columns(bins: Bins, counted: Sequence[Counted | None], sample: pl.DataFrame) -> tuple[ColumnProfile, ...]:
    return tuple(
        ColumnProfile(there=False) if found is None else _column(own, found, sample, f"c{at}")
        for at, (own, found) in enumerate(zip(bins.columns, counted, strict=True))
    )


def _column(own: ColumnBins, found: Counted, sample: pl.DataFrame, name: str) -> ColumnProfile:
    if own.column.kind not in _DESCRIBED:
        return ColumnProfile(there=True, filled=found.filled, odd=found.odd, parts=found.parts)
    values = sample[name].drop_nulls()
    quantiles: tuple[float, ...] = ()
    if own.column.kind == "numeric":
        values = values.filter(values.is_finite())
        quantiles = tuple(np.quantile(values.to_numpy(), QUANTILES).tolist()) if len(values) else ()
    flat = values.explode().drop_nulls() if own.column.kind == "list" else values
    return ColumnProfile(
        there=True,
        filled=found.filled,
        odd=found.odd,
        parts=found.parts,
        quantiles=quantiles,
        distinct=flat.n_unique(),
        newcomers=_newcomers(own, flat),
    )


def _newcomers(own: ColumnBins, values: pl.Series) -> dict[str, float]:
    known = next((part for part in own.parts if part.labels and not part.words), None)
    if known is None or not len(values):
        return {}
    new = values.filter(~values.is_in(list(known.labels + known.known))).rename("label")
    shares = new.value_counts(sort=True)[:_MOST_NEW].with_columns(pl.col("count") / len(values))
    return {label: share for label, share in shares.iter_rows() if share >= _NEW}

"""What can go wrong from a date on, switched on by hand to test that somebody notices."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from rankloop.contracts import REQUIRED, SCHEMAS, Columns
from rankloop.errors import DataError
from rankloop.simulation.scale import DAY, Scale
from rankloop.simulation.vocabulary import lexicon

__all__ = ["CategoryVanishes", "Fault", "GoesNull", "TastesShift", "TextsGarbled", "UnitChange", "check", "record"]

_TEXTS = frozenset({Columns.TITLE, Columns.DESCRIPTION, Columns.HEADLINE, Columns.QUERY})
_TIME = {"items": Columns.CREATED_AT, "users": Columns.CREATED_AT, "impressions": Columns.TS, "outcomes": Columns.TS}


@dataclass(frozen=True)
class UnitChange:
    """A numeric column is written in another unit, such as a budget in cents; people still see the true one.

    Attributes:
        from_day: the first day concerned, 0 is the first day of history.
        column: a numeric column of `table`.
        factor: what the true value is multiplied by.
    """

    from_day: int
    column: str = Columns.BUDGET
    table: str = "items"
    factor: float = 100.0


@dataclass(frozen=True)
class GoesNull:
    """A column that need not be there is no longer written; people still see it.

    Attributes:
        from_day: the first day concerned, 0 is the first day of history.
        column: a column of `table` that the contract does not require.
    """

    from_day: int
    column: str = Columns.SKILLS
    table: str = "items"


@dataclass(frozen=True)
class CategoryVanishes:
    """Nobody posts jobs of a category any more; those already open stay open.

    Attributes:
        from_day: the first day concerned, 0 is the first day of history.
        category: its name.
    """

    from_day: int
    category: str


@dataclass(frozen=True)
class TastesShift:
    """People like other things than before: everybody takes over a share of a random other person's tastes.

    Attributes:
        from_day: the first day concerned, 0 is the first day of history.
        share: 0 changes nothing, 1 changes everything.
    """

    from_day: int
    share: float = 0.8


@dataclass(frozen=True)
class TextsGarbled:
    """Texts are written with their bytes read as UTF-16, so that no word is left; people still see the true ones.

    Attributes:
        from_day: the first day concerned, 0 is the first day of history.
        columns: texts of `table`.
        table: whose.
    """

    from_day: int
    columns: tuple[str, ...] = (Columns.TITLE, Columns.DESCRIPTION)
    table: str = "items"


Fault = UnitChange | GoesNull | CategoryVanishes | TastesShift | TextsGarbled


def check(faults: Sequence[Fault], scale: Scale) -> None:
    """Refuses a fault that could not show.

    Raises:
        DataError: the day lies outside the history, or the table, column, category or share does not exist.
    """
    for fault in faults:
        if not 0 <= fault.from_day < scale.days:
            raise DataError(f"{fault}: from_day must be one of the {scale.days} days of history, 0 to {scale.days - 1}")
        if isinstance(fault, UnitChange | GoesNull):
            _check_column(fault)
        if isinstance(fault, TextsGarbled):
            _check_texts(fault)
        if isinstance(fault, CategoryVanishes):
            names = [category.name for category in lexicon().categories]
            if fault.category not in names:
                raise DataError(f"{fault}: there is no such category; choose one of {names}")
        if isinstance(fault, TastesShift) and not 0 < fault.share <= 1:
            raise DataError(f"{fault}: share must be above 0 and at most 1")


def record(frame: pl.DataFrame, table: str, faults: Sequence[Fault], scale: Scale) -> pl.DataFrame:
    """The table as it is written while faults of recording are on; only rows from their date on differ."""
    for fault in faults:
        if not isinstance(fault, UnitChange | GoesNull | TextsGarbled) or fault.table != table:
            continue
        since = pl.lit(scale.start_us + fault.from_day * DAY, pl.Int64).cast(pl.Datetime("us", "UTC"))
        for column, changed in _written(fault).items():
            kept = pl.when(pl.col(_TIME[table]) < since).then(pl.col(column)).otherwise(changed)
            frame = frame.with_columns(kept.cast(frame.schema[column]).alias(column))
    return frame


def _written(fault: UnitChange | GoesNull | TextsGarbled) -> dict[str, pl.Expr]:
    """By column, what is written in place of the true value."""
    if isinstance(fault, TextsGarbled):
        return {name: pl.col(name).map_elements(_garbled, return_dtype=pl.String) for name in fault.columns}
    return {fault.column: pl.lit(None) if isinstance(fault, GoesNull) else pl.col(fault.column) * fault.factor}


def _garbled(text: str) -> str:
    """A text's UTF-8 bytes as a reader of UTF-16 takes them.

    Example:
        >>> _garbled("Logo design")
        '潌潧搠獥杩\ufffd'
    """
    return text.encode("utf-8").decode("utf-16-le", errors="replace")


def _check_column(fault: UnitChange | GoesNull) -> None:
    schema = SCHEMAS.get(fault.table)
    if schema is None or fault.column not in schema:
        raise DataError(f"{fault}: the contract has no column {fault.column!r} in a table {fault.table!r}")
    if isinstance(fault, GoesNull) and fault.column in REQUIRED[fault.table]:
        raise DataError(f"{fault}: the contract requires {fault.column!r}; choose a column that may be null")
    if isinstance(fault, UnitChange) and schema[fault.column] != pl.Float64:
        raise DataError(f"{fault}: {fault.column!r} is not a measured number; choose one such as {Columns.BUDGET!r}")


def _check_texts(fault: TextsGarbled) -> None:
    wrong = [name for name in fault.columns if name not in _TEXTS or name not in SCHEMAS.get(fault.table, {})]
    if wrong or not fault.columns:
        raise DataError(f"{fault}: {wrong or 'nothing'} is no text of a table {fault.table!r}; choose of {sorted(_TEXTS)}")

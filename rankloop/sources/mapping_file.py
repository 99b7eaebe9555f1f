"""The mapping file: how somebody's own files become contract tables, as YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import fsspec
import yaml

from rankloop.contracts import KINDS, REQUIRED, SCHEMAS, TABLES, UTC
from rankloop.contracts.suggest import closest
from rankloop.errors import SourceError

__all__ = ["TableMapping", "TimeFormat", "load"]

_UNITS: Final = ("s", "ms", "us", "ns")
_FORMATS: Final = ("parquet", "csv")
_OPTIONAL_TABLES: Final = ("users",)


@dataclass(frozen=True)
class TimeFormat:
    """How a column spells a time.

    Attributes:
        unit: for numbers since 1970: s, ms, us or ns.
        format: for texts: a strftime pattern; None: RFC 3339, or the same without a zone where `time_zone` is given.
        time_zone: the zone of times that do not say theirs, such as `Europe/Lisbon`.
    """

    unit: str | None = None
    format: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True)
class TableMapping:
    """Where one contract table comes from; every mapping is ours to theirs, except `kinds`.

    Attributes:
        where: the place in the mapping file, for messages.
        path: a file, a folder of Parquet files, a glob, or an fsspec URL of one of these.
        format: parquet or csv; None: by the file's name.
        columns: our column to their column.
        numbers: further numeric columns, our name to their column.
        constants: our column to its one value.
        timestamps: our column to how theirs spells times.
        lists: our column to the separator in their text.
        kinds: their kind of event to ours; None: such rows are left out.
        keep: their column to the values of the rows to keep.
        separator: between the columns of a CSV file.
        missing: texts that mean a missing value in a CSV file.
    """

    where: str
    path: str
    format: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    timestamps: dict[str, TimeFormat] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str | None] = field(default_factory=dict)
    keep: dict[str, list[str]] = field(default_factory=dict)
    separator: str = ","
    missing: list[str] = field(default_factory=lambda: [""])


_KEYS: Final = tuple(name for name in TableMapping.__dataclass_fields__ if name != "where")


def load(file: str) -> dict[str, TableMapping]:
    """Reads and checks a mapping file, here or at an fsspec URL.

    Raises:
        SourceError: it is not there, is not YAML, or names a table, a column or a key that does not exist; the
            message names the place in the file and the nearest thing that does.
    """
    try:
        with fsspec.open(file, "rt", encoding="utf-8") as text:
            content = yaml.safe_load(text)
    except (OSError, ValueError, ImportError, yaml.YAMLError) as error:
        raise SourceError(f"the mapping {file} cannot be read: {error}") from error
    tables = _section(content, file, ("tables",)).get("tables")
    found = _section(tables, f"{file}: tables", TABLES)
    missing = [name for name in TABLES if name not in found and name not in _OPTIONAL_TABLES]
    if missing:
        raise SourceError(f"{file}: tables {missing} are missing; only {list(_OPTIONAL_TABLES)} may be left out")
    return {name: _table(name, found[name], f"{file}: {name}") for name in found}


def _section(content: object, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    """A YAML mapping whose keys are all known."""
    if not isinstance(content, dict):
        raise SourceError(f"{where} must be a mapping with some of {list(known)}, not {content!r}")
    for key in content:
        if key not in known:
            raise SourceError(f"{where}: {key!r} is not known; there may be {list(known)}{closest(str(key), known)}")
    return content


def _table(name: str, content: object, where: str) -> TableMapping:
    given = _section(content, where, _KEYS)
    if not isinstance(given.get("path"), str):
        raise SourceError(f"{where}: path is {given.get('path')!r}; give the file, folder, glob or URL of this table")
    ours = tuple(SCHEMAS[name])
    table = TableMapping(
        where=where,
        path=given["path"],
        format=_choice(given.get("format"), f"{where}.format", _FORMATS),
        columns=_texts(given, where, "columns", ours),
        numbers=_texts(given, where, "numbers", None),
        constants=_section(given.get("constants", {}), f"{where}.constants", ours),
        timestamps=_timestamps(given.get("timestamps", {}), f"{where}.timestamps", name),
        lists=_texts(given, where, "lists", ours),
        kinds=_kinds(given.get("kinds", {}), f"{where}.kinds"),
        keep=_keep(given.get("keep", {}), f"{where}.keep"),
        separator=_text(given.get("separator", ","), f"{where}.separator"),
        missing=[str(text) for text in _sequence(given.get("missing", [""]))],
    )
    _check_columns(name, table)
    return table


def _check_columns(name: str, table: TableMapping) -> None:
    sources = (table.columns, table.constants, table.numbers)
    doubled = [column for column in table.columns if column in table.constants]
    if doubled:
        raise SourceError(f"{table.where}: {doubled} are both in columns and in constants; keep one")
    missing = [column for column in REQUIRED[name] if not any(column in source for source in sources)]
    if missing:
        raise SourceError(f"{table.where}: {missing} are required; name their columns in columns, or give constants")
    known = [column for column in table.numbers if column in SCHEMAS[name]]
    if known:
        raise SourceError(f"{table.where}.numbers: {known} are columns of the contract; move them to columns")
    for key, entries in (("timestamps", table.timestamps), ("lists", table.lists)):
        idle = [column for column in entries if column not in table.columns]
        if idle:
            raise SourceError(f"{table.where}.{key}: {idle} are not in columns; say there which column they come from")


def _texts(given: Mapping[str, Any], where: str, key: str, known: tuple[str, ...] | None) -> dict[str, str]:
    content = given.get(key, {})
    names = known if known is not None or not isinstance(content, dict) else tuple(content)
    section = _section(content, f"{where}.{key}", names or ())
    return {ours: _text(theirs, f"{where}.{key}.{ours}") for ours, theirs in section.items()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SourceError(f"{where} is {value!r}; it must be text (quote it)")
    return value


def _choice(value: object, where: str, known: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    if value not in known:
        raise SourceError(f"{where} is {value!r}; it must be one of {list(known)}{closest(str(value), known)}")
    return str(value)


def _timestamps(content: object, where: str, name: str) -> dict[str, TimeFormat]:
    times = tuple(column for column, dtype in SCHEMAS[name].items() if dtype == UTC)
    formats = {}
    for column, spelling in _section(content, where, times).items():
        place = f"{where}.{column}"
        given = _section(spelling, place, ("unit", "format", "time_zone"))
        texts = {key: _text(given[key], f"{place}.{key}") for key in ("format", "time_zone") if key in given}
        formats[column] = TimeFormat(unit=_choice(given.get("unit"), f"{place}.unit", _UNITS), **texts)
    return formats


def _kinds(content: object, where: str) -> dict[str, str | None]:
    if not isinstance(content, dict):
        raise SourceError(f"{where} must map their kinds of event to {list(KINDS)}, or to null to leave them out")
    return {str(theirs): _choice(ours, f"{where}.{theirs}", KINDS) for theirs, ours in content.items()}


def _keep(content: object, where: str) -> dict[str, list[str]]:
    if not isinstance(content, dict):
        raise SourceError(f"{where} must map their columns to the values of the rows to keep, not {content!r}")
    return {str(column): [_plain(value) for value in _sequence(values)] for column, values in content.items()}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: object) -> str:
    """A YAML scalar as Polars spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)

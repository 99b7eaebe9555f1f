"""What a running service showed and what people did, as its curator writes it: hourly Parquet, here or in object storage."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import fsspec
import polars as pl
import yaml

from rankloop.contracts import SCHEMAS, Columns
from rankloop.contracts.casting import conform, unreadable
from rankloop.contracts.suggest import closest
from rankloop.erasures import fingerprint, parse, without
from rankloop.errors import SourceError
from rankloop.sources import contract
from rankloop.sources.files import Frames
from rankloop.sources.log_layout import ERASURES, LOG_SCHEMAS, MOMENTS, SUFFIX, hour_of
from rankloop.sources.places import Place, listed, resolve, scan_files, there

__all__ = ["LogMapping", "addresses", "erasures", "load", "read", "read_log"]

_HOUR: Final = timedelta(hours=1)
_KEYS: Final = ("log", "from", "until", "erasure_key")
_SHOWN: Final = "~shown"
_REQUEST: Final = [Columns.REQUEST_ID, Columns.USER_ID, Columns.SURFACE, Columns.QUERY]


@dataclass(frozen=True)
class LogMapping:
    """Which log, and which part of it.

    Attributes:
        log: its folder or URL, absolute.
        since: its rows from this moment on; None: from the first.
        until: its rows before this moment; None: to the last.
        key: the erasure key; None where none was given.
    """

    log: str
    since: datetime | None = None
    until: datetime | None = None
    key: bytes | None = None


def read(path: str, mapping: str) -> Frames:
    """The contract tables in a folder, and after them what a service logged.

    Whoever is in the log and not among the users becomes a user, as old as the first of those rows. People who
    were erased are left out of every table, up to their erasure.

    Args:
        path: a folder or URL in the form of the source `contract`: items, users, and the history before the log.
        mapping: a YAML file: `log`, and where wanted `from`, `until` and `erasure_key`; see docs/guides/event-log.md.

    Raises:
        SourceError: the mapping, a table or the log cannot be read, or the log names erased people and no key is there.
    """
    found = load(mapping, path)
    base = {table: _typed(table, frame) if table != "items" else frame for table, frame in contract.read(path).items()}
    shown, done = read_log(found.log, since=found.since, until=found.until, key=found.key)
    pair = [Columns.REQUEST_ID, Columns.ITEM_ID]
    base["impressions"] = pl.concat(
        [base["impressions"], shown.join(base["impressions"], on=pair, how="anti", maintain_order="left")], how="diagonal"
    )
    base["outcomes"] = pl.concat([base["outcomes"], done], how="diagonal")
    if found.key and (erased := _erased(found.log, found.key)):
        for table, moment in (("users", Columns.CREATED_AT), ("impressions", Columns.TS), ("outcomes", Columns.TS)):
            base[table] = without(base[table], erased, found.key, moments=(moment,))
    base["users"] = _with_new_users(base["users"], [base["impressions"], base["outcomes"]])
    return base


def read_log(
    log: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    key: bytes | None = None,
    whole: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The log's impressions and outcomes in contract columns, each once, oldest first.

    A log is delivered at least once: of outcomes with one event_id the first counts. Of a request that was answered
    twice, because the edge asked again, the latest answer counts. Answers to nobody in particular are left out. An
    outcome keeps its request only where that impression is here too.

    Args:
        log: a folder or an fsspec URL.
        since: rows from this moment on.
        until: rows before this moment.
        key: the erasure key; needed once somebody was erased.
        whole: impressions with all that the log has of them, score, source and fallback among it.

    Raises:
        SourceError: the log cannot be read, or it names erased people and the key is not the one it was written with.
    """
    if not there(Place(log)):
        raise SourceError(
            f"{log} holds no log; give the folder or URL that the curator writes, with impressions/date=.../hour=..."
        )
    erased, pair = _erased(log, key), [Columns.REQUEST_ID, Columns.ITEM_ID]
    shown, done = (_rows(log, table, since, until) for table in ("impressions", "outcomes"))
    if key:
        shown, done = (
            without(rows, erased, key, moments=moments)
            for rows, moments in ((shown, MOMENTS["impressions"]), (done, MOMENTS["outcomes"]))
        )
    latest = pl.col(Columns.TS) == pl.col(Columns.TS).max().over(_REQUEST)
    shown = shown.filter(latest & (pl.col(Columns.USER_ID) != "")).unique(pair, keep="first", maintain_order=True)
    done = done.sort(Columns.TS, Columns.RECEIVED, maintain_order=True).unique(
        Columns.EVENT_ID, keep="first", maintain_order=True
    )
    done = done.join(shown.select(*pair, **{_SHOWN: pl.lit(True)}), on=pair, how="left", maintain_order="left")
    done = done.with_columns(pl.when(pl.col(_SHOWN)).then(pl.col(Columns.REQUEST_ID)).alias(Columns.REQUEST_ID))
    return shown if whole else _in_contract("impressions", shown), _in_contract("outcomes", done)


def erasures(log: str) -> dict[str, dict[str, int]]:
    """Who was erased from a log: by the fingerprint of the key, the keyed hashes and the moments in microseconds.

    Raises:
        SourceError: the log cannot be reached.
    """
    found: dict[str, dict[str, int]] = {}
    system, files = listed(f"{log.rstrip('/')}/{ERASURES}/*.json")
    for file in files:
        erased = parse(system.cat_file(file).decode(), file)
        found[erased.key] = dict(erased.at)
    return found


def addresses(path: str, mapping: str) -> tuple[str, ...]:
    """Everything that `read` reads besides the mapping."""
    return (path, load(mapping, path).log)


def load(mapping: str, root: str) -> LogMapping:
    """Reads and checks the mapping file.

    Raises:
        SourceError: it cannot be read, or a key or a value is not known.
    """
    try:
        with fsspec.open(mapping, "rt", encoding="utf-8") as text:
            given = yaml.safe_load(text)
    except (OSError, ValueError, ImportError, yaml.YAMLError) as error:
        raise SourceError(f"the mapping {mapping} cannot be read: {error}") from error
    if not isinstance(given, dict) or not isinstance(given.get("log"), str):
        raise SourceError(f"{mapping} must name the log, a folder or a URL, as `log: ...`; there may be {list(_KEYS)}")
    for name in given:
        if name not in _KEYS:
            raise SourceError(f"{mapping}: {name!r} is not known; there may be {list(_KEYS)}{closest(str(name), _KEYS)}")
    log = resolve(given["log"], root).path
    since, until = (_moment(given.get(name), f"{mapping}: {name}") for name in ("from", "until"))
    return LogMapping(log, since, until, _key(given.get("erasure_key"), log, root))


def _moment(value: object, where: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise SourceError(f"{where} is {value!r}; give a time such as 2026-03-01T00:00:00Z") from error
    if moment.tzinfo is None and (isinstance(value, datetime) or not isinstance(value, date)):
        raise SourceError(f"{where} is {value}, a time without a zone; add Z where it is UTC")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _key(given: object, log: str, root: str) -> bytes | None:
    """The erasure key: the one named, else the one that lies where a service's home has it beside its log."""
    beside = Path(log).parent / "privacy" / "key"
    if given is None and ("://" in log or not beside.is_file()):
        return None
    place = str(beside) if given is None else resolve(str(given), root).path
    try:
        with fsspec.open(place, "rb") as file:
            return bytes(file.read()).strip()
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"the erasure key {place} cannot be read: {error}; mount the secret, or correct the path") from error


def _erased(log: str, key: bytes | None) -> dict[str, int]:
    """Who was erased, by the hashes of our key.

    Raises:
        SourceError: somebody was, and we have not the key that tells who.
    """
    found = {name: at for name, at in erasures(log).items() if at}
    ours = fingerprint(key) if key else None
    others = sorted(set(found) - {ours})
    if others:
        people, had = sum(len(found[name]) for name in others), "another key was" if key else "no key was"
        raise SourceError(
            f"{log} says that {people} people were erased, by the keys {others}, and {had} given; "
            "name the file `privacy/key` of the service's home as erasure_key"
        )
    return found.get(ours, {}) if ours else {}


def _rows(log: str, table: str, since: datetime | None, until: datetime | None) -> pl.DataFrame:
    """Rows of a time range, oldest first."""
    system, files = listed(f"{log.rstrip('/')}/{table}/*/*/*{SUFFIX}")
    wanted = [file for file in files if _within(hour_of(file), since, until)]
    if not wanted:
        return pl.DataFrame(schema=LOG_SCHEMAS[table])
    try:
        rows = scan_files(system, wanted).select(list(LOG_SCHEMAS[table]))
        if since is not None:
            rows = rows.filter(pl.col(Columns.TS) >= since)
        if until is not None:
            rows = rows.filter(pl.col(Columns.TS) < until)
        return rows.sort(Columns.TS, maintain_order=True).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{log}: {table} cannot be read: {error}; if the curator changed it meanwhile, read again") from error


def _within(hour: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if hour is None:
        return False
    return (since is None or hour + _HOUR > since) and (until is None or hour < until)


def _typed(table: str, raw: pl.DataFrame) -> pl.DataFrame:
    """A table in the contract's types, so that the log's rows may follow its own."""
    conformed = conform(table, raw)
    for column in SCHEMAS[table]:
        if bad := conformed.frame.get_column(unreadable(column)).sum():
            raise SourceError(
                f"{table}: {bad} values of {column!r} cannot be read; see `rankloop data check`, and mend them first"
            )
    return conformed.frame.select(*SCHEMAS[table], *conformed.extras)


def _in_contract(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    schema = SCHEMAS[table]
    missing = [pl.lit(None, dtype).alias(column) for column, dtype in schema.items() if column not in rows.columns]
    return rows.with_columns(missing).select(list(schema))


def _with_new_users(users: pl.DataFrame, logged: list[pl.DataFrame]) -> pl.DataFrame:
    seen = pl.concat([rows.select(Columns.USER_ID, Columns.TS) for rows in logged]).drop_nulls()
    first = seen.group_by(Columns.USER_ID).agg(pl.col(Columns.TS).min().alias(Columns.CREATED_AT)).sort(Columns.USER_ID)
    return pl.concat([users, first.join(users, on=Columns.USER_ID, how="anti")], how="diagonal")

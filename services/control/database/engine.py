"""The record's database: opened and brought up to date, one writer at a time, its password in no message."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from rankloop.errors import ControlError, SettingsError
from services.control.database.fence import Lease, check_lease, take_turn
from services.control.database.types import decoded, encoded
from services.settings import Settings

__all__ = ["Database", "connect", "database_url", "open_database", "told"]

_WAIT_SECONDS: Final = 10
"""Longest wait for another writer; a transaction left idle so long is ended by the database."""

_READING: Final = "rankloop_reading"


class Database:
    """The record of the control plane. Any number of processes and threads may share it; make one per process.

    Writers take turns: a transaction sees everything that was recorded before it, and events are numbered in the order
    in which they become visible.

    Args:
        engine: of `connect`; its schema must be up to date, as `open_database` makes it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(**{_READING: True})

    def __repr__(self) -> str:
        return f"Database({self.url!r})"

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return self._engine.url.render_as_string(hide_password=True)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def begin(self, lease: Lease | None = None) -> Iterator[Session]:
        """One transaction: all of it is recorded at its end, or nothing when it raises.

        Args:
            lease: what makes the writer leader; the database then refuses the whole transaction after another took over.

        Raises:
            Conflict: another took over the lease.
            ControlError: the database does not answer, or is busy for too long.
        """
        with told(self.url), Session(self._engine) as session, session.begin():
            take_turn(session.connection())  # begins now, not at the first statement
            if lease is not None:
                check_lease(session, lease)
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One look at the record, which sees no change made meanwhile, waits for no writer, and cannot write.

        Raises:
            ControlError: the database does not answer.
        """
        with told(self.url), Session(self._reading) as session, session.begin():
            if self.dialect == "postgresql":
                session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield session

    def close(self) -> None:
        """Gives its connections back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def database_url(settings: Settings) -> str:
    """The setting `database_url`, or SQLite in the home folder; it may hold a password, so never show it."""
    given = settings.database_url.get_secret_value()
    return given or URL.create("sqlite", database=str(settings.home / "control" / "record.db")).render_as_string()


def open_database(url: str) -> Database:
    """Opens the record, and brings its tables up to this version under a lock.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://user:password@host/name`.

    Raises:
        SettingsError: the URL cannot work.
        ControlError: the database does not answer, or was written by a newer version.
    """
    from services.control.database.migrating import upgrade  # Alembic is asked here only

    engine = connect(url)
    try:
        with told(engine.url.render_as_string()):
            upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return Database(engine)


def connect(url: str) -> Engine:
    """An engine whose connections behave alike in both databases; nothing is asked of it yet.

    Raises:
        SettingsError: the URL cannot work.
    """
    parsed = _parsed(url)
    common: dict[str, Any] = {"hide_parameters": True, "json_serializer": encoded, "json_deserializer": decoded}
    if parsed.get_backend_name() == "sqlite":
        _make_folder(Path(parsed.database or ""))
        engine = create_engine(parsed, connect_args={"timeout": _WAIT_SECONDS}, **common)
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        engine = create_engine(parsed, connect_args=_postgres_options(), pool_pre_ping=True, **common)
    event.listen(engine, "begin", _begin)
    return engine


def _parsed(url: str) -> URL:
    usual = "give sqlite:///path or postgresql+psycopg://user:password@host/name in RANKLOOP_DATABASE_URL"
    try:
        parsed = make_url(url)
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, ValueError, NoSuchModuleError):
        raise SettingsError(f"the database's URL cannot be read; {usual}") from None
    except ImportError as error:
        raise SettingsError(f"the database's driver is missing ({error}); run pip install 'rankloop[postgres]'") from None
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise SettingsError(f"the database's URL begins with {parsed.drivername!r}; {usual}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise SettingsError(f"the database's URL names no file, so nothing would be remembered; {usual}")
    return parsed


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ControlError(f"the record's folder cannot be made: {error}; set RANKLOOP_HOME to a folder of your own") from error


def _postgres_options() -> dict[str, Any]:
    wait = _WAIT_SECONDS * 1000
    limits = f"-c lock_timeout={wait} -c idle_in_transaction_session_timeout={wait} -c timezone=UTC"
    asleep = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": wait}
    return {"options": limits, "connect_timeout": _WAIT_SECONDS, "application_name": "rankloop", **asleep}


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own; `_begin` does
    for pragma in ("foreign_keys=ON", "recursive_triggers=ON", "synchronous=FULL", f"busy_timeout={_WAIT_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        reading = bool(connection.get_execution_options().get(_READING))
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def told(url: str) -> Iterator[None]:
    """The database's errors as `ControlError`, in one line, and without its password."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise ControlError(f"the record at {url} refuses, or does not answer: {_one_line(error)}") from None
    except SQLAlchemyError as error:
        raise ControlError(f"the record at {url} cannot do what was asked: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split())

"""The tables brought up to this version, by one process while the others wait."""

from importlib import resources
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from rankloop.errors import ControlError
from services.control.database.fence import take_turn

__all__ = ["HEAD", "scripts", "upgrade"]

HEAD: Final = "head"
"""The newest revision."""


def upgrade(engine: Engine, revision: str = HEAD) -> None:
    """Runs the migrations that a database has not seen, in one transaction, while every other writer waits.

    Args:
        engine: of `connect`.
        revision: up to which.

    Raises:
        ControlError: the database is of a newer version.
    """
    if engine.dialect.name == "sqlite":
        _write_ahead(engine)
    with engine.begin() as connection:
        take_turn(connection)
        now = MigrationContext.configure(connection).get_current_revision()
        known = scripts()
        names = {script.revision for script in known.walk_revisions()}
        if now is not None and now not in names:
            raise ControlError(f"the record's tables are of revision {now}, which this version does not know; upgrade Rankloop")
        config = Config()
        config.set_main_option("script_location", known.dir)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def scripts() -> ScriptDirectory:
    """The migrations, which come with the package."""
    return ScriptDirectory(str(resources.files("services.control.database") / "migrations"))


def _write_ahead(engine: Engine) -> None:
    """Readers and the writer of SQLite do not wait for each other; the file remembers it."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()

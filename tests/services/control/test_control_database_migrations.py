"""The tables and their migrations: the same in both databases, from any revision, opened by any number at once."""

import re
import subprocess
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from rankloop.errors import ControlError, SettingsError
from services.control.database import Database, database_url, desired, events, new_canary, open_database, save_step
from services.control.database.engine import connect
from services.control.database.migrating import scripts, upgrade
from services.control.database.tables import APPEND_ONLY, METADATA
from services.settings import Settings

REVISIONS = [script.revision for script in reversed(list(scripts().walk_revisions()))]


def tables_of(url: str) -> Mapping[str, object]:
    """Every table's columns and indices, as the database itself has them."""
    engine = connect(url)
    look = inspect(engine)
    found = {
        name: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(name)),
            sorted((index["name"], tuple(index["column_names"]), bool(index["unique"])) for index in look.get_indexes(name)),
        )
        for name in look.get_table_names()
    }
    engine.dispose()
    return found


def fill(database: Database, registered) -> None:
    """An event and an observation."""
    registered(database, "r1", "r2")
    with database.begin() as session:
        told = {"who": "ann", "why": "Try it.", "at": datetime.now(UTC)}
        made = new_canary(session, release_id="r2", against="r1", slot="green", policy={}, **told)
        save_step(session, made.canary_id, None, {"action": "hold"}, datetime.now(UTC))


def everything(error: BaseException) -> str:
    """All that a log or a terminal may show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error)


def test_the_migrations_make_exactly_the_tables_of_the_code(any_url: str) -> None:
    open_database(any_url).close()
    engine = connect(any_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_every_revision_has_one_that_follows_it() -> None:
    assert scripts().get_heads() == [REVISIONS[-1]]
    assert sorted(REVISIONS) == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_record_of_every_older_revision_is_brought_up_to_date_and_keeps_its_rows(any_url: str, revision: str) -> None:
    engine = connect(any_url)
    upgrade(engine, revision)
    kept = "INSERT INTO events (at, who, kind, subject, why, facts) VALUES (:at, 'ann', 'old', 'x', 'Long ago.', '{}')"
    with engine.begin() as connection:
        connection.execute(text(kept), {"at": "2025-01-01T00:00:00.000000Z"})
    engine.dispose()
    with open_database(any_url) as database, database.read() as session:
        assert [(event.who, event.at.isoformat()) for event in events(session)] == [("ann", "2025-01-01T00:00:00+00:00")]
    once = tables_of(any_url)
    open_database(any_url).close()
    assert tables_of(any_url) == once
    assert set(METADATA.tables) < set(once)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET at = at", "DELETE FROM {}"])
def test_the_database_refuses_to_alter_what_was_recorded(any_database, any_url: str, registered, table: str, change: str) -> None:
    fill(any_database, registered)
    engine = connect(any_url)
    with pytest.raises(DBAPIError, match=f"rows of {table} are never changed or deleted"), engine.begin() as connection:
        connection.execute(text(change.format(table)))
    engine.dispose()


def test_sqlite_refuses_to_replace_an_event(database: Database, registered) -> None:
    fill(database, registered)
    again = "INSERT OR REPLACE INTO events SELECT * FROM events"
    with pytest.raises(ControlError, match="never changed or deleted"), database.begin() as session:
        session.execute(text(again))


def test_postgresql_refuses_to_truncate_the_history(postgres_database: Database, registered) -> None:
    fill(postgres_database, registered)
    with pytest.raises(ControlError, match="never changed or deleted"), postgres_database.begin() as session:
        session.execute(text("TRUNCATE observations"))


@pytest.mark.slow
def test_processes_that_open_a_new_record_at_once_all_find_it_whole(any_url: str) -> None:
    script = "import sys; from services.control.database import *; d = open_database(sys.argv[1])\n"
    script += "with d.read() as s: print(desired(s).version)"
    opening = [subprocess.Popen([sys.executable, "-c", script, any_url], stdout=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[0] for process in opening] == [b"0\n"] * len(opening)


def test_a_record_of_a_newer_version_is_left_alone(any_url: str) -> None:
    open_database(any_url).close()
    engine = connect(any_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ControlError, match="revision 9999, which this version does not know; upgrade Rankloop"):
        open_database(any_url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    engine.dispose()


def test_a_migration_that_breaks_off_leaves_the_record_as_it_was(any_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = connect(any_url)
    upgrade(engine, REVISIONS[0])
    before = tables_of(any_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE schedules (odd TEXT)"))
    with pytest.raises(ControlError, match="schedules"):
        open_database(any_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE schedules"))
    assert tables_of(any_url) == before
    open_database(any_url).close()
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "cannot be read"),
        ("nonsense", "cannot be read"),
        ("oracle://a:never-to-be-seen@h/d", "(driver is missing|begins with)"),
        ("postgresql://a:never-to-be-seen@h/d", "(driver is missing|begins with)"),
        ("nothing+known://a:never-to-be-seen@h/d", "cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_cannot_work_is_refused_and_never_shown(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        open_database(url)
    assert "never-to-be-seen" not in everything(caught.value)


def test_a_postgresql_that_does_not_answer_is_named_without_its_password() -> None:
    nowhere = "postgresql+psycopg://rankloop:never-to-be-seen@127.0.0.1:1/record"
    with pytest.raises(ControlError, match=re.escape("postgresql+psycopg://rankloop:***@127.0.0.1:1/record")) as caught:
        open_database(nowhere)
    assert "never-to-be-seen" not in everything(caught.value)


def test_a_refused_password_is_not_shown(postgres_url: str) -> None:
    wrong = postgres_url.replace("never-to-be-seen", "wrong-but-secret")
    with pytest.raises(ControlError, match="authentication failed") as caught:
        open_database(wrong)
    assert "wrong-but-secret" not in everything(caught.value)


def test_an_open_record_does_not_show_its_password(postgres_database: Database) -> None:
    assert "***" in repr(postgres_database)
    assert "never-to-be-seen" not in repr(postgres_database) + repr(vars(postgres_database)) + postgres_database.url


def test_the_record_is_in_the_home_folder_unless_a_url_is_given(tmp_path: Path) -> None:
    given = database_url(Settings(home=tmp_path / "a home"))
    with open_database(given) as database, database.read() as session:
        assert desired(session).version == 0
    assert (tmp_path / "a home" / "control" / "record.db").is_file()
    assert database_url(Settings(database_url="postgresql+psycopg://a:b@c/d")) == "postgresql+psycopg://a:b@c/d"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ControlError, match=re.escape(str(tmp_path / "file"))):
        open_database(f"sqlite:///{tmp_path / 'file' / 'record.db'}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "record.db").write_text("something else, long enough to be taken for one" * 100)
    with pytest.raises(ControlError, match="not a database"):
        open_database(f"sqlite:///{tmp_path / 'record.db'}")


def test_what_is_read_cannot_be_changed(any_database: Database) -> None:
    with pytest.raises(ControlError, match=r"read-?only"), any_database.read() as session:
        session.execute(text("DELETE FROM leases"))
    with any_database.begin() as session:
        session.execute(text("DELETE FROM leases"))

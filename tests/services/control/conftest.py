"""Records to test with: a fresh one in SQLite, one in a real PostgreSQL, and whatever must hold in both."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from services.control.database import Database, ReleaseFacts, open_database, register
from services.control.database.engine import connect

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
"""A moment for tests that need one."""

PASSWORD = "never-to-be-seen"
"""Of the PostgreSQL's user; no message may hold it."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A fresh record in SQLite."""
    with open_database(f"sqlite:///{tmp_path / 'record.db'}") as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL on a free port, its files in a folder that is thrown away; the URL of its first database."""
    binaries, user = postgres_binaries(), postgres_user()
    if binaries is None or user is None:
        pytest.skip("no PostgreSQL here: initdb and postgres are missing, or there is no user but root to run them")
    folder = Path(tempfile.mkdtemp(prefix="rankloop-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    server = Server(binaries, user, folder)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a record that is not made yet, in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'record.db'}"
    return fresh_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture
def any_database(any_url: str) -> Iterator[Database]:
    """A fresh record, in each kind of database."""
    with open_database(any_url) as opened:
        yield opened


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    """A fresh record in PostgreSQL; a test has one at a time."""
    with open_database(fresh_postgres(postgres_url)) as opened:
        yield opened


@pytest.fixture
def make_facts() -> Callable[..., ReleaseFacts]:
    """Makes the facts of a release of a name; keywords replace single ones."""
    return release_facts


@pytest.fixture
def registered() -> Callable[..., None]:
    """Registers releases of these names."""

    def made(database: Database, *names: str) -> None:
        with database.begin() as session:
            for name in names:
                register(session, release_facts(name), who="test", why="The test needs it.", at=NOW)

    return made


def release_facts(release_id: str = "r20261117-00000001", **given: object) -> ReleaseFacts:
    """Facts as a bundle's manifest has them."""
    facts: dict[str, object] = {
        "release_id": release_id,
        "bento": f"/bento/{release_id}",
        "bundle": f"/bundles/{release_id}",
        "as_of": NOW,
        "created_at": NOW,
        "surfaces": ("job_feed",),
        "retrievers": ("popular", "co_visits"),
        "ranker": "lambdamart",
        "features": ("item_age_days", "user_applies_7d"),
        "numbers": {"ndcg@10": 0.41},
        "lineage": {"data": "sha256:0a"},
        "files": {"ranker/model.txt": f"sha of {release_id}"},
    }
    return ReleaseFacts(**(facts | given))


def fresh_postgres(url: str) -> str:
    """The server's database, emptied; whoever is still connected is put out."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


class Server:
    """A PostgreSQL server of the tests' own."""

    def __init__(self, binaries: Path, user: str, folder: Path) -> None:
        self.binaries, self.user, self.folder = binaries, user, folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://rankloop:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        how = ["-U", "rankloop", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(self.command("initdb", "-D", str(self.folder / "data"), *how), check=True, capture_output=True)
        options = {"fsync": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder)}
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = self.command("postgres", "-D", str(self.folder / "data"), "-p", str(self.port), *given)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        ready = self.command("pg_isready", "-h", "127.0.0.1", "-p", str(self.port))
        while subprocess.run(ready, capture_output=True).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            data = str(self.folder / "data")
            subprocess.run(self.command("pg_ctl", "-D", data, "-m", "immediate", "stop"), capture_output=True)
            self.process.wait()

    def command(self, name: str, *arguments: str) -> list[str]:
        own = [str(self.binaries / name), *arguments]
        return own if os.geteuid() else ["runuser", "-u", self.user, "--", *own]


def postgres_binaries() -> Path | None:
    """Where initdb, postgres, pg_ctl and pg_isready are, the newest version first."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name))
    found = shutil.which("initdb")
    folders = [*packaged, *([Path(found).parent] if found else [])]
    needed = ("initdb", "postgres", "pg_ctl", "pg_isready")
    return next((folder for folder in folders if all((folder / name).is_file() for name in needed)), None)


def postgres_user() -> str | None:
    """Whom to run it as: it refuses to run as root."""
    if os.geteuid():
        return getpass.getuser()
    known = subprocess.run(["id", "-u", "postgres"], capture_output=True).returncode == 0
    return "postgres" if known and shutil.which("runuser") else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

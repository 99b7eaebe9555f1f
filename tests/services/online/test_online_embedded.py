"""The online store in LMDB, read and written by several real processes, some of which die."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from rankloop.errors import StateUnavailable
from rankloop.state import UserState
from services.online.embedded import EmbeddedStore
from tests.services.online.contract import NOW, Open, StateStoreContract, event, events, fresh

DAY_SECONDS = 86_400
SECOND = 1_000_000


def opened(folder: Path, *, write: bool = False, map_bytes: int = 1 << 26, seen_seconds: int = DAY_SECONDS) -> EmbeddedStore:
    return EmbeddedStore(folder, write=write, map_bytes=map_bytes, seen_seconds=seen_seconds)


class Elsewhere:
    """Python in another process, which says when it has come to a point, and waits there."""

    def __init__(self, root: Path, folder: Path, code: str) -> None:
        head = """
            import resource, signal, sys, time
            from pathlib import Path
            from services.online.embedded import EmbeddedStore
            from tests.services.online.contract import NOW, event, events
            folder = Path(sys.argv[1])
            def opened(**how):
                return EmbeddedStore(folder, **{"map_bytes": 1 << 26, "seen_seconds": 86400, **how})
            def here(word):
                print(word, flush=True)
                sys.stdin.readline()
        """
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code), str(folder)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def goes_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def dies(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def elsewhere(root: Path, tmp_path: Path) -> Iterator[Callable[[str], Elsewhere]]:
    started: list[Elsewhere] = []

    def run(code: str) -> Elsewhere:
        started.append(Elsewhere(root, tmp_path / "online", code))
        return started[-1]

    yield run
    for one in started:
        one.dies()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "online"


class TestEmbeddedStore(StateStoreContract):
    @pytest.fixture
    def open_one(self, folder: Path) -> Iterator[Open]:
        stores: list[EmbeddedStore] = []

        def open_one(*, write: bool = False) -> EmbeddedStore:
            stores.append(opened(folder, write=write))
            return stores[-1]

        yield open_one
        for store in stores:
            store.close()

    @pytest.fixture
    def wipe(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
        monkeypatch.setattr("services.online.mapped._LOOK_EVERY", 0.0)
        return lambda: folder.rename(folder.with_name("before"))


def test_a_reader_may_come_before_the_first_write(folder: Path, elsewhere: Callable[[str], Elsewhere]) -> None:
    reader = opened(folder)
    assert reader.user("u") is None
    assert reader.item("j") is None
    assert reader.position("w") == (0, 0)
    assert not folder.exists()
    writer = elsewhere("opened(write=True).fold('w', (1, 5), [event('e', 'u')], now=NOW); here('folded')")
    assert writer.says() == "folded"
    assert reader.position("w") == (1, 5)
    assert reader.user("u") is not None


def test_a_reader_waits_for_tables_that_are_about_to_be_made(folder: Path) -> None:
    folder.mkdir()
    lmdb.open(str(folder)).close()
    reader = opened(folder)
    assert reader.user("u") is None
    writer = opened(folder, write=True)
    writer.fold("w", (1, 5), events("u", NOW), now=NOW)
    assert reader.user("u") is not None


def test_a_writer_killed_within_a_transaction_changed_nothing_and_stops_nobody(
    folder: Path, elsewhere: Callable[[str], Elsewhere]
) -> None:
    dying = elsewhere("""
        store = opened(write=True)
        store.fold("w", (1, 10), [event("e1", "u")], now=NOW)
        store._swept = lambda *_: here("within the transaction")
        store.fold("w", (1, 20), [event("e2", "u"), event("e3", "u")], now=NOW)
    """)
    assert dying.says() == "within the transaction"
    reader = opened(folder)
    dying.dies()
    before = reader.user("u")
    assert before is not None
    assert before.counts == {"click": 1}
    writer = opened(folder, write=True)
    assert writer.position("w") == (1, 10)
    assert writer.fold("w", (1, 20), [event("e1", "u"), event("e2", "u"), event("e3", "u")], now=NOW) == 2
    after = reader.user("u")
    assert after is not None
    assert after.counts == {"click": 3}


def test_a_reader_killed_while_reading_holds_no_page_for_ever(folder: Path, elsewhere: Callable[[str], Elsewhere]) -> None:
    writer = opened(folder, write=True)
    writer.fold("w", (1, 1), [], now=NOW)
    dying = elsewhere("""
        import lmdb
        env = lmdb.open(str(folder), readonly=True, max_dbs=4)
        txn = env.begin()
        here("reading")
    """)
    assert dying.says() == "reading"
    assert writer._files.check_readers() == 0
    dying.dies()
    assert writer._files.check_readers() == 1


def test_the_map_grows_under_a_reader_of_another_process(folder: Path, elsewhere: Callable[[str], Elsewhere]) -> None:
    writer = opened(folder, write=True, map_bytes=1 << 18)
    writer.fold("w", (1, 1), events("u0", NOW), now=NOW)
    reader = elsewhere("""
        store = opened()
        here(store.user("u0").counts["click"])
        here(store.user("u0").counts["click"])
    """)
    assert reader.says() == "1"
    many = [event(f"e{number}", f"u{number % 1000}", ts=NOW + number) for number in range(20_000)]
    assert writer.fold("w", (1, 2), many, now=NOW) == len(many)
    reader.goes_on()
    assert reader.says() == "21"
    assert (folder / "data.mdb").stat().st_size > 1 << 18


def test_another_writer_s_growth_is_taken_over(folder: Path, elsewhere: Callable[[str], Elsewhere]) -> None:
    writer = opened(folder, write=True, map_bytes=1 << 18)
    writer.fold("w", (1, 1), events("u0", NOW), now=NOW)
    other = elsewhere("""
        many = [event(f"e{number}", f"u{number % 1000}", ts=NOW + number) for number in range(20_000)]
        here(opened(write=True).fold("v", (1, 1), many, now=NOW))
    """)
    assert other.says() == "20000"
    assert writer.fold("w", (1, 2), events("u0", NOW), now=NOW) == 1
    state = writer.user("u0")
    assert state is not None
    assert state.counts == {"click": 22}


def test_a_full_disk_is_said_and_undone(folder: Path, elsewhere: Callable[[str], Elsewhere]) -> None:
    crowded = elsewhere("""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = opened(write=True)
        store.fold("w", (1, 1), [event("e", "u")], now=NOW)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, 1 << 20))
        many = [event(f"e{number}", f"u{number}") for number in range(3000)]
        try:
            store.fold("w", (1, 2), many, now=NOW)
        except Exception as error:
            here(f"{type(error).__name__} {store.position('w')}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        here(store.fold("w", (1, 2), many[:100], now=NOW))
    """)
    assert crowded.says() == "StateUnavailable (1, 1)"
    crowded.goes_on()
    assert crowded.says() == "100"


@pytest.mark.parametrize("write", [False, True])
def test_files_that_are_none_of_ours_are_said(folder: Path, write: bool) -> None:
    folder.mkdir()
    (folder / "data.mdb").write_bytes(os.urandom(1 << 16))
    store = opened(folder, write=write)
    for _ in range(2):
        with pytest.raises(StateUnavailable, match="move the folder away"):
            store.user("u")
    if write:
        with pytest.raises(StateUnavailable, match="move the folder away"):
            store.fold("w", (1, 1), [], now=NOW)


def test_a_file_that_was_cut_short_is_said_and_ends_no_process(folder: Path) -> None:
    writer = opened(folder, write=True)
    writer.fold("w", (1, 1), [event(f"e{number}", f"u{number}") for number in range(3000)], now=NOW)
    writer.close()
    os.truncate(folder / "data.mdb", 1 << 14)
    with pytest.raises(StateUnavailable, match="bytes of"):
        opened(folder).user("u1")


def test_a_value_that_is_none_of_ours_is_said(folder: Path) -> None:
    writer = opened(folder, write=True)
    writer.fold("w", (1, 1), events("u", NOW), now=NOW)
    writer.close()
    with lmdb.open(str(folder), max_dbs=4) as env, env.begin(env.open_db(b"users"), write=True) as txn:
        txn.put(b"=u", b"\xc1")
    with pytest.raises(StateUnavailable, match="none of ours"):
        opened(folder).user("u")


def test_a_new_environment_in_the_place_of_an_old_one_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.online.mapped._LOOK_EVERY", 0.0)
    writer = opened(folder, write=True)
    writer.fold("w", (1, 1), events("u", NOW), now=NOW)
    writer.close()
    reader = opened(folder)
    assert reader.user("u") is not None
    folder.rename(folder.with_name("old"))
    assert reader.user("u") is None
    writer = opened(folder, write=True)
    writer.fold("w", (1, 1), events("v", NOW), now=NOW)
    assert reader.user("v") is not None


def test_one_process_may_read_and_write(folder: Path) -> None:
    reader, writer = opened(folder), opened(folder, write=True)
    writer.fold("w", (1, 1), events("u", NOW), now=NOW)
    assert reader.user("u") is not None
    writer.close()
    assert reader.user("u") is not None
    reader.close()
    with pytest.raises(StateUnavailable, match="closed"):
        reader.user("u")


def test_a_forked_child_reads_by_itself(folder: Path) -> None:
    writer = opened(folder, write=True)
    writer.fold("w", (1, 1), events("u", NOW), now=NOW)
    child = os.fork()
    if not child:
        os._exit(0 if writer.user("u") and writer.fold("w", (1, 2), [event("a", "v")], now=NOW) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert writer.user("v") is not None
    assert writer.fold("w", (1, 3), [event("a", "v"), event("b", "v")], now=NOW) == 1


def test_reading_leaves_no_transaction_open(folder: Path) -> None:
    store = opened(folder, write=True)
    store.fold("w", (1, 1), events("u", NOW), now=NOW)
    store.user("u")
    assert store._files._env is not None
    assert "no active readers" in store._files._env.readers()


def test_an_id_is_forgotten_in_time(folder: Path) -> None:
    store = opened(folder, write=True, seen_seconds=10)
    again = event("e", fresh("u"))
    assert store.fold("w", (1, 1), [again], now=NOW) == 1
    assert store.fold("w", (1, 2), [again], now=NOW + 9 * SECOND) == 0
    assert store.fold("w", (1, 3), [again], now=NOW + 10 * SECOND) == 1


def test_forgotten_ids_leave_the_file_little_by_little(folder: Path) -> None:
    store = opened(folder, write=True, seen_seconds=10)
    for part in range(1, 101):
        batch = [event(f"e{part}-{number}", "u") for number in range(20)]
        store.fold("w", (1, part), batch, now=NOW + part * SECOND)
    assert store._files._env is not None
    env, tables = store._files._env, store._files._tables
    with env.begin() as txn:
        assert txn.stat(tables[b"seen"])["entries"] <= 20 * 10 * 1.5


def test_a_state_of_an_older_shape_is_still_read(folder: Path) -> None:
    """Fields are only ever added at the end."""
    writer = opened(folder, write=True)
    writer.fold("w", (1, 1), [], now=NOW)
    writer.close()
    with lmdb.open(str(folder), max_dbs=4) as env, env.begin(env.open_db(b"users"), write=True) as txn:
        txn.put(b"=u", b"\x91\x90")
    assert opened(folder).user("u") == UserState()


def test_reads_go_on_while_another_process_folds(folder: Path, elsewhere: Callable[[str], Elsewhere]) -> None:
    reader = opened(folder)
    writing = elsewhere("""
        store = opened(write=True)
        for part in range(1, 101):
            store.fold("w", (1, part), [event(f"e{part}-{one}", "u", ts=NOW + part) for one in range(20)], now=NOW)
        here("done")
    """)
    counts, deadline = [0], time.monotonic() + 60
    while counts[-1] < 2000:
        assert time.monotonic() < deadline
        state = reader.user("u")
        counts.append(state.counts["click"] if state else 0)
        time.sleep(0.001)
    assert counts == sorted(counts)
    assert all(count % 20 == 0 for count in counts)
    assert writing.says() == "done"

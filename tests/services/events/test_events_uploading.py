"""Files go to the log's URL whole, are checked there, and only then removed here."""

import fsspec
import pytest

from rankloop.erasures import fingerprint
from rankloop.sources.event_log import erasures, read_log
from services.events.erasure import ErasureBook
from services.events.records import ErasureRecord
from services.events.rolling import Sealed
from services.events.uploading import LogPlace, Uploading


@pytest.fixture(params=["folder", "memory"])
def url(request, tmp_path) -> str:
    if request.param == "folder":
        yield str(tmp_path / "lake" / "log")
        return
    yield f"memory://{tmp_path.name}/log"
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


@pytest.fixture
def uploading(home, url) -> Uploading:
    return Uploading(home.folder / "log", LogPlace(url), home.metrics)


def local(home) -> list:
    return list((home.folder / "log").rglob("*.parquet"))


def test_what_was_rolled_is_read_at_the_url_and_no_longer_lies_here(home, uploading, url, event, impression) -> None:
    (home.folder / "log").mkdir(parents=True)
    writer = home.write("events", [event("e1")])
    home.write("impressions", [impression("r1")])
    home.rolling.step()
    assert not uploading.landed(home.rolling, Sealed("events", writer, 1))
    uploading.step()
    assert uploading.landed(home.rolling, Sealed("events", writer, 1))
    assert local(home) == []
    assert [frame.height for frame in read_log(url)] == [3, 1]
    system, root = fsspec.core.url_to_fs(url)
    assert [name for name in system.find(root) if name.endswith(".part")] == []
    assert home.value("rankloop_uploads_total", outcome="done") == 2


def test_a_file_sent_twice_is_there_once(home, uploading, url, event) -> None:
    home.write("events", [event("e1")])
    home.rolling.step()
    (file,) = local(home)
    again = file.read_bytes()
    uploading.step()
    file.parent.mkdir(parents=True)
    file.write_bytes(again)
    uploading.step()
    assert len(LogPlace(url).files("outcomes")) == 1


def test_the_list_of_erasures_travels_along_and_only_when_it_changed(home, uploading, url) -> None:
    home.book.ask(ErasureRecord("receipt", "u1", 5), [], [])
    uploading.step()
    system, root = fsspec.core.url_to_fs(url)
    sent = f"{root}/erasures/{home.book.name}"
    assert home.book.who("u1") in system.cat_file(sent).decode()
    system.rm(sent)
    uploading.step()
    assert not system.exists(sent)
    home.book.ask(ErasureRecord("receipt 2", "u2", 5), [], [])
    uploading.step()
    assert home.book.who("u2") in system.cat_file(sent).decode()


def test_two_homes_with_one_key_have_one_list_at_the_url(home, uploading, url, tmp_path) -> None:
    (tmp_path / "other" / "privacy").mkdir(parents=True)
    (tmp_path / "other" / "privacy" / "key").write_bytes(home.book.key)
    other = ErasureBook(tmp_path / "other")
    home.book.ask(ErasureRecord("receipt", "u1", 5), [], [])
    other.ask(ErasureRecord("receipt", "u1", 9), [], [])
    other.ask(ErasureRecord("receipt 2", "u2", 7), [], [])
    uploading.step()
    Uploading(tmp_path / "other" / "log", LogPlace(url), home.metrics).step()
    Uploading(home.folder / "log", LogPlace(url), home.metrics).step()
    assert erasures(url) == {fingerprint(other.key): {other.who("u1"): 9, other.who("u2"): 7}}


class Broken(LogPlace):
    """A place that loses the end of a file, or refuses it, some times."""

    def __init__(self, address: str, times: int, *, cut: bool) -> None:
        super().__init__(address)
        self.times, self.cut, self.tried = times, cut, 0

    def put(self, local, name):
        self.tried += 1
        if self.tried > self.times:
            return super().put(local, name)
        if not self.cut:
            raise ConnectionError("refused")
        whole = self._system.put_file
        self._system.put_file = lambda here, there: self._system.pipe_file(there, b"half")
        try:
            super().put(local, name)
        finally:
            self._system.put_file = whole


@pytest.mark.parametrize("cut", [True, False])
def test_a_file_that_did_not_arrive_whole_stays_here_and_is_sent_again(home, url, event, cut) -> None:
    uploading = Uploading(home.folder / "log", Broken(url, 1, cut=cut), home.metrics)
    home.write("events", [event("e1")])
    home.rolling.step()
    with pytest.raises(OSError, match=r"refused|bytes of"):
        uploading.step()
    assert len(local(home)) == 1
    assert LogPlace(url).files("outcomes") == []
    assert home.value("rankloop_uploads_total", outcome="failed") == 1
    uploading.step()
    assert local(home) == []
    assert read_log(url)[1].height == 1


def test_one_file_that_fails_does_not_keep_the_others_and_an_outage_ends_the_step(home, url, event) -> None:
    broken = Broken(url, 1, cut=False)
    for number in range(5):
        home.write("events", [event(f"e{number}")])
    home.rolling.step()
    with pytest.raises(ConnectionError):
        Uploading(home.folder / "log", broken, home.metrics).step()
    assert len(local(home)) == 1
    home.write("events", *([event(f"f{number}")] for number in range(5)))
    for number in range(5):
        home.write("events", [event(f"g{number}")])
    home.rolling.step()
    down = Broken(url, 99, cut=False)
    with pytest.raises(ConnectionError):
        Uploading(home.folder / "log", down, home.metrics).step()
    assert down.tried == 3

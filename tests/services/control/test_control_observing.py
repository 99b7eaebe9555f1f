"""Both observers on one world: a real tally of real spools, and a real Prometheus that scrapes it.

Only the edge is made up: what counts here is how its counters are read, so a test sets them.
"""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from monitoring.metrics import TallyMetrics
from rankloop.canary import Observation, Ratio
from services.control.observing import DirectObserver, PrometheusObserver, open_observer
from services.control.observing.observer import MOST_LAG, EdgeCounts
from services.control.observing.overlap import shadow_overlap
from services.settings import Settings
from services.shadow.comparing import Comparison, Example
from services.shadow.record import Record, Shadow
from services.tally.phase import Phase
from services.tally.serving import serve
from services.tally.worker import Worker
from tests.services.tally.lists_and_outcomes import FixedPhases, Home, done, shown

PROMETHEUS = shutil.which("prometheus")
OVERLAP = Ratio(units=3, x=2.0, y=4.0, xx=1.5, yy=6.0, xy=3.0)
SCRAPE_SECONDS = 0.5


class MadeUpEdge:
    """Shows counters in HAProxy's format."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.unconnected: dict[str, int] = {}
        self.up = True
        edge = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = edge.text().encode()
                self.send_response(200 if edge.up else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.restart()

    def text(self) -> str:
        rows = [
            f'haproxy_backend_http_responses_total{{proxy="{slot}",code="{code}"}} {count}'
            for (slot, code), count in self.counts.items()
        ]
        rows += [f'haproxy_backend_connection_errors_total{{proxy="{slot}"}} {count}' for slot, count in self.unconnected.items()]
        return "# TYPE haproxy_backend_http_responses_total counter\n" + "\n".join(rows) + "\n"

    def restart(self) -> None:
        """Counters begin at 0."""
        names = ("blue", "green", "collectors")
        self.counts = {(slot, code): 0 for slot in names for code in ("1xx", "2xx", "3xx", "4xx", "5xx", "other")}
        self.unconnected = dict.fromkeys(names, 0)

    def answered(self, slot: str, code: str, count: int, *, unconnected: int = 0) -> None:
        self.counts[slot, code] += count
        self.unconnected[slot] += unconnected

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class World:
    """A tally in this process, at its own port, and an edge."""

    def __init__(self, folder: Path) -> None:
        self.now: Callable[[], float] = time.time
        self.home, self.edge = Home(folder), MadeUpEdge()
        self.phases = FixedPhases(Phase(0.0, ("blue", "green"), ("r-old", "r-new"), 500))
        self.worker = Worker(self.home.settings, TallyMetrics(process=False), self.phases, clock=lambda: self.now())
        self.server = serve(self.worker.board, 0)
        self.tally = f"127.0.0.1:{self.server.server_port}"
        self.work()
        self.began = self.worker.tally.phase.began

    def log(self) -> None:
        """Sixty lists of ten people, and what came of some."""
        for n in range(60):
            user, release = f"u{n % 10}", "r-new" if n % 10 < 2 else "r-old"
            asked = {"release": release, "after": 0.0, "began": time.time(), "micros": 700 * (n + 1)}
            self.home.log(shown(f"q{n}", user, items=[f"i{n * k % 47}" for k in range(1, 1 + n % 13)], **asked))
            if n % 4 == 1:
                self.home.log(done("click", f"i{n % 47}", f"q{n}", user, after=0.0, began=time.time()))
            if n % 8 == 1:
                self.home.log(done("apply", f"i{n % 47}", None, user, after=0.1, began=time.time()))

    def work(self) -> Phase | None:
        """Reads what there is; what is counted then."""
        while self.worker.step():
            pass
        self.worker.tell()
        return self.worker.tally.phase

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.edge.stop()
        self.home.close()


class Prometheus:
    """A real one, that scrapes a world."""

    def __init__(self, world: World, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(
            f"""
global: {{scrape_interval: {int(SCRAPE_SECONDS * 1000)}ms, scrape_timeout: {int(SCRAPE_SECONDS * 1000)}ms}}
scrape_configs:
  - {{job_name: tally, static_configs: [{{targets: ["{world.tally}"]}}]}}
  - {{job_name: edge, static_configs: [{{targets: ["{world.edge.address}"]}}]}}
""",
            encoding="utf-8",
        )
        command = [str(PROMETHEUS), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def overlap(stable: str, canary: str) -> Ratio:
    assert (stable, canary) == ("r-old", "r-new")
    return OVERLAP


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    own = World(tmp_path / "home")
    yield own
    own.stop()


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def direct(world: World) -> DirectObserver:
    return observer_of(world)


def observer_of(world: World, *edges: MadeUpEdge) -> DirectObserver:
    urls = [f"http://{one.address}/metrics" for one in edges or (world.edge,)]
    return DirectObserver(
        f"http://{world.tally}/tally", urls, overlap, memory=world.home.settings.home / "control" / "counts.json"
    )


def observed(observer: DirectObserver, world: World) -> Observation:
    found = observer.observe("r-old", "r-new", world.began - 0.5)
    assert found is not None
    return found


def counts(found: Observation) -> tuple[tuple[int, int], tuple[int, int]]:
    return (found.stable.requests, found.stable.failed), (found.canary.requests, found.canary.failed)


def until(question: Callable[[], object], what: str, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := question():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def test_the_edges_counts_grow_from_the_phases_begin(world: World, direct: DirectObserver) -> None:
    world.edge.answered("blue", "2xx", 1000)
    assert counts(observed(direct, world)) == ((0, 0), (0, 0))
    world.edge.answered("blue", "2xx", 90)
    world.edge.answered("blue", "4xx", 3)
    world.edge.answered("green", "5xx", 7, unconnected=2)
    world.edge.answered("collectors", "5xx", 50)
    assert counts(observed(direct, world)) == ((93, 0), (7, 5))
    assert observed(direct, world).overlap == OVERLAP


def test_an_edge_that_was_started_again_goes_on_from_what_it_had(world: World, direct: DirectObserver) -> None:
    world.edge.answered("blue", "2xx", 1000)
    observed(direct, world)
    world.edge.answered("blue", "2xx", 40)
    observed(direct, world)
    world.edge.restart()
    world.edge.answered("blue", "2xx", 5)
    world.edge.answered("green", "5xx", 1)
    assert counts(observed(direct, world)) == ((45, 0), (1, 1))


def test_an_observer_that_was_started_again_goes_on_too(world: World, direct: DirectObserver) -> None:
    observed(direct, world)
    world.edge.answered("blue", "2xx", 40)
    assert counts(observed(observer_of(world), world)) == ((40, 0), (0, 0))


def test_several_edges_are_summed_and_one_that_is_away_leaves_nothing_to_tell(world: World) -> None:
    other = MadeUpEdge()
    try:
        both = observer_of(world, world.edge, other)
        observed(both, world)
        world.edge.answered("green", "2xx", 10)
        other.answered("green", "5xx", 3)
        assert counts(observed(both, world)) == ((0, 0), (13, 3))
        other.up = False
        assert both.observe("r-old", "r-new", world.began) is None
    finally:
        other.stop()


def test_another_phase_begins_at_nothing(world: World, direct: DirectObserver) -> None:
    observed(direct, world)
    world.edge.answered("blue", "2xx", 40)
    assert observed(direct, world).stable.requests == 40
    world.phases.phase = msgspec.structs.replace(world.phases.phase, canary_bp=2500)
    until(lambda: world.work().canary_bp == 2500, "the next phase")
    world.edge.answered("blue", "2xx", 2)
    found = observed(direct, world)
    assert (found.canary_bp, found.stable.requests, found.since > world.began) == (2500, 0, True)


def test_nothing_is_told_of_other_releases_of_an_earlier_phase_or_by_a_tally_that_is_behind_or_away(
    world: World, direct: DirectObserver
) -> None:
    assert direct.observe("r-old", "r-new", world.began) is not None
    assert direct.observe("r-old", "r-newer", world.began) is None
    assert direct.observe("r-new", "r-old", world.began) is None
    assert direct.observe("r-old", "r-new", world.began + 5) is None
    world.now = lambda: time.time() + MOST_LAG + 1
    assert direct.observe("r-old", "r-new", world.began) is None
    away = DirectObserver("http://127.0.0.1:9/tally", [], overlap)
    assert away.observe("r-old", "r-new", world.began) is None


def test_who_answers_no_tally_is_away(world: World) -> None:
    other = DirectObserver(f"http://{world.edge.address}/tally", [], overlap)
    assert other.observe("r-old", "r-new", world.began) is None
    assert PrometheusObserver(f"http://{world.edge.address}", overlap).observe("r-old", "r-new", world.began) is None
    assert PrometheusObserver("http://127.0.0.1:9", overlap).observe("r-old", "r-new", world.began) is None


def test_requests_that_waited_too_long_are_no_failures() -> None:
    assert EdgeCounts.of(100, 7, 7) == (100, 0)
    assert EdgeCounts.of(100, 7, 9) == (100, 0)


def test_the_settings_name_the_observer(tmp_path: Path) -> None:
    assert isinstance(open_observer(Settings.read(home=tmp_path)), DirectObserver)
    assert isinstance(open_observer(Settings.read(home=tmp_path, prometheus_url="http://p:9090")), PrometheusObserver)


@pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus here: apt-get install prometheus")
def test_prometheus_tells_what_the_tally_and_the_edge_tell(
    world: World, direct: DirectObserver, tmp_path: Path, unused_port
) -> None:
    prometheus = Prometheus(world, tmp_path / "prometheus", unused_port)
    try:
        asked = PrometheusObserver(prometheus.url, overlap)
        until(lambda: asked.observe("r-old", "r-new", world.began), "a first scrape")
        observed(direct, world)
        time.sleep(2 * SCRAPE_SECONDS)  # so that counters have a sample before they grow
        world.log()
        for slot, code, count in (("blue", "2xx", 48), ("green", "2xx", 10), ("green", "5xx", 2)):
            world.edge.answered(slot, code, count)
        until(lambda: world.work() and not world.worker.tally.held, "outcomes being counted")
        world.worker._compare_at = 0.0
        world.work()
        known = observed(direct, world)
        as_told = tuple(pytest.approx(count, rel=0.1) for count in (48, 12))  # what Prometheus extrapolates wanes with time
        assert known.coverage is not None
        assert (known.stable.requests, known.canary.requests) == (48, 12)
        assert all(known.canary.ratios[metric].x for metric in ("ctr@10", "apply_rate", "ndcg@10", "empty", "score"))

        def alike() -> Observation | None:
            found = asked.observe("r-old", "r-new", world.began)
            if found is None or found.canary.ratios != known.canary.ratios:
                return None
            return found if (found.stable.requests, found.canary.requests) == as_told else None

        found = until(alike, "a scrape of all that")
        assert {**without_requests(found), "at": 0} == {**without_requests(known), "at": 0}
        assert asked.observe("r-old", "r-other", world.began) is None
        assert asked.observe("r-old", "r-new", world.began + 5) is None
    finally:
        prometheus.stop()


def without_requests(seen: Observation) -> dict:
    plain = msgspec.to_builtins(seen)
    for arm in ("stable", "canary"):
        del plain[arm]["requests"]
    return plain


def test_a_shadows_overlap_has_the_moments_of_its_people(tmp_path: Path) -> None:
    shadow, people = Shadow(Record("r-old", "r-new"), 0), {f"u{n}": [0.1 * (n % 5)] * (1 + n % 3) for n in range(400)}
    example = Example(0.5, "q", 0, "job_feed", None, [], [])
    for user, values in people.items():
        for value in values:
            comparison = Comparison(user, {"overlap@10": value, "rbo": value}, example)
            shadow.add(comparison, now=1, shown_seconds=0.01, other_seconds=0.01)
    shadow.write(tmp_path / "shadow")
    found = shadow_overlap(tmp_path, "r-old", "r-new")
    assert found is not None
    assert found.x == pytest.approx(sum(map(sum, people.values())))
    assert found.y == sum(map(len, people.values()))
    assert found.xx == pytest.approx(sum(sum(values) ** 2 for values in people.values()), rel=0.2)
    assert found.yy == pytest.approx(sum(len(values) ** 2 for values in people.values()), rel=0.2)
    assert found.xy == pytest.approx(sum(sum(values) * len(values) for values in people.values()), rel=0.2)
    assert shadow_overlap(tmp_path, "r-new", "r-old") is None

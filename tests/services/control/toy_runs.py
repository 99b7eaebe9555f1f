"""A small program that takes the pipeline's place and speaks as it does, and a home where it runs."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psutil
import uvicorn

from monitoring.metrics import ControlMetrics
from monitoring.progress import EVENTS
from services.auth import Tokens
from services.control.app import build_control
from services.control.database import Database, Run, events, open_database
from services.control.pager import Incidents, Pager
from services.control.runs import AlertPolicy, LocalLauncher, Runs, Triggers
from services.control.views import Views
from services.control.wire import ControlReadiness
from services.settings import Settings

PIPELINE = """
import json, os, subprocess, sys, time
from pathlib import Path
from monitoring.progress import step
from pipelines.detached import claim, write_end

folder = Path(sys.argv[1])
data = Path(json.loads((folder / "order.json").read_text())["order"]["path"])
if (data / "mute").exists():
    sys.exit("it cannot even begin")
if not claim(folder):
    sys.exit()
sys.stdout = (folder / "run.log").open("a", buffering=1)
with (data / "begun").open("a") as file:
    file.write(folder.name + "\\n")
if (data / "child").exists():
    subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"])
for name in ("ingest", "build_features", "train_retrievers"):
    print(f"05:21:17.914 - INFO - Executing task '{name.replace('_', '-')}'")
    if (data / f"{name}.made").exists():
        with open(os.environ["RANKLOOP_EVENTS"], "a") as file:
            file.write(json.dumps({"step": name, "event": "cached", "text": "", "at": 0.0}) + "\\n")
        continue
    try:
        with step(name) as say:
            say("works", rows=3)
            while (data / f"hold-{name}").exists():
                time.sleep(0.02)
            if (data / f"fail-{name}").exists():
                raise ValueError("no more rows")
    except ValueError as error:
        write_end(folder, "failed", error=f"step {name} failed: {error}")
        sys.exit(1)
    (data / f"{name}.made").touch()
write_end(folder, "succeeded", verdict="pass", release_id="r1")
"""

CONTROL = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from services.control.database import open_database
from services.auth import Tokens
from services.control.app import build_control
from services.control.runs import AlertPolicy, LocalLauncher, Runs, Triggers
from services.control.views import Views
from services.settings import Settings

home, url, program = sys.argv[1:]
settings = Settings.read(home=home, stop_seconds=0.5)
launcher = LocalLauncher(settings, command=(sys.executable, program))
runs = Runs(open_database(url), settings, clock=lambda: datetime.now(UTC), launcher=launcher)
while True:
    runs.tick()
    time.sleep(0.05)
"""


class Place:
    """A home, a record, and data that says how the program behaves."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.home, self.data, self.program = folder / "home", folder / "data", folder / "pipeline.py"
        for own in (self.home, self.data):
            own.mkdir()
        self.program.write_text(PIPELINE)
        self.url = url or f"sqlite:///{folder / 'record.db'}"
        self.settings = Settings.read(home=str(self.home), stop_seconds=0.5, control_port=free_port())
        self.database: Database = open_database(self.url)
        self.runs = self.control()
        self.begun: list[subprocess.Popen[bytes]] = []

    @property
    def command(self) -> tuple[str, ...]:
        """What is started in the pipeline's place."""
        return sys.executable, str(self.program)

    def control(self) -> Runs:
        """A control plane that knows nothing but the record."""
        launcher = LocalLauncher(self.settings, command=self.command)
        return Runs(self.database, self.settings, clock=lambda: datetime.now(UTC), launcher=launcher)

    def process(self) -> subprocess.Popen[bytes]:
        """The same in a process of its own."""
        one = subprocess.Popen([sys.executable, "-c", CONTROL, str(self.home), self.url, str(self.program)])
        self.begun.append(one)
        return one

    def says(self, *names: str) -> None:
        for name in names:
            (self.data / name).touch()

    def unsays(self, *names: str) -> None:
        for name in names:
            (self.data / name).unlink()

    def start(self, *, surface: str = "job_feed", seed: int = 7, runs: Runs | None = None) -> Run:
        order = {"source": "contract", "path": str(self.data), "recipe": {"seed": seed}}
        return (runs or self.runs).start(order, surface=surface, who="ada", why="a test")

    def until(self, holds: Callable[[], Any], what: str, *, runs: Runs | None = None, ticks: bool = True) -> None:
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end, f"waited too long until {what}: {self.runs.runs()} {(runs or self.runs).faults()}"
            if ticks:
                (runs or self.runs).tick()
            time.sleep(0.03)

    def until_state(self, run: Run, state: str, **more: Any) -> Run:
        self.until(lambda: self.runs.run(run.run_id).state == state, f"{run.run_id} is {state}", **more)
        return self.runs.run(run.run_id)

    def until_at(self, run: Run, step: str, **more: Any) -> None:
        holds = lambda: any(own.name == step and own.state == "running" for own in self.runs.steps(run.run_id))  # noqa: E731
        self.until(holds, f"{step} runs", **more)

    def processes(self) -> list[psutil.Process]:
        return [own for own in psutil.process_iter() if events_of(own).startswith(str(self.home.resolve()))]

    def begins(self) -> list[str]:
        file = self.data / "begun"
        return file.read_text().splitlines() if file.exists() else []

    def kinds(self, run: Run) -> list[str]:
        with self.database.read() as session:
            return [event.kind for event in reversed(events(session, subject=run.run_id))]


def events_of(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.environ().get(EVENTS, "")
    except (psutil.Error, OSError):
        return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served(Place):
    """A place whose control plane answers over HTTP and ticks by itself."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.data / "items.parquet").write_bytes(b"x")
        clock = lambda: datetime.now(UTC)  # noqa: E731
        order = {"source": "contract", "path": str(self.data)}
        policy = AlertPolicy.of({"rules": [{"alerts": ["FeatureDrift"], "order": order}]})
        self.triggers = Triggers(self.database, clock=clock, alerts=lambda: policy)
        launcher = LocalLauncher(self.settings, command=self.command)
        self.runs = Runs(self.database, self.settings, clock=clock, launcher=launcher, triggers=self.triggers)
        self._stopping = threading.Event()
        nothing = cast(Any, None)
        application = build_control(
            self.settings,
            views=Views(self.database, self.settings),
            commands=nothing,
            runs=self.runs,
            triggers=self.triggers,
            pager=Pager(self.database, self.settings, [], triggers=self.triggers, commands=nothing),
            incidents=Incidents(self.database, self.settings),
            edges=nothing,
            server=nothing,
            readiness=lambda: ControlReadiness(status="ready", role="leader", holder="toy", database="sqlite", last_tick=clock()),
            tokens=Tokens.read(self.settings),
            metrics=ControlMetrics(process=False),
        )
        self.server = uvicorn.Server(uvicorn.Config(application, port=self.settings.control_port, log_level="error"))
        self._threads = [threading.Thread(target=self.server.run), threading.Thread(target=self._tick)]
        for thread in self._threads:
            thread.start()
        self.until(lambda: self.server.started, "it listens", ticks=False)

    def _tick(self) -> None:
        while not self._stopping.wait(0.05):
            self.runs.tick()

    def stop(self) -> None:
        self._stopping.set()
        self.server.should_exit = True
        for thread in self._threads:
            thread.join()

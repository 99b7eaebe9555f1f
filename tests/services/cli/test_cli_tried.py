"""The end of the demo: two canaries, each before a crowd that is another process, with a control plane over HTTP."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from rankloop.errors import ApiError, ControlError
from services.cli import tried as module
from services.cli.canary import watched
from services.cli.tried import POLICY, serves, tried
from services.control.client import ControlClient
from services.control.wire import CanaryShown
from services.crowd import Report
from services.settings import Settings

Crowds = Callable[[], list[tuple[int, list[str]]]]
AT = "2026-11-17T14:05:00Z"
CROWD = """#!{python}
import json, os, signal, sys, time
from pathlib import Path

here = Path(__file__).parent

def leave(*_):
    if (here / "unanswered").exists():
        sys.exit("nobody listens")
    print((here / "report.json").read_text())
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
words = sys.argv[sys.argv.index("crowd") :]
with (here / "crowds").open("a") as file:
    file.write(json.dumps([os.getpid(), *words]) + "\\n")
time.sleep(60)
"""


def report(answered: int) -> Report:
    return Report(2.0, answered, answered, 0, {}, 0, 0, {}, 0, 0, [])


@pytest.fixture
def crowds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crowds:
    """Another program in the crowd's place, which comes until it is stopped; the process and the words of each."""
    program = tmp_path / "crowd"
    program.write_text(CROWD.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(report(17)))
    monkeypatch.setattr(module.sys, "executable", str(program))
    file = tmp_path / "crowds"
    return lambda: [(line[0], line[1:]) for line in map(json.loads, file.read_text().splitlines())] if file.exists() else []


def canary(name: str, release: str, status: str) -> dict[str, Any]:
    ended = None if status == "running" else AT
    told = {"late": False, "step": 0, "steps": 2, "weight_bp": 0, "policy": {}, "who": "ada", "why": "a test"}
    names = {"canary_id": name, "release_id": release, "against": "r0", "slot": "blue", "status": status}
    return told | names | {"created_at": AT, "ended_at": ended}


def shown(release: str) -> dict[str, Any]:
    told = {"state": "serving", "registered_at": AT, "changed_at": AT, "created_at": AT, "as_of": AT, "surfaces": ["job_feed"]}
    return told | {
        "release_id": release,
        "verdict": "pass",
        "numbers": {},
        "run_id": None,
        "bundle": f"/bundles/{release}",
        "bento": f"/bentos/{release}",
        "ranker": "LightGBMRanker",
        "retrievers": ["popular"],
    }


@pytest.fixture
def plane(server: Any, monkeypatch: pytest.MonkeyPatch, home: Path, crowds: Crowds) -> Any:
    """A control plane whose canary c1 ends promoted and c2 rolled back, each once its crowd has come."""
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(server.http.server_port))
    slot = {"slot": "green", "release_id": "r1", "share_bp": 10_000, "stable": True, "interleaved_bp": 0}
    server.says("/v1/serving", {"at": AT, "slots": [slot]})
    server.says("/v1/canaries", {"canaries": [canary("c1", "r1", "running"), canary("c0", "r0", "promoted")]})
    server.says("/v1/canaries/c1", canary("c1", "r1", "promoted"))
    server.says("/v1/canaries/c2", canary("c2", "r-bad", "rolled back"))
    server.says("/v1/releases/r1", shown("r1"))
    begun = {"release": shown("r-bad"), "said": "it begins", "canary": canary("c2", "r-bad", "running")}
    server.says("/v1/releases", begun)

    def once_they_came(control: ControlClient, canary_id: str, *, each: Callable[[], None]) -> CanaryShown:
        end = time.monotonic() + 30
        while len(crowds()) < int(canary_id[1:]):
            assert time.monotonic() < end
            time.sleep(0.01)
        each()
        return watched(control, canary_id, each=each)

    monkeypatch.setattr(module, "watched", once_they_came)
    return server


@pytest.fixture
def harms(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path, str]]:
    made: list[tuple[Path, Path, str]] = []

    def harmed(bundle: Path, store: Path, how: str, *, created_at: Any) -> dict[str, Any]:
        made.append((bundle, store, how))
        return {"release_id": "r-bad", "path": "/bentos/r-bad"}

    monkeypatch.setattr("services.crowd.harmed_bento", harmed)
    return made


def words(folder: Path, seed: int) -> list[str]:
    """What a crowd is started with: it comes until it is stopped, and tells its counts."""
    return ["crowd", "--data", str(folder), "--rate", "40", "--seconds", "0", "--seed", str(seed), "--json"]


def test_a_crowd_drives_the_canary_under_way_and_then_a_bad_one_to_their_ends(
    plane: Any, crowds: Crowds, harms: list[tuple[Path, Path, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.read()
    ended = tried(settings, tmp_path / "market")
    assert [(own.canary_id, own.status) for own in ended] == [("c1", "promoted"), ("c2", "rolled back")]
    assert [own for _, own in crowds()] == [words(tmp_path / "market", seed) for seed in (1, 2)]
    assert harms == [(Path("/bundles/r1"), settings.bento_store, "reversed")]
    (asked,) = [body for path, body in plane.asked if path == "/v1/releases"]
    assert (asked["bento"], asked["then"], asked["policy"]) == ("/bentos/r-bad", "canary", POLICY)
    said = capsys.readouterr().out
    parts = [
        "a canary, before a crowd",
        "17 people came",
        "a release that is bad on purpose",
        "r-bad is r1 with every score negated",
    ]
    assert sorted(parts, key=said.index) == parts
    assert said.count("17 people came") == 2
    assert not any(psutil.pid_exists(pid) for pid, _ in crowds())


def test_without_a_canary_under_way_no_crowd_comes_and_where_to_look_is_said(plane: Any, crowds: Crowds, tmp_path: Path) -> None:
    plane.says("/v1/canaries", {"canaries": [canary("c0", "r0", "promoted")]})
    with pytest.raises(ControlError, match=r"no canary is under way .*`rankloop canary list`"):
        tried(Settings.read(), tmp_path)
    assert crowds() == []


def test_a_crowd_that_nobody_answered_is_an_error_with_its_last_words(
    plane: Any, crowds: Crowds, harms: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "unanswered").touch()
    with pytest.raises(ControlError, match="the crowd ended with 1: nobody listens"):
        tried(Settings.read(), tmp_path)
    assert harms == []


def test_a_canary_that_cannot_be_followed_leaves_no_crowd_behind(plane: Any, crowds: Crowds, tmp_path: Path) -> None:
    plane.refuses("/v1/canaries/c1", 404, "there is no canary c1")
    with pytest.raises(ApiError, match="there is no canary c1"):
        tried(Settings.read(), tmp_path)
    assert len(crowds()) == 1
    assert not any(psutil.pid_exists(pid) for pid, _ in crowds())


@pytest.mark.parametrize("stable", [True, False])
def test_a_release_serves_where_a_stable_slot_holds_one(plane: Any, stable: bool) -> None:
    slot = {"slot": "green", "release_id": "r1", "share_bp": 100, "stable": stable, "interleaved_bp": 0}
    plane.says("/v1/serving", {"at": AT, "slots": [slot]})
    assert serves(Settings.read()) is stable

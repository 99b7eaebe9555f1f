"""The end of the demo: a crowd before the service drives one release to promotion, and a bad one to its rollback."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.rule import Rule

from rankloop.errors import ControlError
from services.cli.canary import watched
from services.cli.console import out
from services.cli.watching import drawn
from services.control.client import ControlClient
from services.control.wire import CanaryShown, NewRelease
from services.settings import Settings

if TYPE_CHECKING:
    from services.crowd import Report

__all__ = ["FIRST", "POLICY", "serves", "tried"]

FIRST: Final[dict[str, Any]] = {"retrievers": ["popular", "bm25"], "trials": 1}
"""The recipe of the release that serves before there is a better one: two retrievers, and no tuning."""

POLICY: Final[dict[str, Any]] = {
    "steps": [2000, 5000],
    "min_seconds": 10.0,
    "min_units": 50,
    "interval_seconds": 2.0,
    "max_seconds": 900.0,
    "guards": {
        "errors": {"floor": 0.05},
        # five retrievers take longer than two, and a machine that simulates and serves at once is no judge of time
        "latency_p50": {"tolerate": 2.0},
        "latency_p95": {"tolerate": 2.0, "rule_out": None},
        "latency_p99": {"tolerate": 4.0},
        "fallback": {"floor": 0.2},
        "score": None,
        "overlap": None,
    },
    "objective": {"metric": "ctr@10", "rule_out": 0.25},
}
"""What a crowd of two minutes can show: large differences. The defaults ask for small ones, and for days."""

_RATE: Final = 40


def serves(settings: Settings) -> bool:
    """Whether some release serves already."""
    with ControlClient.of(settings) as control:
        return any(slot.stable for slot in control.serving().slots)


def tried(settings: Settings, folder: Path) -> list[CanaryShown]:
    """Lets a crowd ask the service until the canary under way ends, then does the same with a release that is bad on purpose.

    Args:
        settings: where the stack is.
        folder: of the simulated marketplace, whose people come.

    Returns:
        Both canaries as they ended.

    Raises:
        ControlError: no canary is under way, or the crowd was not answered.
    """
    with ControlClient.of(settings) as control:
        under_way = next((own for own in control.canaries().canaries if own.ended_at is None), None)
        if under_way is None:
            raise ControlError("no canary is under way that the crowd could drive; `rankloop canary list` says what became of it")
        out.print(Rule("a canary, before a crowd"))
        ended = [_driven(settings, folder, control, under_way.canary_id, seed=1)]
        out.print(Rule("a release that is bad on purpose"))
        ended.append(_driven(settings, folder, control, _harmed(settings, control), seed=2))
        return ended


def _driven(settings: Settings, folder: Path, control: ControlClient, canary_id: str, *, seed: int) -> CanaryShown:
    with _crowd(folder, seed) as crowd:
        ended = watched(control, canary_id, each=lambda: _assert_there(crowd))
        report = _stopped(crowd)
    if not out.is_terminal:
        out.print(drawn(ended))
    if report is not None:
        from services.cli.crowd import show_crowd

        show_crowd(report)
    return ended


def _harmed(settings: Settings, control: ControlClient) -> str:
    """Makes a release of the serving one whose ranker is upside down, and starts its canary."""
    from services.crowd import harmed_bento  # reads bundles, which takes a second to import

    serving = next(slot.release_id for slot in control.serving().slots if slot.stable)
    good = control.release(serving)
    bento = harmed_bento(Path(good.bundle), settings.bento_store, "reversed", created_at=datetime.now(UTC))
    out.print(f"[bold]{bento['release_id']}[/bold] is {serving} with every score negated; its canary begins")
    asked = NewRelease(bento=bento["path"], then="canary", policy=POLICY, why="bad on purpose, to see it rolled back")
    canary = control.register(asked).canary
    assert canary is not None
    return canary.canary_id


@contextmanager
def _crowd(folder: Path, seed: int) -> Iterator[subprocess.Popen[str]]:
    words = ["--data", str(folder), "--rate", str(_RATE), "--seconds", "0", "--seed", str(seed), "--json"]
    program = "from services.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "crowd", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _assert_there(crowd: subprocess.Popen[str]) -> None:
    """A canary that nobody asks would be waited for in vain."""
    if crowd.poll() is not None:
        _, errors = crowd.communicate()
        raise ControlError(f"the crowd ended with {crowd.returncode}: {errors.strip()[-500:] or 'nobody was answered'}")


def _stopped(crowd: subprocess.Popen[str]) -> "Report | None":
    """Lets nobody come any more; what the crowd saw; None where the canary ended before anybody came."""
    from services.crowd import Report

    crowd.terminate()
    said, errors = crowd.communicate(timeout=120)
    if crowd.returncode == -signal.SIGTERM:
        return None
    if crowd.returncode != 0:
        raise ControlError(f"the crowd ended with {crowd.returncode}: {errors.strip()[-500:] or 'nobody was answered'}")
    return msgspec.json.decode(said, type=Report)

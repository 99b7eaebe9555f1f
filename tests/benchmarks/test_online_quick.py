"""The benchmarks of the online path run from end to end; what they promise beside speed holds on a busy machine too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = ("ms", "second", "throughput", "overhead", "failed requests")
"""What a busy machine may cost: a request that could not be answered in time is refused."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["events", "faults"])  # `serving` starts what these start, and two rivals: too long here
def test_a_quick_run_measures_everything_and_loses_nothing(root: Path, name: str) -> None:
    command = [sys.executable, "-m", "benchmarks", name, "--quick"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    bars = json.loads((root / ".rankloop" / "benchmarks" / f"{name}.json").read_text())["bars"]
    promised = [bar for bar in bars if not any(word in bar["bar"] for word in SPEED)]
    assert promised
    assert [bar for bar in promised if not bar["holds"]] == []

"""The benchmark of the control plane runs from end to end, and what it promises holds on a busy machine too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_run_keeps_every_promise_but_those_of_speed(root: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "control", "--quick"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    bars = json.loads((root / ".rankloop" / "benchmarks" / "control.json").read_text())["bars"]
    promised = [bar for bar in bars if "seconds" not in bar["bar"]]
    assert promised
    assert [bar for bar in promised if not bar["holds"]] == []

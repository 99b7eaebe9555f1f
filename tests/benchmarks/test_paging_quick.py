"""From a fault to its end: a rule of real Prometheus, real Alertmanager, the pager, a rollback, and the word that it is over."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BINARIES = {"prometheus": ("prometheus",), "prometheus-alertmanager": ("prometheus-alertmanager", "alertmanager")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fault_in_service_is_paged_rolled_back_and_resolved_and_one_in_the_data_is_named(root: Path) -> None:
    for package, names in BINARIES.items():
        if not any(shutil.which(name) for name in names):
            pytest.skip(f"{package} is not installed")
    command = [sys.executable, "-m", "benchmarks", "paging", "--quick"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    figures = json.loads((root / ".rankloop" / "benchmarks" / "paging.json").read_text())["figures"]
    burst, unit = figures["error burst"], figures["unit change"]
    assert (burst["cause"], burst["component"], burst["severity"], burst["woken"]) == ("errors", "edge", "page", 1)
    assert burst["resolved_s"] > burst["seconds"] > 0
    assert (unit["cause"], unit["component"], unit["woken"]) == ("unit-change", "items.budget", 1)
    assert figures["false_pages"] == 0

"""The benchmarks of the online path run from end to end; what they promise beside speed holds on a busy machine too."""

import importlib
import json

import pytest

from benchmarks.result import Result

TIMED = ("ms", "second", "throughput", "overhead")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["serving", "events", "faults"])
def test_a_quick_run_measures_everything_and_loses_nothing(name: str) -> None:
    result: Result = importlib.import_module(f"benchmarks.{name}").run(quick=True)
    json.dumps(result.record(), allow_nan=False)
    promised = [bar for bar in result.bars if not any(word in bar.bar for word in TIMED)]
    assert promised
    assert [bar for bar in promised if not bar.holds] == []

import operator
import os
import sys
import time

import pytest

from benchmarks.peak import Peak, measure, measure_command
from rankloop.errors import RankloopError

BIG = 200_000_000


def test_a_function_is_timed_without_the_start_of_its_interpreter() -> None:
    peak = measure(time.sleep, 0.2)
    assert peak.value is None
    assert peak.seconds >= 0.2
    assert peak.peak_bytes > 1_000_000


def test_a_function_returns_its_value() -> None:
    assert measure(operator.add, 2, 3).value == 5


def test_a_command_that_takes_memory_is_seen() -> None:
    code = f"import time; taken = b'x' * {BIG}; print(len(taken)); time.sleep(0.5)"
    peak = measure_command([sys.executable, "-c", code])
    assert peak.value == f"{BIG}\n"
    assert BIG <= peak.peak_bytes < 2 * BIG


def test_the_memory_of_a_child_of_the_command_counts() -> None:
    inner = f"b = b'x' * {BIG}; import time; time.sleep(0.5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    assert measure_command([sys.executable, "-c", code]).peak_bytes >= BIG


def test_the_environment_is_added_to(tmp_path: os.PathLike[str]) -> None:
    code = "import os; print(os.environ['GIVEN'], 'PATH' in os.environ, os.getcwd())"
    assert measure_command([sys.executable, "-c", code], env={"GIVEN": "1"}, cwd=str(tmp_path)).value == f"1 True {tmp_path}\n"


def test_a_function_that_raises_brings_its_trace_home() -> None:
    with pytest.raises(RankloopError, match="FileNotFoundError"):
        measure(os.listdir, "/there/is/no/such/folder")


def test_a_process_that_dies_is_an_error_and_not_a_wait() -> None:
    with pytest.raises(RankloopError, match="exit code 3"):
        measure(os._exit, 3)


def test_a_command_that_fails_brings_its_last_words() -> None:
    with pytest.raises(RankloopError, match=r"(?s)exit code 2.*alas"):
        measure_command([sys.executable, "-c", "import sys; print('alas', file=sys.stderr); sys.exit(2)"])


def test_gigabytes_are_decimal() -> None:
    assert Peak(1.0, 2_500_000_000, None).peak_gb == 2.5

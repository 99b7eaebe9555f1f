"""What every test shares: a home folder that is thrown away, and property tests that never depend on the clock."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipelines.environment import RAY_ENVIRONMENT

os.environ["COLUMNS"] = "140"  # of the terminal that tables are drawn for, whoever runs the tests
settings.register_profile("rankloop", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("rankloop")

QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    **RAY_ENVIRONMENT,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests begin first, those of several processes before them: so none goes on alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.parent.name not in ("end_to_end", "stack"), item.path not in slow))


@pytest.fixture(scope="session", autouse=True)
def _no_trace_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests keep their state under a folder of their own and send nothing anywhere."""
    set_here = {"RANKLOOP_HOME": str(tmp_path_factory.mktemp("home")), **QUIET}
    before = {name: os.environ.get(name) for name in set_here}
    os.environ.update(set_here)
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parent.parent

"""Where real data lies, if it is there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(os.environ.get("RANKLOOP_DATA_DIR", Path(__file__).parents[2].parent / "shared" / "data"))


@pytest.fixture
def data() -> Callable[[str], Path]:
    """The folder of a data set; the test is skipped where it is not there."""

    def folder(name: str) -> Path:
        if not (DATA / name).is_dir():
            pytest.skip(f"{DATA / name} is not there; set RANKLOOP_DATA_DIR to the folder that holds {name}")
        return DATA / name

    return folder

"""docs/settings.md names every setting with its default and meaning, and no variable that does not exist."""

import re
from pathlib import Path

import pytest

from services.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
NOT_SETTINGS = {"RANKLOOP_IMAGE", "RANKLOOP_EVENTS"}


def row(name: str) -> str:
    """The line of the page that describes one setting."""
    field = Settings.model_fields[name]
    default = f"{field.default:,}" if isinstance(field.default, int) and "port" not in name else str(field.default)
    return f"| `{name}` | `RANKLOOP_{name.upper()}` | {default} | {field.description} |"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_described_as_the_code_has_it(name: str) -> None:
    assert row(name) in PAGE.splitlines()


def test_no_setting_is_described_that_does_not_exist() -> None:
    named = set(re.findall(r"RANKLOOP_[A-Z0-9_]+", PAGE)) - NOT_SETTINGS
    assert named == {f"RANKLOOP_{name.upper()}" for name in Settings.model_fields}

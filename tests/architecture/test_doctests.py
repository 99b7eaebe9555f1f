"""Every example in the library's docstrings runs and prints what it says."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("rankloop", "monitoring", "services", "benchmarks")
    for file in (ROOT / package).rglob("*.py")
    if re.search(r">>> (?!.*\+SKIP)", file.read_text(encoding="utf-8"))
)
PAGES = sorted(file for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if ">>>" in file.read_text())


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_hold(page: Path) -> None:
    assert doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0

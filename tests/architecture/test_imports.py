"""Who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("rankloop", "monitoring", "components", "pipelines", "services")
HEAVY = ("bentoml", "kfp", "lightgbm", "matplotlib", "numba", "ray", "torch")
OF_FEW = ("duckdb", "litestar", "polars", "scipy", "sqlalchemy")
"""What few commands of the terminal need, and each would wait for."""


def imported(file: Path) -> set[str]:
    """Every module a file imports, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def test_every_import_contract_of_pyproject_holds(root: Path) -> None:
    # in a process of its own: it silences every logger that there is, also those that later tests listen to
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_in_the_library_only_tuning_knows_ray_and_never_serve(root: Path) -> None:
    using = {
        str(file.relative_to(root)): {name for name in imported(file) if name.split(".")[0] == "ray"}
        for file in (root / "rankloop").rglob("*.py")
    }
    assert {file for file, names in using.items() if names} <= {f"rankloop/ranking/{part}.py" for part in ("session", "tuning")}
    assert not any(name.startswith("ray.serve") for names in using.values() for name in names)


def test_every_folder_with_code_is_a_package(root: Path) -> None:
    folders = {file.parent for package in PACKAGES for file in (root / package).rglob("*.py")}
    assert [str(folder.relative_to(root)) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize(
    ("module", "heavy"), [("rankloop", HEAVY), ("rankloop.contracts", HEAVY), ("services.cli", HEAVY + OF_FEW)]
)
def test_importing_a_light_module_loads_nothing_heavy(module: str, heavy: tuple[str, ...], root: Path) -> None:
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

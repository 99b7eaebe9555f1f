"""`__all__` of every package is exactly what it exposes; ruff holds it sorted."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rankloop", "monitoring", "components", "pipelines", "services")
FILES = [
    file
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
    if not file.stem.startswith("_") or file.stem == "__init__"
]


def declared(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`, or None where a module has none."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(node, ast.Assign | ast.AnnAssign):
            return list(ast.literal_eval(node.value)) if node.value else []
    return None


def imported_or_defined(tree: ast.Module) -> set[str]:
    """Public names that a package imports or defines."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return {name for name in names if not name.startswith("_")}


def name_of(file: Path) -> str:
    """The file as a test names it."""
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", [file for file in FILES if file.name == "__init__.py"], ids=name_of)
def test_a_package_exposes_exactly_what_it_names(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    written = declared(tree) or []
    constants = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    constants |= {
        part.id for node in tree.body if isinstance(node, ast.Assign) for part in node.targets if isinstance(part, ast.Name)
    }
    assert set(written) - {"__version__"} == imported_or_defined(tree) | {name for name in constants if name[0] != "_"}
    assert len(written) == len(set(written))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_module_names_only_what_it_has(file: Path) -> None:
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    written = declared(ast.parse(file.read_text(encoding="utf-8")))
    if written:
        found = importlib.import_module(module)
        assert [name for name in written if not hasattr(found, name)] == []

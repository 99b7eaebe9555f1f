"""`__all__` of every public module is exactly what it exposes; ruff holds it sorted."""

import ast
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


def exposed(tree: ast.Module, *, package: bool) -> set[str]:
    """Public names that a module defines; of a package's `__init__`, also those it imports."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and package:
            names |= {alias.asname or alias.name for alias in node.names}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_all_is_what_is_exposed(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = file.name == "__init__.py"
    public, written = exposed(tree, package=package), declared(tree)
    if written is None:
        assert package or not public, f"{file.name} exposes {sorted(public)}: name them in __all__"
        assert not public, f"__init__ imports {sorted(public)}: name them in __all__"
        return
    assert public <= set(written), "public, but not in __all__; give it an underscore or name it"
    assert len(written) == len(set(written))
    top = {part.id for node in tree.body for part in ast.walk(node) if isinstance(part, ast.Name)}
    assert set(written) <= public | top | {node.name for node in tree.body if hasattr(node, "name")}

"""A function has at most 40 lines and a file 250, docstrings not counted, unless `# over budget: <reason>` says why.

A file of tests may be longer: its cases are a table.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("rankloop", "monitoring", "components", "pipelines", "services", "benchmarks", "tests")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
FUNCTION_LINES, FILE_LINES = 40, 250
EXCUSE = "# over budget: "

Function = ast.FunctionDef | ast.AsyncFunctionDef


def docstring_lines(node: ast.AST) -> int:
    """Lines taken by the docstring of a module, class or function."""
    if not isinstance(node, Function | ast.ClassDef | ast.Module) or ast.get_docstring(node) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def too_long(file: Path) -> Iterator[str]:
    """What exceeds its budget in a file, unless the reason is written there."""
    text = file.read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    length = len(lines) - sum(map(docstring_lines, ast.walk(tree)))
    if length > FILE_LINES and file.relative_to(ROOT).parts[0] != "tests" and not any(line.startswith(EXCUSE) for line in lines):
        yield f"{file.relative_to(ROOT)}: {length} lines, {FILE_LINES} allowed"
    for node in ast.walk(tree):
        if isinstance(node, Function):
            body = lines[node.lineno - 1 : node.end_lineno]
            length = len(body) - docstring_lines(node)
            if length > FUNCTION_LINES and not any(EXCUSE in line for line in body):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines, {FUNCTION_LINES} allowed"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_and_its_functions_are_short(file: Path) -> None:
    assert list(too_long(file)) == []

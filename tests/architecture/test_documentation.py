"""The pages are complete, indexed, linked, and free of anything that belongs to one machine."""

import re
from pathlib import Path

import pytest

from benchmarks.report import DOC, markdown

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".sql", ".html", ".svg", ".json", ""}
SKIPPED = {"build", "dist", "__pycache__"}
OF_ONE_MACHINE = re.compile(r"(?<![\w./-])/(work|farm|root|opt|home/\w+)/|file:/{2}|extra-index-url|index-url")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a reader's browser makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def tracked() -> list[Path]:
    """Every text file of the project, caches and state left out."""
    folders = [
        one for one in ROOT.iterdir() if one.is_dir() and (one.name == ".ci" or one.name[0] != ".") and one.name not in SKIPPED
    ]
    files = [*ROOT.iterdir(), *(file for folder in folders for file in folder.rglob("*") if not SKIPPED & set(file.parts))]
    return [file for file in files if file.is_file() and file.suffix in TEXT and not file.name.endswith(".part")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        file = (page.parent / target) if target else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


def test_every_decision_is_indexed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    records = [file.name for file in (ROOT / "docs" / "decisions").glob("*.md") if file.name != "README.md"]
    assert records
    assert [name for name in sorted(records) if f"({name})" not in index] == []


@pytest.mark.parametrize("part", ["Context", "Decision", "Consequences"])
def test_every_decision_has_its_three_parts(part: str) -> None:
    for file in (ROOT / "docs" / "decisions").glob("[0-9]*.md"):
        assert f"\n## {part}\n" in file.read_text(encoding="utf-8"), f"{file.name} has no {part}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        waiting += [page.parent / target for target, _ in LINK.findall(page.read_text(encoding="utf-8")) if target]
    assert [str(page.relative_to(ROOT)) for page in PAGES if page.resolve() not in seen] == []


def test_the_changelog_says_what_is_unreleased() -> None:
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_benchmark_page_is_what_the_results_say() -> None:
    assert DOC.read_text(encoding="utf-8") == markdown(), "run `python -m benchmarks docs`"


def test_no_file_names_a_path_or_an_index_of_one_machine() -> None:
    this = Path(__file__).resolve()
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in tracked()
        if file != this and (match := OF_ONE_MACHINE.search(file.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []

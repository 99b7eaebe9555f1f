"""The guide says what the code does."""

from dataclasses import astuple
from pathlib import Path

from rankloop.simulation.clicks import DECAY
from rankloop.simulation.logging_policy import EXPLORATION
from rankloop.simulation.tastes import STEPS, Drivers
from rankloop.simulation.vocabulary import lexicon

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "simulation.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """The rows of every table of the guide by their first cell."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in GUIDE.splitlines() if line.startswith("|")]
    return {first: rest for first, *rest in lines}


def test_the_guide_shows_the_weights_of_the_code() -> None:
    for step, weights in STEPS.items():
        assert [float(cell or 0) for cell in rows()[step]] == list(astuple(weights))


def test_the_guide_explains_every_driver() -> None:
    assert set(Drivers._fields) <= set(rows())
    assert rows()["step"] == ["base", *Drivers._fields]


def test_the_guide_counts_the_words_right() -> None:
    words = lexicon()
    assert (
        f"{len(words.categories)} categories of work, {len(words.topics)} topics inside them, {len(words.skills)} skills" in GUIDE
    )


def test_the_guide_names_the_numbers_of_the_click_model_and_of_the_exploration() -> None:
    assert f"k^-{DECAY['job_feed']} on the feed, k^-{DECAY['job_search']} on search" in GUIDE
    assert f"{EXPLORATION} / pool + {1 - EXPLORATION} / tied" in GUIDE

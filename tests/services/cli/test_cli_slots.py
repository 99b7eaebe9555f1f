from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from rankloop.errors import StackError
from services import stack
from services.edge import Slots
from services.stack import SlotStatus, StackStatus

Rankloop = Callable[..., Result]

BOTH = (
    SlotStatus("blue", stable=True, release_id="r-old", application="RUNNING"),
    SlotStatus("green", stable=False, weight_bp=500, interleave_bp=30, release_id="r-new", application="RUNNING"),
)


def rows(done: Result) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.output.splitlines() if "│" in line]


@pytest.mark.parametrize("words", [("slots",), ("slots", "show")])
def test_both_slots_are_shown_with_what_they_get(
    rankloop: Rankloop, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(stack, "status", lambda settings: StackStatus("up", Path("home"), slots=BOTH))
    assert rows(rankloop(*words)) == [
        ["blue", "r-old", "stable, 9500 bp", "RUNNING"],
        ["green", "r-new", "500 bp, 30 bp interleaved", "RUNNING"],
    ]


def test_without_a_stack_it_says_how_to_start_one(rankloop: Rankloop) -> None:
    assert "the stack is down; start it with rankloop up" in rankloop("slots").output


@pytest.mark.parametrize(
    ("words", "function", "given", "back", "says"),
    [
        (("fill", "r-new"), "fill", ("r-new",), "green", "r-new answers in slot green"),
        (("weight", "500"), "weigh", (500,), Slots(canary_bp=500), "slot green gets 500 basis points of the units"),
        (("interleave", "70"), "interleave", (70,), Slots(interleave_bp=70), "70 basis points of the units get both"),
        (("swap",), "swap", (), Slots("green"), "slot green serves everybody"),
        (("clear",), "clear", (), "green", "slot green is empty"),
        (("clear",), "clear", (), None, "the idle slot is empty already"),
    ],
)
def test_a_command_is_one_call(
    rankloop: Rankloop,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    function: str,
    given: tuple[Any, ...],
    back: Any,
    says: str,
) -> None:
    asked: list[tuple[Any, ...]] = []

    def called(settings: object, *arguments: Any, **named: Any) -> Any:
        asked.append((*arguments, named["why"]))
        return back

    monkeypatch.setattr(stack, function, called)
    done = rankloop("slots", *words, "--why", "a look")
    assert done.exit_code == 0
    assert says in done.output
    assert asked == [(*given, "a look")]


def test_a_share_beyond_all_units_makes_no_sense(rankloop: Rankloop) -> None:
    assert rankloop("slots", "weight", "10001").exit_code == 2


def test_a_refusal_is_one_sentence(rankloop: Rankloop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(settings: object, **_: object) -> None:
        raise StackError("slot green holds no release that answers")

    monkeypatch.setattr(stack, "swap", refuse)
    done = rankloop("slots", "swap")
    assert done.exit_code == 1
    assert "slot green holds no release that answers" in done.output


def test_reload_says_that_it_did(rankloop: Rankloop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "reload", lambda settings: None)
    assert "anew" in rankloop("reload").output

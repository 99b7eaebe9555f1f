"""The scoreboard out of the record of real tables."""

import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rankloop.experiment import Effect, Scoreboard
from services.control.database import end_canary, new_canary, register, save_step
from services.control.scoreboard import read_scoreboard
from services.control.scoreboard.figures import scatter, standalone

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
BY = {"who": "ann", "why": "A test."}


def evidence(metric: str, difference: float | None, **given) -> dict:
    bounds = {} if difference is None else {"lower": difference - 0.1, "upper": difference + 0.1}
    return {"metric": metric, "rule": "", "difference": difference, "outcome": "fine", "reason": "", **bounds, **given}


@pytest.fixture
def tried(database, make_facts):
    """Ends a canary of a new release against `r0`, after some looks."""
    count = iter(range(1, 100))
    with database.begin() as session:
        register(session, make_facts("r0", numbers={"ndcg@10": 0.5}), at=NOW, **BY)

    def made(offline: float, looks, status: str = "promoted") -> str:
        number = next(count)
        at = NOW + timedelta(hours=number)
        with database.begin() as session:
            register(session, make_facts(f"r{number}", numbers={"ndcg@10": offline}), at=at, **BY)
            own = new_canary(session, release_id=f"r{number}", against="r0", slot="green", policy={}, at=at, **BY)
            for rows in looks:
                save_step(session, own.canary_id, None, {"action": "continue", "evidence": rows}, at)
            if status:
                end_canary(session, own.canary_id, status, at=at, **BY)
            return own.canary_id

    return made


def board(database) -> Scoreboard:
    with database.read() as session:
        return read_scoreboard(session)


def test_an_ended_canary_is_a_row_with_its_last_evidence(database, tried) -> None:
    looks = [[evidence("ctr@10", -0.5)], [evidence("ctr@10", 0.2), evidence("errors", 3.0), evidence("apply_rate", None)], []]
    name = tried(0.6, looks)
    (trial,) = board(database).trials
    assert (trial.name, trial.release_id, trial.against, trial.ended) == (name, "r1", "r0", "promoted")
    assert trial.online == {"ctr@10": Effect(0.2, 0.2 - 0.1, 0.2 + 0.1)}
    assert trial.offline == {"ndcg@10": Effect(0.6 - 0.5, paired=False)}


def test_of_a_guardrail_and_an_objective_of_one_metric_the_guardrail_counts(database, tried) -> None:
    tried(0.6, [[evidence("apply_rate", 0.2), evidence("apply_rate", 0.2, lower=-9.0)]])
    assert board(database).trials[0].online["apply_rate"].lower == 0.2 - 0.1


def test_what_goes_on_or_was_never_judged_is_no_row(database, tried) -> None:
    tried(0.6, [], "aborted")
    tried(0.6, [[evidence("errors", 0.0)]], "rolled back")
    tried(0.6, [[evidence("ctr@10", 0.1)]], "")
    assert board(database) == Scoreboard((), ())


def test_rows_are_the_oldest_first_and_their_order_is_compared(database, tried) -> None:
    for number in range(1, 12):
        tried(0.5 + number / 100, [[evidence("ctr@10", number / 10)]], "promoted" if number % 2 else "rolled back")
    found = board(database)
    assert [trial.release_id for trial in found.trials] == [f"r{number}" for number in range(1, 12)]
    (agreement,) = found.agreements
    assert (agreement.trials, agreement.same_sign, agreement.kendall.value) == (11, 11, 1.0)
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(found)), Scoreboard) == found


def test_the_figure_has_a_mark_for_each_trial_and_colours_of_its_own_as_a_file(database, tried) -> None:
    tried(0.6, [[evidence("ctr@10", 0.2)]])
    tried(0.4, [[evidence("ctr@10", -0.2)]], "rolled back")
    drawn = scatter(board(database), "ndcg@10", "ctr@10")
    assert drawn is not None
    assert "var(--pass)" in drawn
    assert "var(--fail)" in drawn
    file = standalone(drawn)
    assert re.match(r"<svg [^>]*xmlns=", file)
    assert "--pass:" in file
    assert scatter(board(database), "ndcg@10", "never") is None

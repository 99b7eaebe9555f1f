"""Judged lists from a log."""

from datetime import UTC, datetime, timedelta

import numpy as np

from rankloop.contracts import Columns
from rankloop.examples import logged, retrieved
from rankloop.request import Request
from rankloop.retrieval import Blend, Profile
from rankloop.rules import Rules
from rankloop.testing import group_of, known_world
from rankloop.vocabulary import Vocabulary

WORLD = known_world(days=10)
JOBS = Vocabulary(WORLD.items[Columns.ITEM_ID])
START = datetime(1970, 1, 1, tzinfo=UTC)
END = WORLD.outcomes[Columns.TS].max() + timedelta(seconds=1)


def test_requests_in_which_nothing_happened_are_left_out() -> None:
    lists = logged(WORLD, JOBS, START, END, horizon=END)
    assert lists.requests
    assert all(grades.max() > 0 for grades in lists.grades)
    acted = WORLD.outcomes[Columns.REQUEST_ID].n_unique()
    assert len(lists.requests) == acted


def test_items_outside_the_catalogue_are_left_out() -> None:
    few = Vocabulary(JOBS.terms[:5])
    lists = logged(WORLD, few, START, END, horizon=END)
    assert all(items.max() < 5 and items.min() >= 0 for items in lists.items)
    assert all(len(items) == len(grades) == len(positions) for _, items, grades, positions in zip(*lists, strict=True))


def test_what_happens_after_the_horizon_is_no_judgement() -> None:
    middle = WORLD.impressions[Columns.TS].sort()[WORLD.impressions.height // 2]
    early = logged(WORLD, JOBS, START, END, horizon=middle)
    assert all(request.ts < middle for request in early.requests)


def test_retrieved_lists_hold_what_retrieval_proposes_and_nothing_else() -> None:
    blend = Blend([Profile().fit(WORLD, JOBS, rng=np.random.default_rng(0))])
    rules = Rules.from_tables(WORLD, JOBS)
    full = retrieved(logged(WORLD, JOBS, START, END, horizon=END), blend, rules, 10)
    assert full.requests
    for request, items, grades, positions in zip(*full, strict=True):
        assert items.tolist() == blend.retrieve(request, 10, allowed=rules.allowed(request)).items.tolist()
        assert {group_of(JOBS.terms[code]) for code in items[grades > 0]} == {group_of(request.user_id)}
        assert positions.max() == 0


def test_a_request_of_which_nothing_was_retrieved_is_left_out() -> None:
    blend = Blend([Profile().fit(WORLD, JOBS, rng=np.random.default_rng(0))])
    closed = Rules(np.full(len(JOBS), 2**62), np.full(len(JOBS), 2**62), {})
    assert retrieved(logged(WORLD, JOBS, START, END, horizon=END), blend, closed, 10).requests == []
    assert blend.retrieve(Request("logo-u0", "job_feed", END), 10).items.size

"""The client's list against what is read."""

import numpy as np
import polars as pl
import pytest

from benchmarks.load.counted import Counted, accepted, acknowledged
from benchmarks.load.timing import NO_ANSWER, Sent


def test_only_batches_that_were_acknowledged_whole_are_owed() -> None:
    zeros = np.zeros(4)
    sent = Sent(zeros, zeros, zeros, np.array([200, 200, 503, NO_ANSWER]), np.array([2, 1, 0, 0]), np.array([3, 1, 0, 2]))
    assert acknowledged(sent, 2, first=100) == [106, 107]


def test_what_was_acknowledged_and_not_read_is_lost_and_what_was_not_acknowledged_is_not() -> None:
    assert Counted.of([1, 2], pl.Series([2.0, 3.0])) == Counted(acknowledged=2, read=2, lost=1, twice=0)


def test_a_row_that_says_again_what_another_says_is_there_twice() -> None:
    assert Counted.of([1], pl.Series([1.0, 1.0, 1.0])).twice == 2


@pytest.mark.parametrize(
    ("body", "count"),
    [(b'{"accepted":17,"rejected":[]}', 17), (b'{"rejected":[],"accepted": 3}', 3), (b"{}", 0)],
)
def test_an_answer_says_how_many_events_it_acknowledges(body: bytes, count: int) -> None:
    assert accepted(body) == count

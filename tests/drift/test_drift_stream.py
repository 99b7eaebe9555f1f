"""The watch on a stream of errors: quiet where nothing rose, quick where it did, and not fooled by autocorrelation."""

import numpy as np
import pytest

from rankloop.drift.stream import ErrorWatch, Promise
from rankloop.errors import DataError


def errors(blocks: int, rng: np.random.Generator, *, carry: float = 0.5, mean: float = 0.2, spread: float = 0.06) -> np.ndarray:
    """Block errors as a first-order autoregression."""
    away = np.zeros(blocks)
    for t in range(1, blocks):
        away[t] = carry * away[t - 1] + rng.normal(0, spread)
    return np.clip(mean + away, 0, 1)


def first_alarm(watch: ErrorWatch, series: np.ndarray) -> int | None:
    return next((block for block, error in enumerate(series) if watch.take(float(error))), None)


@pytest.mark.parametrize("carry", [0.0, 0.3, 0.6])
def test_a_stable_stream_is_quiet_for_as_long_as_was_asked(carry: float) -> None:
    rng = np.random.default_rng(7)
    rounds, blocks, quiet = 100, 200, 365
    alarms = 0
    for _ in range(rounds):
        promise = Promise.of(errors(60, rng, carry=carry))
        alarms += first_alarm(ErrorWatch(promise, quiet=quiet), errors(blocks, rng, carry=carry)) is not None
    assert alarms <= rounds * blocks / quiet


def test_without_tolerance_and_with_known_errors_the_average_time_between_false_alarms_is_kept() -> None:
    rng = np.random.default_rng(8)
    promise = Promise(error=0.3, spread=0.05, carry=0.0, blocks=10**9)
    waits = [
        first_alarm(ErrorWatch(promise, tolerance=0.0, quiet=50), rng.normal(0.3, 0.05, 2000).clip(0, 1)) for _ in range(100)
    ]
    assert np.mean([2000 if wait is None else wait for wait in waits]) >= 50


@pytest.mark.parametrize(("rise", "blocks"), [(0.1, 60), (0.2, 12)])
def test_a_rise_is_noticed_and_its_beginning_named(rise: float, blocks: int) -> None:
    rng = np.random.default_rng(9)
    right = 0
    for _ in range(20):
        watch = ErrorWatch(Promise.of(errors(60, rng, carry=0.3)))
        series = np.concatenate([errors(50, rng, carry=0.3), errors(100, rng, carry=0.3, mean=0.2 + rise)])
        alarm = next(alarm for error in series if (alarm := watch.take(float(error))))
        right += 50 <= alarm.block <= 50 + blocks and abs(alarm.since - 50) <= 8 and alarm.error > alarm.promised
    assert right >= 15


def test_independence_taken_for_granted_would_cry_wolf_and_blocks_with_carry_do_not() -> None:
    rng = np.random.default_rng(10)
    honest = naive = 0
    for _ in range(40):
        reference, series = errors(60, rng, carry=0.7), errors(200, rng, carry=0.7)
        promise = Promise.of(reference)
        honest += first_alarm(ErrorWatch(promise), series) is not None
        # as if each block were 48 independent rows
        spread = float(np.sqrt(0.2 * 0.8 / 48))
        blind = Promise(float(reference.mean()), spread, 0.0, len(reference))
        naive += first_alarm(ErrorWatch(blind), series) is not None
    assert honest <= 4
    assert naive >= 20


def test_one_wild_block_is_no_alarm() -> None:
    watch = ErrorWatch(Promise(error=0.2, spread=0.05, carry=0.0, blocks=100))
    assert watch.take(1.0) is None


def test_evidence_that_there_was_fades_while_all_is_well() -> None:
    watch = ErrorWatch(Promise(error=0.2, spread=0.05, carry=0.0, blocks=100))
    watch.take(0.35)
    high = watch.evidence
    for _ in range(20):
        watch.take(0.18)
    assert watch.evidence < high


def test_what_cannot_work_is_refused() -> None:
    promise = Promise.of([0.1, 0.2] * 10)
    with pytest.raises(DataError, match="at least 10"):
        Promise.of([0.1] * 9)
    with pytest.raises(DataError, match="quiet"):
        ErrorWatch(promise, quiet=1)
    with pytest.raises(DataError, match="share between 0 and 1"):
        ErrorWatch(promise).take(48.0)

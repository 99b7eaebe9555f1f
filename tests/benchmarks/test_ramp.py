"""What is read out of a ramp, on rows made by hand."""

import numpy as np
import pytest

from benchmarks.load.ramp import Ramp, ramp, shares
from benchmarks.load.timing import Sent, evenly

START = 100.0


def rows(at: list[float], ms: list[float], status: list[int], mark: list[int] | None = None) -> Sent:
    """Requests intended at seconds after `START`."""
    intended, count = START + np.array(at), len(at)
    done = intended + np.array(ms) / 1e3
    return Sent(intended, intended, done, np.array(status), np.array(mark or [0] * count), np.arange(count))


def test_a_ramp_goes_from_half_to_twice_the_capacity_and_back() -> None:
    assert ramp(100.0, seconds=5, quiet_seconds=9) == Ramp([50.0, 100.0, 150.0, 200.0], 5, 50.0, 9)


def test_its_moments_have_the_rates_asked_for() -> None:
    one = Ramp([100.0, 400.0], 10, 50.0, 20)
    at = one.at(rng=np.random.default_rng(3))
    assert (np.diff(at) >= 0).all()
    counts = [int(((at >= begin) & (at < end)).sum()) for begin, end in ((0, 10), (10, 20), (20, 40))]
    np.testing.assert_allclose(counts, [1000, 4000, 1000], rtol=0.15)


def test_refusals_are_no_failures_and_have_no_latency() -> None:
    found = shares(rows([0, 1, 2, 3], [10, 20, 9999, 9999], [200, 200, 503, 502], [1, 0, 0, 0]))
    assert found == {
        "requests": 4,
        "refused_share": 1 / 4,
        "failed_otherwise": 1,
        "degraded_share": 1 / 2,
        "p50_ms": pytest.approx(15.0),
        "p99_ms": pytest.approx(19.9),
    }


def test_every_rate_has_its_own_figures() -> None:
    found = Ramp([1.0, 2.0], 2, 1.0, 2).figures(rows([0, 1, 2, 3, 5], [1, 1, 1, 1, 1], [200, 200, 503, 503, 200]), START)
    assert list(found) == ["offered 1/s", "offered 2/s", "offered 1/s after it"]
    assert [own["refused_share"] for own in found.values()] == [0, 1, 0]
    assert [own["answered_per_s"] for own in found.values()] == [1, 0, 1 / 2]


@pytest.mark.parametrize(
    ("bad", "recovered"),
    [((), 0), ((0.5,), 1), ((2.25,), 3), ((0.5, 4.75), 5)],
)
def test_recovery_lasts_to_the_end_of_the_last_second_with_a_refusal(bad: tuple[float, ...], recovered: float) -> None:
    at = (10 + evenly(4, 5)).tolist()
    status = [503 if moment - 10 in bad else 200 for moment in at]
    assert Ramp([1.0], 10, 1.0, 5).recovered(rows(at, [5] * len(at), status), START, limit_ms=50) == recovered


def test_a_slow_second_is_no_recovery() -> None:
    at = (10 + evenly(4, 5)).tolist()
    slow = [80.0 if 1 <= moment - 10 < 2 else 5.0 for moment in at]
    assert Ramp([1.0], 10, 1.0, 5).recovered(rows(at, slow, [200] * len(at)), START, limit_ms=50) == 2


def test_requests_of_the_ramp_itself_do_not_count_for_the_recovery() -> None:
    assert Ramp([1.0], 10, 1.0, 5).recovered(rows([9.9, 10.5], [5, 5], [503, 200]), START, limit_ms=50) == 0

"""When a call is worth trying again."""

from services.online.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_a_failure_nobody_tries_for_a_while_and_then_one() -> None:
    clock = Clock()
    breaker = Breaker(0.5, clock)
    assert breaker.admits()
    breaker.failed()
    clock.now = 0.49
    assert not breaker.admits()
    clock.now = 0.5
    assert [breaker.admits() for _ in range(3)] == [True, False, False]


def test_the_one_who_tries_speaks_for_all() -> None:
    clock = Clock()
    breaker = Breaker(0.5, clock)
    breaker.failed()
    clock.now = 0.6
    assert breaker.admits()
    breaker.failed()
    clock.now = 1.0
    assert not breaker.admits()
    clock.now = 1.2
    assert breaker.admits()
    breaker.succeeded()
    assert [breaker.admits() for _ in range(3)] == [True, True, True]


def test_one_who_never_comes_back_does_not_close_it_for_ever() -> None:
    clock = Clock()
    breaker = Breaker(0.5, clock)
    breaker.failed()
    clock.now = 0.6
    assert breaker.admits()
    clock.now = 1.2
    assert breaker.admits()

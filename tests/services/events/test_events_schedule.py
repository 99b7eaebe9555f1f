"""A task that fails is tried again, later and later; the others go on."""

import threading

import pytest

from services.events.schedule import Task, Worker


def test_a_task_that_fails_waits_twice_as_long_each_time_up_to_the_longest() -> None:
    def fail() -> None:
        raise ValueError("no")

    task, waits, failures = Task("t", fail, every=1.0, longest=10.0, on_failure=lambda name: failures.append(name)), [], []
    for _ in range(5):
        task.attempt(clock=lambda: 0.0, chance=lambda: 0.5)
        waits.append(task.due)
    assert waits == [2, 4, 8, 10, 10]
    assert failures == ["t"] * 5


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 1.0), (1.0, 3.0)])
def test_a_wait_has_a_random_part_so_that_many_do_not_come_at_once(chance, wait) -> None:
    task = Task("t", lambda: 1 / 0, every=1.0)
    task.attempt(clock=lambda: 0.0, chance=lambda: chance)
    assert task.due == wait


def test_a_task_that_works_again_is_due_as_before() -> None:
    results = iter([ValueError("no"), None])

    def act() -> None:
        if error := next(results):
            raise error

    task = Task("t", act, every=1.0)
    task.attempt(clock=lambda: 0.0)
    task.attempt(clock=lambda: 0.0)
    assert task.due == 1.0


def test_a_failing_task_does_not_stop_the_one_behind_it() -> None:
    stop, done = threading.Event(), threading.Event()
    worker = Worker([Task("broken", lambda: 1 / 0, every=0.0), Task("sound", done.set, every=0.0)], stop)
    worker.start()
    assert done.wait(30)
    stop.set()
    assert worker.join(30)

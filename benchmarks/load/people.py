"""What people do while they are served: events, made before they are needed."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.load.bundle import Made
from benchmarks.load.http import post
from benchmarks.load.ours import Ours

__all__ = ["acted", "batches", "events"]

_KINDS: Final = ("click", "click", "click", "save", "apply")
_PEOPLE, _EACH, _BATCH = 1_000, 10, 1_000
Say = Callable[[str], None]


def events(release: Made, count: int, *, first: int = 0, prefix: str = "e", rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Events of people who are asked for, on items of the release, now; `value` is the event's number."""
    people = [body["user_id"] for body in release.recommend]
    now = datetime.now(UTC).isoformat()
    who, what, kind = (rng.integers(0, n, count).tolist() for n in (len(people), len(release.items), len(_KINDS)))
    for number in range(count):
        yield {
            "event_id": f"{prefix}{first + number}",
            "user_id": people[who[number]],
            "item_id": release.items[what[number]],
            "kind": _KINDS[kind[number]],
            "ts": now,
            "value": float(first + number),
        }


def batches(release: Made, count: int, size: int, *, first: int = 0, prefix: str = "e") -> list[bytes]:
    """Whole requests of `size` events each, numbered on from `first`."""
    numbered = events(release, count * size, first=first, prefix=prefix, rng=np.random.default_rng(first))
    return [post("/v1/events", msgspec.json.encode({"events": list(islice(numbered, size))})) for _ in range(count)]


def acted(stack: Ours, release: Made, say: Say) -> None:
    """Lets the people who will be asked for do a few things, and waits until the online store knows: no cold start."""
    rng, people = np.random.default_rng(5), [body["user_id"] for body in release.recommend[:_PEOPLE]]
    say(f"{_PEOPLE * _EACH:,} events of {_PEOPLE:,} people")
    now = datetime.now(UTC).isoformat()
    for start in range(0, _PEOPLE * _EACH, _BATCH):
        batch = [
            {
                "event_id": f"before-{number}",
                "user_id": people[number % _PEOPLE],
                "item_id": release.items[rng.integers(len(release.items))],
                "kind": "click",
                "ts": now,
            }
            for number in range(start, start + _BATCH)
        ]
        stack.ask("POST", "/v1/events", json={"events": batch}).raise_for_status()
    last = people[-1]

    def known() -> bool:
        answer = stack.ask("GET", f"/v1/users/{last}/state")
        return answer.is_success and len(answer.json()["acts"]) >= _EACH

    stack.eventually(known, f"the last event of {last} in the online store")

"""Faults in a running service and in its data: whether each is paged once, with its cause, how soon, and what counting costs."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from benchmarks.load.child import short_folder
from benchmarks.load.generator import Generator
from benchmarks.load.ours import Ours, ours
from benchmarks.load.telling import teller
from benchmarks.pagings import overhead
from benchmarks.pagings.faults import Fault, serving_faults
from benchmarks.pagings.market import Market, made
from benchmarks.pagings.told import Told, told
from benchmarks.result import Bar, Result
from pipelines.launch import Order, RunResult, run_release
from pipelines.watch import WatchOrder, run_watch
from rankloop.contracts import Columns
from rankloop.errors import RankloopError
from services.control.client import ControlClient

__all__ = ["run"]

_LIMIT_S: Final = 120.0
_PATIENCE_S: Final = 240.0
_RESOLVED_S: Final = 600.0
_MENDED: Final = "error burst"
"""The fault that the policy for alerts mends."""

_SETTLE_S: Final = 20.0
_RATE: Final = 20
_RECIPE: Final = {"retrievers": ["popular", "bm25"], "trials": 1}

_POLICY: Final = "rules:\n- {alerts: [ErrorBurst], act: roll back, window_seconds: 600}\n"
Say = Callable[[str], None]

_DATA_FAULTS: Final = {
    "unit change": ("unit-change", "items.budget"),
    "nulls": ("nulls", "items.skills"),
    "vanished category": ("vanished-category", "items.category"),
    "taste shift": ("taste-shift", ""),
    "skewed embedding": ("skewed-embedding", "items.embedding"),
}
"""By fault, the cause and the component that the page must name; an empty component: any."""


@dataclass(frozen=True)
class Effort:
    """How much: of the log, of which faults, how long it is quiet before the first one, and how few rows are judged."""

    impressions: int
    serving: tuple[str, ...]
    data: tuple[str, ...]
    scrape_seconds: float
    quiet_seconds: float
    drift: dict[str, Any]


_FULL: Final = Effort(
    500_000,
    ("slow replica", "dead collectors", "error burst", "spike of bots", "stale index"),
    tuple(_DATA_FAULTS),
    15.0,
    120.0,
    {},
)
_QUICK: Final = Effort(140_000, ("error burst",), ("unit change",), 2.0, 5.0, {"min_rows": 100})


class Page(NamedTuple):
    """What came of one fault.

    Attributes:
        cause: as the page named it; empty: none came.
        component: likewise.
        seconds: from the fault to the page; of data, from the end of the watch that saw it.
        severity: `page` or `ticket`.
        resolved_s: from the fault, which is still there, to the end of its incident, where a rollback mends it; else NaN.
        told: how often somebody was told of that cause before the next fault began: woken, or for a ticket told at all.
        others: incidents of other causes in that time, by cause and component.
    """

    cause: str
    component: str
    seconds: float
    severity: str
    resolved_s: float = float("nan")
    told: int = 0
    others: str = "none"


def run(quick: bool) -> Result:
    """One stack with real Prometheus and Alertmanager before a crowd; one fault after the other; a stand-in is paged."""
    effort, say = _QUICK if quick else _FULL, teller()
    costs, bars = overhead.run(quick)
    with short_folder() as home, told() as heard, Generator() as generator:
        market = made(home / "market", effort.impressions, effort.data, say)
        with _watched(home, heard, effort, say) as stack:
            result = _released(stack, market, say)
            with _crowd(stack, market):
                pages, false = _faults(stack, market, heard, generator, result, effort, say)
    figures: dict[str, Any] = {"quiet_seconds": effort.quiet_seconds, "false_pages": false, **costs}
    figures |= {name: page._asdict() for name, page in pages.items()}
    return Result("paging", figures, {}, [*_bars(pages, false), *bars])


@contextmanager
def _watched(home: Path, heard: Told, effort: Effort, say: Say) -> Iterator[Ours]:
    """A stack that pages the stand-ins, and rolls back on an error burst."""
    (home / "alerts.yaml").write_text(_POLICY, encoding="utf-8")
    (home / "key").write_text("0123456789abcdef0123456789abcdef", encoding="utf-8")
    (home / "webhook").write_text(f"{heard.url}/webhook", encoding="utf-8")
    chosen = {
        "replicas": 2,
        "object_store_mb": 100,
        "scrape_seconds": effort.scrape_seconds,
        "settle_seconds": _SETTLE_S,
        "pagerduty_url": f"{heard.url}/pagerduty",
        "pagerduty_key_file": str(home / "key"),
        "page_webhook_file": str(home / "webhook"),
    }
    with ours(home, say, **chosen) as stack:
        yield stack


def _released(stack: Ours, market: Market, say: Say) -> RunResult:
    say("the first release")
    settings = stack.settings
    order = Order("contract", str(market.known), recipe=_RECIPE, control_api=settings.control_url, alone=True, at_once=True)
    result = run_release(order, settings.home)
    if result.release_id is None:
        raise RankloopError(f"the gate said {result.verdict}, so nothing serves that could be hurt; simulate a larger log")
    stack.eventually(lambda: len(stack.pids("replica")) >= settings.replicas, "every replica's start")
    return result


@contextmanager
def _crowd(stack: Ours, market: Market) -> Iterator[None]:
    words = ["crowd", "--data", str(market.well), "--rate", str(_RATE), "--seconds", "0", "--seed", "1", "--json"]
    command = [sys.executable, "-c", "from services.cli import main; main()", *words]
    with (stack.settings.home / "crowd.log").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as crowd:
        try:
            yield
            assert crowd.poll() is None, f"the crowd ended early; see {stack.settings.home / 'crowd.log'}"
        finally:
            crowd.terminate()


def _faults(
    stack: Ours, market: Market, heard: Told, generator: Generator, result: RunResult, effort: Effort, say: Say
) -> tuple[dict[str, Page], int]:
    """What each fault led to, and how many incidents there were while nothing was wrong."""
    began = time.monotonic()
    say(f"nothing is wrong for {effort.quiet_seconds:.0f} s, and a week's data is as ever")
    with ControlClient.of(stack.settings) as control:
        bundle = Path(control.release(str(result.release_id)).bundle)
    _watch(stack, market.well, market, effort)
    time.sleep(max(0.0, effort.quiet_seconds - (time.monotonic() - began)))
    false = len(heard.incidents(began))
    pages, begun = {}, dict[str, float]()
    for name in effort.data:
        begun[name] = time.monotonic()
        pages[name] = _of_data(stack, market, heard, name, effort, say)
    _watch(stack, market.well, market, effort)
    people = pl.read_parquet(market.known / "users.parquet")[Columns.USER_ID].to_list()
    for fault in serving_faults(stack, bundle, generator, people):
        if fault.name in effort.serving:
            begun[fault.name] = time.monotonic()
            pages[fault.name] = _of_serving(heard, fault, say)
    time.sleep(_SETTLE_S)
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {name: _counted(pages[name], heard, begun[name], end) for name, end in zip(begun, ends, strict=True)}, false


def _counted(page: Page, heard: Told, began: float, end: float) -> Page:
    """A page with what else was told before the next fault began."""
    opened = {name: word.body for name, word in heard.incidents(began).items() if word.at < end}
    own = [name for name, body in opened.items() if page.cause and body["cause"] == page.cause]
    others = sorted({f"{body['cause']} in {body['component']}" for name, body in opened.items() if name not in own})
    told = sum(heard.woken(name) if opened[name]["severity"] == "page" else 1 for name in own)
    return page._replace(told=told, others="; ".join(others) or "none")


def _watch(stack: Ours, folder: Path, market: Market, effort: Effort) -> None:
    settings, until = stack.settings, market.until.isoformat()
    asked = {"hours": market.hours, "until": until, "policy": effort.drift, "control_api": settings.control_url}
    run_watch(WatchOrder("contract", str(folder), **asked), settings.home)  # type: ignore[arg-type]


def _of_data(stack: Ours, market: Market, heard: Told, name: str, effort: Effort, say: Say) -> Page:
    say(f"a week with a {name}")
    cause, component = _DATA_FAULTS[name]
    _watch(stack, market.hurt[name], market, effort)
    return _page(heard, cause, component, say)


def _of_serving(heard: Told, fault: Fault, say: Say) -> Page:
    fault.prepare()
    say(f"a {fault.name}")
    began = time.monotonic()
    with fault.hurt():
        page = _page(heard, fault.cause, fault.component, say)
        if fault.name == _MENDED:
            page = page._replace(resolved_s=_resolved(heard, fault.cause, began, say))
    return page


def _resolved(heard: Told, cause: str, began: float, say: Say) -> float:
    """Seconds until the rollback that the policy asks for has ended the incident; NaN where it does not."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        mine = [name for name, word in heard.incidents(began).items() if word.body["cause"] == cause]
        if mine and mine[0] in heard.resolved():
            seconds = heard.resolved()[mine[0]] - began
            say(f"rolled back and resolved {seconds:.0f} s after the fault began")
            return seconds
        time.sleep(0.5)
    say("it was not resolved by itself")
    return float("nan")


def _page(heard: Told, cause: str, component: str, say: Say) -> Page:
    """Waits for the page of a fault that has just begun."""
    began = time.monotonic()

    def wanted(body: dict[str, Any]) -> bool:
        return body["cause"] == cause and component in ("", body["component"])

    word = heard.first(wanted, since=began, seconds=_PATIENCE_S)
    if word is None:
        say(f"no page; there were {[own.body['title'] for own in heard.incidents(began).values()]}")
        return Page("", "", float("nan"), "")
    body, seconds = word.body, word.at - began
    say(f"{body['severity']} after {seconds:.0f} s: {body['title']}")
    return Page(body["cause"], body["component"], seconds, body["severity"])


def _bars(pages: dict[str, Page], false: int) -> list[Bar]:
    named = sum(bool(page.cause) for page in pages.values())
    once = sum(page.told == 1 for page in pages.values())
    served = [page.seconds for name, page in pages.items() if name not in _DATA_FAULTS]
    return [
        Bar.at_least("faults paged with their cause and component", named, len(pages)),
        Bar.at_least("faults paged exactly once", once, len(pages)),
        Bar.at_most("seconds from a fault in service to its page, the slowest", max(served), _LIMIT_S),
        Bar.at_most("seconds from an error burst to its end, rolled back by the policy", pages[_MENDED].resolved_s, _RESOLVED_S),
        Bar.at_most("pages while nothing was wrong", false, 0),
    ]

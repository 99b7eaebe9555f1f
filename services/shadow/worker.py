"""Follows the impression spool, asks the other slot what was asked, and keeps what the comparison says."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import xxhash
from prometheus_client import Histogram

from monitoring.metrics import ShadowMetrics
from rankloop.errors import DataError, PartMissing
from services.events.records import ImpressionRecord, decode
from services.events.segments import Position, SpoolReader
from services.ranking import fallbacks
from services.ranking.interleave import PART
from services.ranking.schemas import Answer, RecommendRequest, SearchRequest
from services.settings import Settings
from services.shadow.comparing import Comparison, compared
from services.shadow.page import write_page
from services.shadow.record import Positions, Record, Shadow, furthest, path_of, read
from services.shadow.slots import Pair, Pairs

__all__ = ["Worker", "in_share"]

log = logging.getLogger(__name__)

FRESH: Final = 60.0
"""Seconds after which a request is too old to be asked again: what is known of the person has gone on."""

_SEED: Final = 3
_AT_ONCE: Final = 1 << 20
_ANSWER_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 5.0
_SAVE_SECONDS: Final = 5.0
_DRAW_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 0.5
_GIVEN: Final = "given"
_DEGRADED: Final = frozenset(
    {fallbacks.STATE_DOWN, fallbacks.RANKER_FAILED, fallbacks.RETRIEVERS_FAILED, fallbacks.NO_TIME_TO_RANK, fallbacks.NO_TIME}
)


def in_share(request_id: str, share: float) -> bool:
    """Whether a request is in the shadow's share: the same ones whoever asks, and more of them as the share grows.

    Example:
        >>> in_share("q1", 0.0), in_share("q1", 1.0)
        (False, True)
    """
    return xxhash.xxh32_intdigest(request_id.encode(), _SEED) < share * 2**32


class Worker:
    """The shadow of one machine.

    Args:
        settings: the share, how fast, how many examples.
        pairs: what there is to compare.
        metrics: where it is counted.
        clock: Unix time, seconds.
    """

    def __init__(
        self, settings: Settings, pairs: Pairs, metrics: ShadowMetrics, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._pairs, self._metrics, self._clock = settings, pairs, metrics, clock
        self.folder = settings.home / "shadow"
        self._reader = SpoolReader(settings.home / "spool" / "impressions")
        self._pair: Pair | None = None
        self._shadow: Shadow | None = None
        self._look_at = self._save_at = self._draw_at = self._turn = 0.0
        self._places = asyncio.Semaphore(settings.shadow_concurrency)

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until it is told to stop, and keeps what it has."""
        while not stopping.is_set():
            if not await self.step(stopping.is_set):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _IDLE_SECONDS)
        self.save()

    async def step(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Takes what is new in the spool, or a part of it; gives how many requests of the share there were."""
        if self._clock() >= self._look_at:
            await self._look()
        if self._pair is None or self._shadow is None:
            return 0
        pair, shadow, taken = self._pair, self._shadow, 0
        positions = shadow.record.positions = self._begin(shadow.record)
        reached, waiting = dict(positions), list[asyncio.Task[None]]()
        for writer, position, records in self._new(pair.stable, positions):
            waiting += [asyncio.create_task(self._take(record, pair, shadow)) for record in records]
            reached[writer] = position
            if len(waiting) >= self._settings.shadow_concurrency:
                await asyncio.gather(*waiting)
                taken, waiting = taken + len(waiting), []
                positions |= reached
                self._save_in_time()
                if stopping() or self._look_at == 0.0:
                    return taken
        await asyncio.gather(*waiting)
        positions |= reached
        self._save_in_time()
        return taken + len(waiting)

    def save(self, *, draw: bool = True) -> Path | None:
        """Writes the record, and its page; None where there is none."""
        self._save_at = self._clock() + _SAVE_SECONDS
        if self._shadow is None:
            return None
        file = self._shadow.write(self.folder)
        if draw:
            self._draw_at = self._clock() + _DRAW_SECONDS
            write_page(file)
        return file

    def _save_in_time(self) -> None:
        if self._clock() >= self._save_at:
            self.save(draw=self._clock() >= self._draw_at)

    async def _look(self) -> None:
        """A new pair of releases begins a new record, or goes on with its old one."""
        self._look_at = self._clock() + _LOOK_SECONDS
        pair = await self._pairs.now()
        if pair == self._pair:
            return
        self.save()
        self._pair, self._shadow = pair, None
        if pair is None:
            log.info("there are no two releases to compare; the shadow waits")
            return
        file = path_of(self.folder, pair.stable, pair.other)
        record = read(file) if file.exists() else Record(pair.stable, pair.other)
        record.positions = furthest(read(one).positions for one in self.folder.glob("*-vs-*.json"))
        self._shadow = Shadow(record, self._settings.shadow_keep_worst)
        log.info("the shadow compares release %s with %s in slot %s", pair.stable, pair.other, pair.slot)

    def _begin(self, record: Record) -> Positions:
        """Where to read on, by writer; segments that hold nothing fresh are passed over."""
        positions: Positions = {}
        for writer in self._reader.writers():
            at = Position(*record.positions.get(writer, (0, 0)))
            sealed = [number for number in self._reader.sealed(writer) if number >= at.segment]
            passed = next((n for n in reversed(sealed) if self._is_old(self._reader.path(writer, n))), None)
            positions[writer] = at if passed is None else Position(passed + 1, 0)
        return positions

    def _is_old(self, segment: Path) -> bool:
        try:
            return segment.stat().st_mtime < self._clock() - FRESH
        except FileNotFoundError:
            return True

    def _new(self, release_id: str, positions: Positions) -> Iterator[tuple[str, Position, list[ImpressionRecord]]]:
        """Frames that are new, with what is to be asked again: of the stable release's own lists those in the share."""
        share = self._settings.shadow_share
        for writer, at in list(positions.items()):
            for position, frame in self._reader.read(writer, Position(*at), limit_bytes=_AT_ONCE):
                own = (record for record in _impressions(frame) if record.release_id == release_id and record.teams is None)
                asked = (record for record in own if _GIVEN not in record.sources)
                yield writer, position, [record for record in asked if in_share(record.request_id, share)]

    async def _take(self, record: ImpressionRecord, pair: Pair, shadow: Shadow) -> None:
        async with self._places:
            await self._my_turn()
            outcome = self._passed_over(record) or await self._asked(record, pair, shadow)
        if outcome:
            shadow.count(outcome)
            self._metrics.requests.labels(outcome).inc()

    async def _my_turn(self) -> None:
        now = time.monotonic()
        self._turn = max(self._turn + 1 / self._settings.shadow_rate, now)
        await asyncio.sleep(self._turn - now)

    def _passed_over(self, record: ImpressionRecord) -> str | None:
        if record.ts < 1e6 * (self._clock() - FRESH):
            return "old"
        return "degraded" if _DEGRADED.intersection((record.fallback or "").split("; ")) else None

    async def _asked(self, record: ImpressionRecord, pair: Pair, shadow: Shadow) -> str | None:
        """Asks and compares; None where the slot holds another release by now, and there is nothing to count."""
        path, body = _as_request(record)
        headers = {PART: "1", "X-Request-Id": record.request_id}
        if self._settings.token:
            headers["Authorization"] = f"Bearer {self._settings.token}"
        began = time.perf_counter()
        try:
            pending = await self._pairs.client(pair.slot).ask(path, body, headers, seconds=_ANSWER_SECONDS)
            reply = await pending.reply(_ANSWER_SECONDS)
            seconds = time.perf_counter() - began
            answer = msgspec.json.decode(reply.body, type=Answer) if reply.status == 200 else None
        except (PartMissing, msgspec.DecodeError) as error:
            log.debug("request %s: %s", record.request_id, error)
            return "late" if isinstance(error.__cause__, TimeoutError) else "failed"
        if answer is None:
            self._look_at = 0.0
            return "failed"
        if answer.release_id != pair.other:
            self._look_at = 0.0
            return None
        try:
            self._add(compared(record, answer), record, answer, shadow, seconds)
        except (DataError, ValueError) as error:  # a list that holds an item twice, or does not fit together
            log.warning("request %s cannot be compared: %s", record.request_id, error)
            return "failed"
        return "compared"

    def _add(self, one: Comparison, record: ImpressionRecord, answer: Answer, shadow: Shadow, seconds: float) -> None:
        metrics, shown_seconds = self._metrics, record.micros / 1e6
        shadow.add(one, now=round(self._clock() * 1e6), shown_seconds=shown_seconds, other_seconds=seconds)
        shadow.fell_back("shown", record.fallback)
        shadow.fell_back("other", answer.fallback)
        for cut, name in (("5", "overlap@5"), ("10", "overlap@10"), ("all", "overlap")):
            _observe(metrics.overlap.labels(cut), one.values[name])
        _observe(metrics.rbo, one.values["rbo"])
        _observe(metrics.shift, one.values["score_shift"])
        metrics.latency.labels("stable").observe(shown_seconds)
        metrics.latency.labels("other").observe(seconds)


def _impressions(frame: bytes) -> list[ImpressionRecord]:
    try:
        return [record for record in decode(frame) if isinstance(record, ImpressionRecord)]
    except msgspec.DecodeError as error:
        log.warning("a frame of another version is passed over: %s", error)
        return []


def _as_request(record: ImpressionRecord) -> tuple[str, bytes]:
    """What was asked, as far as the impression says: as many items as were shown."""
    k = len(record.items) or 10
    if record.query is not None:
        return "/v1/search", msgspec.json.encode(SearchRequest(record.query, record.user_id or None, k, record.surface))
    return "/v1/recommend", msgspec.json.encode(RecommendRequest(record.user_id, k, record.surface))


def _observe(histogram: Histogram, value: float) -> None:
    if value == value:  # NaN: nothing to say
        histogram.observe(value)

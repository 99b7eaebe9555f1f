"""Real requests to try a release with: those that were logged lately, else ones made from the release itself."""

import logging
import random
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from rankloop.contracts import SURFACES, Columns
from rankloop.errors import DataError, SourceError
from services.control.drivers.warming import Asked
from services.events.records import ImpressionRecord, decode
from services.events.segments import Position, SpoolReader
from services.ranking.schemas import RecommendRequest, SearchRequest
from services.settings import Settings

__all__ = ["sample_requests"]

log = logging.getLogger(__name__)

_GIVEN: Final = "given"
"""Where items came from that the request named; what else it said is not in the log."""

_BYTES: Final = 16 << 20
_POOL: Final = 10
"""The sample is drawn from so many times as many."""

_FILES: Final = 8
_K: Final = 10


def sample_requests(settings: Settings, count: int, rng: int | random.Random, *, bento: str | None = None) -> list[Asked]:
    """Requests like those people make.

    They are drawn from what was logged lately: the impressions that wait in the spool and, where those are too few, the
    newest hours of the log. Where fewer than `count` were logged, the rest is made from a release's own people and titles.

    Args:
        settings: where the spool and the log are, and the limits of a request.
        count: how many.
        rng: a seed or a generator.
        bento: whose people and titles requests may be made from, as a folder or a tag; None: none are made.

    Returns:
        At most `count` requests, none of the logged ones twice.

    Raises:
        BundleError: there is no such Bento.
        DataError: `count` is below 1.
    """
    if count < 1:
        raise DataError(f"{count} requests are asked for; ask for 1 or more")
    chance = rng if isinstance(rng, random.Random) else random.Random(rng)
    logged = chain(_spooled(settings.home / "spool" / "impressions"), _logged(settings))
    asked = (one for one in logged if _fits(one, settings))
    found = list(dict(islice(_keyed(asked), _POOL * count)).values())
    drawn = chance.sample(found, min(count, len(found)))
    if len(drawn) < count and bento is not None:
        drawn += _made(settings, bento, count - len(drawn), chance)
    return drawn


def _keyed(requests: Iterable[Asked]) -> Iterator[tuple[bytes, Asked]]:
    """Each request once, by what it says."""
    seen = set[bytes]()
    for one in requests:
        key = type(one).__name__.encode() + msgspec.json.encode(one)
        if key not in seen:
            seen.add(key)
            yield key, one


def _fits(asked: Asked, settings: Settings) -> bool:
    """Whether the service would take it today."""
    if asked.k > settings.max_k:
        return False
    if isinstance(asked, SearchRequest):
        return bool(asked.query.strip()) and len(asked.query) <= settings.max_query_chars
    return bool(asked.user_id)


def _spooled(folder: Path) -> Iterator[Asked]:
    """What the spool's impressions were asked, those of the newest segments first."""
    reader = SpoolReader(folder)
    segments = sorted(
        ((number, writer) for writer in reader.writers() for number in reader.segments(writer)),
        key=lambda own: _changed(reader.path(own[1], own[0])),
        reverse=True,
    )
    for number, writer in segments:
        for position, frame in reader.read(writer, Position(number, 0), limit_bytes=_BYTES):
            if position.segment != number:
                break
            yield from _in_frame(frame)


def _changed(segment: Path) -> int:
    try:
        return segment.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _in_frame(frame: bytes) -> Iterator[Asked]:
    try:
        records = decode(frame)
    except msgspec.DecodeError as error:
        log.warning("a frame of another version is passed over: %s", error)
        return
    for one in records:
        if isinstance(one, ImpressionRecord) and _GIVEN not in one.sources:
            yield _request(one.user_id, one.query, one.surface, len(one.items))


def _logged(settings: Settings) -> Iterator[Asked]:
    """What the log's impressions were asked, newest hours first."""
    import polars as pl  # the rollback, which shares this package, need not wait for it

    from rankloop.sources.log_layout import SUFFIX
    from rankloop.sources.places import listed, scan_files

    for address in settings.log_places:
        try:
            system, files = listed(f"{address.rstrip('/')}/impressions/*/*/*{SUFFIX}")
            for file in reversed(files[-_FILES:]):
                rows = scan_files(system, [file]).filter(pl.col(Columns.SOURCE) != _GIVEN)
                by = (Columns.REQUEST_ID, Columns.USER_ID, Columns.QUERY, Columns.SURFACE)
                lists = rows.group_by(by, maintain_order=True).len().collect()
                for _, user_id, query, surface, items in lists.iter_rows():
                    yield _request(user_id, query, surface, items)
        except (SourceError, OSError, pl.exceptions.PolarsError) as error:
            log.warning("requests of the log at %s cannot be read: %s", address, error)


def _request(user_id: str, query: str | None, surface: str, items: int) -> Asked:
    """What was asked, as far as the impression says: as many items as were shown."""
    k = items or _K
    return RecommendRequest(user_id, k, surface) if query is None else SearchRequest(query, user_id or None, k, surface)


def _made(settings: Settings, bento: str, count: int, chance: random.Random) -> list[Asked]:
    """Requests of people the release knows, and searches for its titles, in turn."""
    import polars as pl

    from rankloop.bundle.manifest import Manifest
    from services.ranking.opening import BUNDLE, sources_of

    bundle = sources_of(bento, settings) / BUNDLE
    users = pl.read_parquet(bundle / "users.parquet", columns=[Columns.USER_ID])[Columns.USER_ID]
    titles = pl.read_parquet(bundle / "items.parquet", columns=[Columns.TITLE])[Columns.TITLE]
    surfaces, k = Manifest.read(bundle).surfaces, min(_K, settings.max_k)
    feed = next((own for own in surfaces if not own.endswith("search")), SURFACES[0])
    search = next((own for own in surfaces if own.endswith("search")), "job_search")
    made: list[Asked] = []
    for number in range(count):
        user = users[chance.randrange(len(users))] if len(users) else None
        text = titles[chance.randrange(len(titles))] if len(titles) else None
        if text and (number % 2 or user is None):
            made.append(SearchRequest(text[: settings.max_query_chars], user, k, search))
        elif user:
            made.append(RecommendRequest(user, k, feed))
    return made

"""A window of time held against a release's reference: the whole of the step `watch_drift`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import polars as pl

from rankloop.bundle import Bundle, transplant
from rankloop.bundle.reference import Reference
from rankloop.contracts import Columns, Tables
from rankloop.drift import DriftPolicy, Profile, profile
from rankloop.drift.performance import Period, estimated
from rankloop.drift.report import ColumnDrift, Performance
from rankloop.drift.slices import count_slices, drifted_slices
from rankloop.files import write_aside
from rankloop.sources import event_log
from rankloop.vocabulary import Vocabulary
from rankloop.watch.judging import judged
from rankloop.watch.lists import logged_lists, shown_lists
from rankloop.watch.making import REQUESTS
from rankloop.watch.relations import LISTS, SHOWN, UNITS, charted, raw_rows
from rankloop.watch.sampling import stratified
from rankloop.watch.slicing import labels_of
from rankloop.watch.vectors import VECTORS, encoder_of, vectors_of

__all__ = ["Asked", "Compared", "compare_window"]

Say = Callable[[str], None]
_WEEK: Final = timedelta(days=7)
_PARTS: Final = 8
_LEARNED: Final = timedelta(days=14)
_BY_SURFACE: Final = (LISTS, SHOWN, "requests", VECTORS["requests"])
_RECORD: Final = "compared.json"


class Asked(NamedTuple):
    """Which rows are looked at.

    Attributes:
        surface: whose lists.
        until: the window's end, itself outside.
        hours: its length.
        source: the adapter's name; of an `event_log` the log itself is read, for what the contract has no columns for.
        path: what it reads.
        mapping: the mapping file; empty for a source without one.
    """

    surface: str
    until: datetime
    hours: float
    source: str = ""
    path: str = ""
    mapping: str = ""

    @property
    def since(self) -> datetime:
        """The window's first moment."""
        return self.until - timedelta(hours=self.hours)


class Part(msgspec.Struct, frozen=True):
    """An hour or a day of the window, held against the reference.

    Attributes:
        at: its beginning.
        columns: those of relations in which something changed.
    """

    at: datetime
    columns: tuple[ColumnDrift, ...]


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    surface: str
    release_id: str
    since: datetime
    until: datetime
    reference_from: datetime | None = None
    reference_until: datetime | None = None
    rows: dict[str, int] = {}
    reference_rows: dict[str, int] = {}
    columns: tuple[ColumnDrift, ...] = ()
    parts: tuple[Part, ...] = ()
    slices: dict[str, tuple[ColumnDrift, ...]] = {}
    estimates: tuple[Performance, ...] = ()


@dataclass(frozen=True)
class Compared:
    """What a comparison found, with the samples it is drawn by.

    Attributes:
        record: what was compared, and every column's drift; without a reference no column.
        reference: a sample of the reference, relations side by side, the shorter ones ended by nulls.
        window: a sample of the window, likewise.
    """

    record: _Record
    reference: pl.DataFrame
    window: pl.DataFrame

    def write(self, folder: Path) -> None:
        """Writes into a folder, made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(folder / _RECORD, msgspec.json.encode(self.record).decode())
        self.reference.write_parquet(folder / "reference.parquet")
        self.window.write_parquet(folder / "window.parquet")

    @classmethod
    def read(cls, folder: Path) -> "Compared":
        """Reads what `write` wrote."""
        record = msgspec.json.decode((folder / _RECORD).read_bytes(), type=_Record)
        return cls(record, *(pl.read_parquet(folder / f"{name}.parquet") for name in ("reference", "window")))


def compare_window(tables: Tables, bundle: Path, asked: Asked, policy: DriftPolicy, say: Say) -> Compared:
    """Compares every relation's rows of the window with the release's reference, and with the same weekday before.

    Lists are those that the release itself showed, by the log. Where nobody logs features, they are computed for a sample of what
    people were shown, as they were for the reference.

    Args:
        tables: the contract tables, the window's rows among them.
        bundle: the release's folder.
        asked: which window.
        policy: how large a difference is one that matters.
        say: takes one line of progress.

    Raises:
        BundleError: the bundle or its reference cannot be read.
        SourceError: the log cannot be read.
    """
    release = Bundle.open(bundle)
    reference = Reference.read(bundle)
    facts: dict[str, Any] = {"surface": asked.surface, "release_id": release.manifest.release_id}
    facts |= {"since": asked.since, "until": asked.until}
    if reference is None:
        say(f"{release.manifest.release_id} carries no reference; releases that are packed from now on do")
        return Compared(_Record(**facts), pl.DataFrame(), pl.DataFrame())
    watch = _Watch(tables, release, reference, asked, policy, say)
    columns = tuple(watch.columns())
    rows = {name: frame.height for name, frame in watch.now.items()}
    facts |= {"reference_from": reference.since, "reference_until": reference.until, "rows": rows, "columns": columns}
    facts["reference_rows"] = {name: own.rows for name, own in watch.profiles.items()}
    record = _Record(**facts, parts=tuple(watch.parts(columns)), slices=watch.slices(columns), estimates=watch.estimates())
    samples = [reference.samples[watch.name(name)] for name in watch.profiles]
    shown = [charted(name, stratified(watch.now[name])) for name in watch.profiles]
    return Compared(record, _side_by_side(samples), _side_by_side(shown))


@dataclass(frozen=True)
class _Watch:
    """One window, with what it is held against."""

    tables: Tables
    release: Bundle
    reference: Reference
    asked: Asked
    policy: DriftPolicy
    say: Say

    @cached_property
    def profiles(self) -> Mapping[str, Profile]:
        """The reference by relation, as far as it has the surface."""
        names = {name: self.name(name) for name in ("items", "users", "outcomes", "requests", *VECTORS.values(), self.kind)}
        return {name: self.reference.profiles[own] for name, own in names.items() if own in self.reference.profiles}

    @cached_property
    def now(self) -> Mapping[str, pl.DataFrame]:
        """The window's rows, with the vectors of its texts."""
        rows = self.rows(self.asked.since, self.asked.until)
        return rows | vectors_of(rows, encoder_of(self.release.parts.retrievers.values(), self.reference.words))

    def name(self, relation: str) -> str:
        """What the reference calls a relation."""
        return f"{relation}-{self.asked.surface}" if relation in _BY_SURFACE else relation

    def rows(self, since: datetime, until: datetime) -> dict[str, pl.DataFrame]:
        """By relation, those of `[since, until)`."""
        found = raw_rows(self.tables, self.asked.surface, since, until) | {self.kind: self.lists(since, until)}
        self.say(f"{since:%Y-%m-%d %H:%M} on: " + ", ".join(f"{frame.height:,} {name}" for name, frame in found.items()))
        return found

    def lists(self, since: datetime, until: datetime) -> pl.DataFrame:
        """The lists with their features, by the log or computed again."""
        manifest, surface = self.release.manifest, self.asked.surface
        if self.kind == LISTS:
            shown = self.shown(since, until).filter(pl.col(Columns.SURFACE) == surface)
            return logged_lists(shown, manifest.features, manifest.release_id)
        sample: dict[str, Any] = {"most": REQUESTS, "rng": np.random.default_rng(23)}
        return shown_lists(self.again, self.tables, surface, since, until, **sample)

    @cached_property
    def kind(self) -> str:
        """Whether somebody logs features: `lists`, or `shown`."""
        own = self.shown(self.asked.since, self.asked.until)[Columns.FEATURES]
        return LISTS if (own.list.len().fill_null(0) > 0).any() else SHOWN

    def shown(self, since: datetime, until: datetime) -> pl.DataFrame:
        """The impressions, from the log itself where there is one."""
        asked = self.asked
        if asked.source == "event_log":
            log = event_log.load(asked.mapping, asked.path)
            return event_log.read_log(log.log, since=since, until=until, key=log.key, whole=True)[0]
        inside = (pl.col(Columns.TS) >= since) & (pl.col(Columns.TS) < until)
        return self.tables.impressions.filter(inside)

    @cached_property
    def again(self) -> Any:
        """The release's models on the tables as they are now."""
        open_since = pl.col(Columns.CLOSED_AT).is_null() | (pl.col(Columns.CLOSED_AT) > self.asked.since - _WEEK)
        catalogue = Vocabulary(self.tables.items.filter(open_since)[Columns.ITEM_ID].sort())
        return transplant(self.release, self.tables, catalogue)

    def columns(self) -> Iterator[ColumnDrift]:
        """Every column's drift."""
        before = self.rows(self.asked.since - _WEEK, self.asked.until - _WEEK)
        for name, reference in self.profiles.items():
            now = _counted(self.now[name], name, reference)
            then = _counted(before[name], name, reference) if name in before else None
            expected = self.reference.expected(self.name(name), self.asked.hours)
            usual = self.reference.usual.get(self.name(name), {})
            yield from judged(reference, now, then, expected, usual, self.policy)

    def estimates(self) -> tuple[Performance, ...]:
        """What the window's lists should achieve by their scores, against those before it; only a log has scores."""
        asked, release_id = self.asked, self.release.manifest.release_id
        then = Period(asked.since - _LEARNED, asked.since)
        if asked.source != "event_log":
            return ()
        own = (pl.col(Columns.RELEASE_ID) == release_id) & (pl.col(Columns.SURFACE) == asked.surface)
        shown = self.shown(then.since, asked.until).filter(own)
        return estimated(shown, self.tables.outcomes, reference=then, window=Period(asked.since, asked.until))

    def touched(self, columns: tuple[ColumnDrift, ...]) -> list[str]:
        """The relations in which something changed."""
        changed = {own.name for own in columns if own.verdict in ("broken", "drifted")}
        return [name for name, own in self.profiles.items() if changed & {one.column.name for one in own.bins.columns}]

    def slices(self, columns: tuple[ColumnDrift, ...]) -> dict[str, tuple[ColumnDrift, ...]]:
        """The same slices as the reference has, of the relations in which something changed."""
        found: dict[str, tuple[ColumnDrift, ...]] = {}
        for name in self.touched(columns):
            then, bins, rows = self.reference.slices.get(self.name(name), {}), self.profiles[name].bins, self.now[name]
            now = count_slices(rows, labels_of(rows, self.tables), bins, unit=UNITS.get(name), names=list(then))
            for own, judged_columns in drifted_slices(then, now, bins, self.policy).items():
                found[own] = (*found.get(own, ()), *judged_columns)
        return found

    def parts(self, columns: tuple[ColumnDrift, ...]) -> Iterator[Part]:
        """The window in hours, or days, of the relations in which something changed: since when."""
        touched = self.touched(columns)
        step = timedelta(hours=max(1.0, round(self.asked.hours / _PARTS)))
        at = self.asked.since
        while touched and at < self.asked.until:
            found: list[ColumnDrift] = []
            for name in touched:
                inside = (pl.col(Columns.TS) >= at) & (pl.col(Columns.TS) < at + step)
                own = _counted(self.now[name].filter(inside), name, self.profiles[name])
                found += judged(self.profiles[name], own, None, None, self.reference.usual.get(self.name(name), {}), self.policy)
            yield Part(at, tuple(found))
            at += step


def _counted(rows: pl.DataFrame, name: str, reference: Profile) -> Profile:
    return profile(rows, bins=reference.bins, unit=UNITS.get(name) if rows.height else None)


def _side_by_side(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames of different lengths as one."""
    return pl.concat(frames, how="horizontal_extend") if frames else pl.DataFrame()

"""A marketplace watched day by day: silence while nothing is wrong, and each fault of the data by its name and place.

Reference: three weeks of a simulated marketplace. Then at the end of every day the last seven are held against it, and against
the seven before, by the library alone: rows of items, users and outcomes, what was asked, and what the lists were ranked by.
Seven, because a day of so small a marketplace has too few people to be judged. Columns count alike, as no ranker is trained here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.result import Bar
from rankloop.contracts import Columns, Tables
from rankloop.drift import Cause, DriftPolicy, Profile, compare, profile
from rankloop.drift.causes import Context, causes
from rankloop.drift.lineage import lineage
from rankloop.drift.performance import Period, measured
from rankloop.drift.report import ColumnDrift
from rankloop.features import Assembler, FeatureStore, compute, load_views
from rankloop.simulation import CategoryVanishes, GoesNull, Marketplace, Scale, TastesShift, UnitChange
from rankloop.simulation.faults import Fault
from rankloop.vocabulary import Vocabulary
from rankloop.watch.lists import requests_of
from rankloop.watch.relations import LISTS, UNITS, columns_of, raw_rows

__all__ = ["run"]

_SURFACE: Final = "job_feed"
_SEED: Final = 11
_BEFORE, _REFERENCE = 14, 21
_AFTER: Final = 7
"""Days in which a fault must have been found."""

_WINDOW: Final = 7
_REQUESTS: Final = 2_000
_DAY: Final = timedelta(days=1)
_PARTS: Final = DriftPolicy(min_rows=100)
"""A day has fewer rows than the window, and says only since when, and what kind of fault it is."""

_LARGE: Final = Scale(
    users=2_500, users_per_day=40, items=3_000, items_per_day=260, clients=900, days=65, impressions=650_000, list_length=10
)
_QUICK: Final = Scale(
    users=1_200, users_per_day=30, items=1_500, items_per_day=160, clients=500, days=44, impressions=250_000, list_length=10
)


def run(quick: bool) -> tuple[dict[str, Any], list[Bar]]:
    """Figures and bars: days of silence, then each fault in a marketplace of its own."""
    scale = _QUICK if quick else _LARGE
    first = _BEFORE + _REFERENCE
    begins = first + 2
    faults: Mapping[str, tuple[Fault, tuple[str, str]]] = {
        "budgets in cents": (UnitChange(begins), ("unit-change", "items.budget")),
        "skills not written": (GoesNull(begins), ("nulls", "items.skills")),
        "a category vanishes": (CategoryVanishes(begins, _commonest(scale)), ("vanished-category", "items.category")),
        "tastes shift": (TastesShift(begins), ("taste-shift", "outcomes")),
    }
    false = {_key(cause) for _, found in _watched(scale, (), range(first, scale.days)) for cause in found}
    figures: dict[str, dict[str, Any]] = {"no fault": {"days": scale.days - first, "causes": _listed(false)}}
    wrong = 0
    for name, (fault, right) in faults.items():
        days = list(_watched(scale, (fault,), range(begins, min(begins + _AFTER, scale.days), 2)))
        seen = {_key(cause) for _, found in days for cause in found}
        when = next((day - begins + 1 for day, found in days if right in map(_key, found)), None)
        wrong += seen != {right}
        figures[name] = {"days": when, "causes": _listed(seen)}
    return {"stream": figures}, [
        Bar.at_most(f"stream: false causes in {scale.days - first} stable days", len(false), 1),
        Bar.at_most("stream: of 4 faults, those not found once with the right component", wrong, 0),
    ]


def _listed(keys: Iterable[tuple[str, str]]) -> str:
    return ", ".join(sorted(f"{cause} of {component}" for cause, component in keys)) or "none"


def _key(cause: Cause) -> tuple[str, str]:
    return cause.cause, cause.component


def _commonest(scale: Scale) -> str:
    names = Marketplace(scale, rng=_SEED).history().items[Columns.CATEGORY].value_counts(sort=True)
    return str(names[Columns.CATEGORY][0])


def _watched(scale: Scale, faults: Sequence[Fault], days: range) -> Iterator[tuple[int, tuple[Cause, ...]]]:
    """Each day's causes."""
    watch = _Watch.of(Marketplace(scale, rng=_SEED, faults=faults).history(), scale)
    for day in days:
        yield day, watch.causes(day)


@dataclass(frozen=True)
class _Watch:
    """A marketplace's log, and what its first weeks looked like."""

    tables: Tables
    scale: Scale
    assembler: Assembler
    reference: Mapping[str, Profile]
    seen: dict[int, list[ColumnDrift]] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Tables, scale: Scale) -> "_Watch":
        views = load_views()
        store = FeatureStore(views, compute(views, tables))
        assembler = Assembler(store, tables.items, tables.users, Vocabulary(tables.items[Columns.ITEM_ID]), [])
        empty = cls(tables, scale, assembler, {})
        rows = empty.rows(_BEFORE, _BEFORE + _REFERENCE)
        made = {
            name: profile(frame, columns_of(name, frame, assembler.names), unit=UNITS.get(name)) for name, frame in rows.items()
        }
        return cls(tables, scale, assembler, made)

    def rows(self, first: int, end: int) -> dict[str, pl.DataFrame]:
        """The relations from one day to another."""
        since, until = (self.scale.start + day * _DAY for day in (first, end))
        return raw_rows(self.tables, _SURFACE, since, until) | {LISTS: self.lists(Period(since, until))}

    def lists(self, period: Period) -> pl.DataFrame:
        """What the lists shown were ranked by, of a sample of requests."""
        asked = requests_of(self.tables, _SURFACE, *period, most=_REQUESTS, rng=np.random.default_rng(_SEED))
        wanted = pl.DataFrame({Columns.USER_ID: [one.user_id for one in asked], Columns.TS: [one.ts for one in asked]})
        keys = [Columns.USER_ID, Columns.TS]
        shown = self.tables.impressions.filter(pl.col(Columns.SURFACE) == _SURFACE)
        shown = shown.join(wanted.with_columns(pl.col(Columns.TS).cast(shown.schema[Columns.TS])), on=keys, how="semi")
        items = shown.group_by(keys).agg(Columns.ITEM_ID)
        of = {(user, ts): own for user, ts, own in items.iter_rows()}
        codes = [self.assembler.catalogue.encode(of[one.user_id, one.ts]) for one in asked]
        values = self.assembler.assemble(asked, codes)
        who = [one.user_id for one, own in zip(asked, codes, strict=True) for _ in own]
        frame = pl.DataFrame({name: values[:, place] for place, name in enumerate(self.assembler.names)})
        return frame.with_columns(pl.all().fill_nan(None)).with_columns(pl.Series(Columns.USER_ID, who))

    def causes(self, day: int) -> tuple[Cause, ...]:
        """What explains the day's columns."""
        columns = self.columns(day)
        start = self.scale.start
        shown = self.tables.impressions.filter(pl.col(Columns.SURFACE) == _SURFACE)
        now = start + (day + 1) * _DAY
        reference = Period(start + _BEFORE * _DAY, start + (_BEFORE + _REFERENCE) * _DAY)
        known = self.tables.outcomes.filter(pl.col(Columns.TS) < now)
        found = measured(shown, known, reference=reference, window=Period(start + (day + 1 - _WINDOW) * _DAY, now), now=now)
        return causes(columns, Context(lineage=lineage(self.assembler.store.views), performance=found, parts=self.parts(day)))

    def columns(self, day: int) -> list[ColumnDrift]:
        """Every relation's columns in the days that end with one."""
        now, before = self.rows(day + 1 - _WINDOW, day + 1), self.rows(day + 1 - 2 * _WINDOW, day + 1 - _WINDOW)
        found: list[ColumnDrift] = []
        for name, reference in self.reference.items():
            one, two = (profile(rows[name], bins=reference.bins, unit=UNITS.get(name)) for rows in (now, before))
            found += compare(reference, one, DriftPolicy(), before=two).columns
        return found

    def parts(self, day: int) -> list[tuple[datetime, list[ColumnDrift]]]:
        """The days of the window, raw columns only."""
        return [(self.scale.start + own * _DAY, self.part(own)) for own in range(day + 1 - _WINDOW, day + 1)]

    def part(self, day: int) -> list[ColumnDrift]:
        """One day's raw columns."""
        if day not in self.seen:
            since = self.scale.start + day * _DAY
            rows = raw_rows(self.tables, _SURFACE, since, since + _DAY)
            kept = {name: profile(rows[name], bins=self.reference[name].bins, unit=UNITS.get(name)) for name in rows}
            self.seen[day] = [one for name in kept for one in compare(self.reference[name], kept[name], _PARTS).columns]
        return self.seen[day]

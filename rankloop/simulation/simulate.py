"""The days of the marketplace, one after the other."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.simulation.arrays import Floats, Ints, concatenate, take
from rankloop.simulation.build import Drawn
from rankloop.simulation.clicks import KIND_NAMES, Events, draw_events, examination
from rankloop.simulation.lexical import Overlap
from rankloop.simulation.logging_policy import closeness_points, found_points, fresh_points, popular_points, rank
from rankloop.simulation.requests import Demands, draw_demands
from rankloop.simulation.scale import DAY, Scale
from rankloop.simulation.streams import Streams
from rankloop.simulation.tastes import chances, drivers
from rankloop.simulation.vocabulary import lexicon
from rankloop.simulation.world import World

__all__ = ["Impressions", "Log", "Outcomes", "simulate"]

_CLICK, _SAVE, _APPLY, _INTERVIEW, _HIRE, _DISMISS = range(len(KIND_NAMES))


class Impressions(NamedTuple):
    """What was shown: rows of the world, `(n,)` each, in order of time and position."""

    request: Ints
    ts: Ints
    user: Ints
    query: Ints
    item: Ints
    position: Ints
    propensity: Floats


class Outcomes(NamedTuple):
    """What was done: rows of the world, `(n,)` each."""

    ts: Ints
    user: Ints
    item: Ints
    request: Ints
    kind: Ints
    value: Floats


class Log(NamedTuple):
    """The whole history, and the world at its end (with the jobs that closed)."""

    world: World
    impressions: Impressions
    outcomes: Outcomes


_EMPTY = np.zeros(0, np.int64)
_NOTHING = Outcomes(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, np.zeros(0, np.float32))


def simulate(drawn: Drawn, scale: Scale, streams: Streams, progress: Callable[[int, int], None] | None = None) -> Log:
    """Runs every day; `progress(done, days)` is called after each."""
    days = _Days(drawn, scale, streams)
    for day, requests in enumerate(scale.requests_by_day().tolist()):
        days.run(day, requests)
        if progress is not None:
            progress(day + 1, scale.days)
    return days.log()


class _Days:
    """What one day leaves to the next: closed jobs, counted clicks, applications on their way."""

    def __init__(self, drawn: Drawn, scale: Scale, streams: Streams) -> None:
        self.world, self.scale, self.streams = drawn.world, scale, streams
        jobs, skills = self.world.jobs, lexicon().skills
        named = [" ".join(skills[s] for s in row if s >= 0) for row in jobs.skills.tolist()]
        texts = [f"{title} {asked}" for title, asked in zip(drawn.texts.titles, named, strict=True)]
        self.overlap = Overlap(self.world.queries.text.tolist(), texts)
        self.closeness = closeness_points()
        self.recent_clicks = np.zeros(len(jobs.created), np.float32)
        self.openings = jobs.openings.copy()
        self.applied = _NOTHING
        self.shown: list[Impressions] = []
        self.done: list[Outcomes] = []
        self.coming = _NOTHING  # hires on their way
        self.requests = 0

    def run(self, day: int, requests: int) -> None:
        midnight = self.scale.start_us + day * DAY
        self._close(midnight)
        demands = draw_demands(self.world, day, requests, self.streams.at("requests", day + 1))
        columns = np.flatnonzero((self.world.jobs.created < midnight + DAY) & (self.world.closed > midnight))
        points = self._points(demands, columns, midnight)
        shown = rank(points, self.scale.list_length, self.streams.at("policy", day + 1))
        seen = self._impressions(demands, columns[shown.column], shown.propensity, shown.column >= 0)
        self._respond(seen, day)
        self.requests += requests

    def log(self) -> Log:
        """Joins the days; what had not happened by the end of history is left out."""
        done = concatenate(self.done)
        closed = self.world.closed[done.item]
        on_time = (done.ts <= closed) | (done.kind == _CLICK) | (done.kind == _DISMISS)
        done = take(done, on_time & (done.ts < self.scale.end_us))
        order = np.lexsort((done.kind, done.item, done.request, done.ts))
        return Log(self.world, concatenate(self.shown), take(done, order))

    def _points(self, demands: Demands, columns: Ints, midnight: int) -> npt.NDArray[np.int8]:
        """Points of every request and job, -1 where the job is not open yet, closed, or already applied for."""
        jobs, people = self.world.jobs, self.world.people
        age = ((midnight - jobs.created[columns]) / DAY).astype(np.float32)
        static = fresh_points(age) + popular_points(self.recent_clicks[columns])
        points = np.empty((len(demands.user), len(columns)), np.int8)
        feed, search = np.flatnonzero(demands.query < 0), np.flatnonzero(demands.query >= 0)
        near = self.closeness[people.category[demands.user[feed]]][:, jobs.category[columns]]
        listed = self.world.listed[demands.user[feed]]  # (feed requests, skills + 1)
        points[feed] = near + static + listed[:, jobs.skills[columns, 0]]
        texts, which = np.unique(demands.query[search], return_inverse=True)
        points[search] = found_points(self.overlap.share(texts, columns))[which] + static
        moving = np.flatnonzero((jobs.created[columns] >= midnight) | (self.world.closed[columns] < midnight + DAY))
        opened, closes = jobs.created[columns[moving]], self.world.closed[columns[moving]]
        there = (opened < demands.ts[:, None]) & (demands.ts[:, None] < closes)
        points[:, moving] = np.where(there, points[:, moving], -1)
        self._hide_applied(points, demands.user, columns, midnight)
        return points

    def _hide_applied(self, points: npt.NDArray[np.int8], user: Ints, columns: Ints, midnight: int) -> None:
        """Sets -1 where the person had applied for the job before `midnight`."""
        place = np.full(len(self.world.jobs.created), -1, np.int64)
        place[columns] = np.arange(len(columns))
        known = (self.applied.ts < midnight) & (place[self.applied.item] >= 0)
        who, column = self.applied.user[known], place[self.applied.item[known]]
        order = np.argsort(who, kind="stable")
        who, column = who[order], column[order]
        first, last = np.searchsorted(who, user), np.searchsorted(who, user, side="right")
        counts = last - first
        rows = np.repeat(np.arange(len(user)), counts)
        offsets = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        points[rows, column[np.repeat(first, counts) + offsets]] = -1

    def _impressions(self, demands: Demands, items: Ints, propensity: Floats, shown: npt.NDArray[np.bool_]) -> Impressions:
        row, place = np.nonzero(shown)
        return Impressions(
            request=self.requests + row,
            ts=demands.ts[row],
            user=demands.user[row],
            query=demands.query[row],
            item=items[row, place],
            position=place + 1,
            propensity=propensity[row, place],
        )

    def _respond(self, seen: Impressions, day: int) -> None:
        searched = seen.query >= 0
        given = chances(drivers(self.world, seen.user, seen.item, seen.query, seen.ts), searched)
        feed, search = (examination(surface, self.scale.list_length) for surface in ("job_feed", "job_search"))
        examined = np.where(searched, search[seen.position - 1], feed[seen.position - 1])
        events = draw_events(given, examined, seen.position, seen.ts, self.streams.at("clicks", day + 1))
        events = self._once(events, seen)
        row = events.row
        clicks = np.bincount(seen.item[row[events.kind == _CLICK]], minlength=len(self.recent_clicks))
        self.recent_clicks = self.recent_clicks * np.float32(0.8) + clicks.astype(np.float32)
        self.shown.append(seen)
        done = Outcomes(events.ts, seen.user[row], seen.item[row], seen.request[row], events.kind, events.value)
        self.coming = concatenate([self.coming, take(done, done.kind == _HIRE)])
        self.applied = concatenate([self.applied, take(done, done.kind == _APPLY)])
        self.done.append(done)

    def _once(self, events: Events, seen: Impressions) -> Events:
        """Leaves out a second application for the same job, and what would have followed it."""
        jobs = len(self.world.jobs.created)
        pair = seen.user * jobs + seen.item
        rows = np.sort(events.row[events.kind == _APPLY])
        rows = rows[~np.isin(pair[rows], self.applied.user * jobs + self.applied.item)]
        _, first = np.unique(pair[rows], return_index=True)
        late = np.isin(events.kind, (_APPLY, _INTERVIEW, _HIRE))
        return take(events, ~late | np.isin(events.row, rows[first]))

    def _close(self, midnight: int) -> None:
        """Lets the hires of the coming day happen; the hire that fills the last opening closes the job."""
        closed = self.world.closed.copy()
        today = self.coming.ts < midnight + DAY
        hires, self.coming = take(self.coming, today), take(self.coming, ~today)
        for at in np.argsort(hires.ts, kind="stable").tolist():
            item, ts = hires.item[at], hires.ts[at]
            if ts < closed[item]:
                self.openings[item] -= 1
                if self.openings[item] == 0:
                    closed[item] = ts
        self.world = replace(self.world, closed=closed)

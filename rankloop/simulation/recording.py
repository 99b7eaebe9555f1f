"""Writes the log down as the four contract tables."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import SCHEMAS, UTC, Columns, Tables
from rankloop.simulation.arrays import Ints
from rankloop.simulation.build import Texts
from rankloop.simulation.clicks import KIND_NAMES
from rankloop.simulation.faults import Fault, record
from rankloop.simulation.scale import Scale
from rankloop.simulation.simulate import Impressions, Log, Outcomes
from rankloop.simulation.vocabulary import lexicon
from rankloop.simulation.world import World, identifiers

__all__ = ["outcome_frame", "tables"]


def tables(log: Log, texts: Texts, faults: Sequence[Fault], scale: Scale) -> Tables:
    """The four tables in contract columns, in order of time, with the faults of recording."""
    frames = {
        "items": _items(log.world, texts),
        "users": _users(log.world, texts),
        "impressions": _impressions(log.world, log.impressions),
        "outcomes": _outcomes(log.world, log.outcomes),
    }
    return Tables.from_frames({name: record(frame, name, faults, scale) for name, frame in frames.items()})


def outcome_frame(
    ts: Ints, user: pl.Series, item: pl.Series, request: pl.Series, kind: Ints, value: npt.NDArray[np.floating]
) -> pl.DataFrame:
    """Outcomes in contract columns; a NaN value is null."""
    return pl.DataFrame(
        {
            Columns.TS: _times(ts),
            Columns.USER_ID: user,
            Columns.ITEM_ID: item,
            Columns.REQUEST_ID: request,
            Columns.KIND: pl.Series(KIND_NAMES, dtype=pl.String).gather(kind),
            Columns.VALUE: pl.Series(value.astype(np.float64)).fill_nan(None),
        },
        schema=SCHEMAS["outcomes"],
    )


def _times(ts: Ints) -> pl.Series:
    return pl.Series(ts, dtype=pl.Int64).cast(UTC)


def _names(names: Sequence[str], places: Ints) -> pl.Series:
    """Names by place; null where the place is -1."""
    known = pl.Series([*names, None], dtype=pl.String)
    return known.gather(np.where(places < 0, len(names), places))


def _skill_lists(skills: Ints) -> pl.Series:
    names = lexicon().skills
    return pl.Series([[names[s] for s in row if s >= 0] for row in skills.tolist()], dtype=pl.List(pl.String))


def _items(world: World, texts: Texts) -> pl.DataFrame:
    """Jobs created before the end of history; a close after it is not known yet."""
    jobs, words = world.jobs, lexicon()
    closed = _times(world.closed)
    return pl.DataFrame(
        {
            Columns.ITEM_ID: world.item_ids,
            Columns.TITLE: texts.titles,
            Columns.DESCRIPTION: texts.descriptions,
            Columns.CATEGORY: _names([c.name for c in words.categories], jobs.category),
            Columns.SKILLS: _skill_lists(jobs.skills),
            Columns.COUNTRY: _names([c.name for c in words.countries], world.clients.country[jobs.owner]),
            Columns.BUDGET: jobs.budget.astype(np.float64),
            Columns.DURATION_DAYS: jobs.duration.astype(np.float64),
            Columns.OWNER_ID: identifiers("c", len(world.clients.country)).gather(jobs.owner),
            Columns.CREATED_AT: _times(jobs.created),
            Columns.CLOSED_AT: pl.select(pl.when(pl.lit(world.closed < world.end)).then(closed)).to_series(),
        },
        schema=SCHEMAS["items"],
    )


def _users(world: World, texts: Texts) -> pl.DataFrame:
    people, words = world.people, lexicon()
    return pl.DataFrame(
        {
            Columns.USER_ID: world.user_ids,
            Columns.HEADLINE: texts.headlines,
            Columns.SKILLS: _skill_lists(people.skills),
            Columns.COUNTRY: _names([c.name for c in words.countries], people.country),
            Columns.HOURLY_RATE: people.rate.astype(np.float64),
            Columns.EXPERIENCE_YEARS: people.experience.astype(np.float64),
            Columns.UTC_OFFSET_HOURS: world.offsets[people.country].astype(np.float64),
            Columns.CREATED_AT: _times(people.created),
        },
        schema=SCHEMAS["users"],
    )


def _impressions(world: World, shown: Impressions) -> pl.DataFrame:
    n = len(shown.ts)
    surfaces = pl.Series(["job_feed", "job_search"], dtype=pl.String)
    requests = int(shown.request.max(initial=-1)) + 1
    return pl.DataFrame(
        {
            Columns.REQUEST_ID: identifiers("r", requests).gather(shown.request),
            Columns.TS: _times(shown.ts),
            Columns.SURFACE: surfaces.gather((shown.query >= 0).astype(np.int64)),
            Columns.USER_ID: world.user_ids.gather(shown.user),
            Columns.QUERY: _names(world.queries.text.tolist(), shown.query),
            Columns.ITEM_ID: world.item_ids.gather(shown.item),
            Columns.POSITION: shown.position.astype(np.int32),
            Columns.PROPENSITY: shown.propensity.astype(np.float64),
            Columns.RELEASE_ID: pl.Series([None], dtype=pl.String).new_from_index(0, n),
            Columns.FEATURES: pl.Series([None], dtype=pl.List(pl.Float32)).new_from_index(0, n),
        },
        schema=SCHEMAS["impressions"],
    )


def _outcomes(world: World, done: Outcomes) -> pl.DataFrame:
    return outcome_frame(
        done.ts,
        world.user_ids.gather(done.user),
        world.item_ids.gather(done.item),
        identifiers("r", int(done.request.max(initial=-1)) + 1).gather(done.request),
        done.kind,
        done.value,
    )

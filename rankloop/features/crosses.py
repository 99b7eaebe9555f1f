"""Features that need both sides at once: computed in numpy at the moment of the request, for training and serving alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import Columns
from rankloop.features.overlap import Overlap
from rankloop.features.registry import Feature
from rankloop.text import tokens

__all__ = ["RATIOS", "Batch", "Clock", "Cross", "LogRatios", "SameCountry", "SkillMatch", "TextMatch"]

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

_HOUR: Final = 3_600_000_000
_WORKDAY_HOURS: Final = 8.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests and their candidates, as arrays.

    Attributes:
        ts: `(requests,)` int64, microseconds since 1970 UTC.
        users: `(requests,)` int64, rows of the users table; its last row, which is empty, for an unknown user.
        words: by request, the tokens of its query; None where it has none.
        owner: `(rows,)` int64, each row's request.
        items: `(rows,)` int64, rows of the items table; its last row, which is empty, for an unknown item.
        columns: `(rows, features)` float32, the features from the store.
    """

    ts: Codes
    users: Codes
    words: Sequence[list[str] | None]
    owner: Codes
    items: Codes
    columns: Matrix


class Cross(Protocol):
    """One family of features computed from both sides of a row."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it computes, in order."""

    def values(self, batch: Batch) -> list[Numbers]:
        """For each feature `(rows,)` float64, NaN where it is undefined."""


class SkillMatch:
    """How much of what a job asks for the freelancer knows.

    Skills are equal when their tokens are. NaN for a user that is unknown or names no skill; shares are NaN for a
    job that asks for none.
    """

    features = (
        Feature("skill_overlap", "skills of the job that the freelancer has", "count"),
        Feature("skill_share", "share of the job's skills that the freelancer has", "ratio"),
        Feature("skill_weighted_share", "the same, a rare skill counting more", "ratio"),
    )

    def __init__(self, items: pl.DataFrame, users: pl.DataFrame) -> None:
        held = [_skills(skills) for skills in users[Columns.SKILLS].to_list()]
        self._overlap = Overlap([_skills(skills) for skills in items[Columns.SKILLS].to_list()])
        self._held = [self._overlap.codes(skills) for skills in held]
        self._names_some = np.array([bool(skills) for skills in held])

    def values(self, batch: Batch) -> list[Numbers]:
        """Count, share, weighted share."""
        count, weight = self._overlap.match(batch.items, [self._held[user] for user in batch.users], batch.owner)
        known = self._names_some[batch.users][batch.owner]
        share = _ratio(count, self._overlap.counts[batch.items])
        weighted = _ratio(weight, self._overlap.weights[batch.items])
        return [np.where(known, column, np.nan) for column in (count, share, weighted)]


class TextMatch:
    """How much of a query, or of a freelancer's headline, is said in the job's title or skills.

    Tokens count once, by their rarity among all jobs. It has no sense of meaning and no length normalisation: for
    that there are retrievers. NaN without a query or a headline.
    """

    features = (
        Feature("query_tokens", "distinct tokens of the query", "count"),
        Feature("query_title_share", "share of the query that the title has, by rarity", "ratio"),
        Feature("query_skill_share", "share of the query that the job's skills have, by rarity", "ratio"),
        Feature("title_query_share", "share of the title that the query has, by rarity", "ratio"),
        Feature("title_headline_share", "share of the title that the freelancer's headline has, by rarity", "ratio"),
    )

    def __init__(self, items: pl.DataFrame, users: pl.DataFrame) -> None:
        self._title = Overlap([tokens(title) for title in items[Columns.TITLE]])
        self._skills = Overlap([" ".join(_skills(skills)).split() for skills in items[Columns.SKILLS].to_list()])
        headlines = [tokens(headline) for headline in users[Columns.HEADLINE]]
        self._headlines = [self._title.codes(words) for words in headlines]
        self._has_headline = np.array([bool(words) for words in headlines])

    def values(self, batch: Batch) -> list[Numbers]:
        """Query length, query in title, query in skills, title in query, title in headline."""
        of_title = self._title.weights[batch.items]
        headline = self._title.match(batch.items, [self._headlines[user] for user in batch.users], batch.owner).weight
        has_headline = self._has_headline[batch.users][batch.owner]
        return [*self._of_query(batch, of_title), np.where(has_headline, _ratio(headline, of_title), np.nan)]

    def _of_query(self, batch: Batch, of_title: Numbers) -> list[Numbers]:
        if all(own is None for own in batch.words):
            return [np.full(len(batch.owner), np.nan)] * 4
        words = [() if own is None else own for own in batch.words]
        count = np.array([len(set(own)) or np.nan for own in words], np.float64)[batch.owner]
        in_title = self._title.match(batch.items, [self._title.codes(own) for own in words], batch.owner).weight
        held = [self._skills.codes(own) for own in words]
        in_skills = self._skills.match(batch.items, held, batch.owner).weight
        whole = np.array([[self._title.weight(own), self._skills.weight(own)] for own in words])[batch.owner]  # (rows, 2)
        return [
            count,
            _ratio(in_title, whole[:, 0]),
            _ratio(in_skills, whole[:, 1]),
            np.where(np.isnan(count), np.nan, _ratio(in_title, of_title)),
        ]


class SameCountry:
    """Whether client and freelancer are in one country; NaN where either is not told."""

    features = (Feature("same_country", "1 where the job and the freelancer are in one country, else 0", "truth"),)

    def __init__(self, items: pl.DataFrame, users: pl.DataFrame) -> None:
        codes = {name: code for code, name in enumerate(sorted(set(items[Columns.COUNTRY].drop_nulls())))}
        # a country in which there is no job equals none; a null equals nothing
        self._items = np.array([np.nan if c is None else codes[c] for c in items[Columns.COUNTRY]])
        self._users = np.array([np.nan if c is None else codes.get(c, -1) for c in users[Columns.COUNTRY]])

    def values(self, batch: Batch) -> list[Numbers]:
        """1, 0 or NaN."""
        away = self._items[batch.items] - self._users[batch.users][batch.owner]
        return [np.where(np.isnan(away), np.nan, away == 0)]


class Clock:
    """The hour and the weekday where the freelancer is; UTC where the offset is not told."""

    features = (
        Feature("local_hour", "hour of the day where the freelancer is, with its fraction", "hours"),
        Feature("local_weekday", "day of the week there, Monday 0", "days"),
    )

    def __init__(self, users: pl.DataFrame) -> None:
        self._offset = (users[Columns.UTC_OFFSET_HOURS].fill_null(0.0).to_numpy() * _HOUR).astype(np.int64)

    def values(self, batch: Batch) -> list[Numbers]:
        """Hour, weekday."""
        local = batch.ts + self._offset[batch.users]
        hour = local % (24 * _HOUR) / _HOUR
        weekday = (local // (24 * _HOUR) + 3) % 7  # 1 January 1970 was a Thursday
        return [hour[batch.owner], weekday[batch.owner].astype(np.float64)]


RATIOS: Final = (
    ("rate_fit", "pay a day over 8 hours of the freelancer's rate", "item_daily_pay", "user_hourly_rate"),
    ("budget_fit", "budget over that of the jobs the freelancer clicks on", "item_budget", "user_clicked_budget"),
    ("duration_fit", "duration over that of the jobs the freelancer clicks on", "item_duration_days", "user_clicked_duration"),
    ("pay_fit", "pay a day over that of the jobs the freelancer applies to", "item_daily_pay", "user_applied_daily_pay"),
    ("price_level", "budget over what the category usually pays", "item_budget", "category_budget"),
)
"""Name, meaning, and the two features of the store."""


class LogRatios:
    """Natural logarithms of ratios of two features of the store; trees find differences and not ratios.

    A ratio is left out where the store has not both features; it is NaN unless both are above 0.

    Args:
        names: the features of the store.
    """

    def __init__(self, names: Sequence[str]) -> None:
        place = {name: i for i, name in enumerate(names)}
        there = [ratio for ratio in RATIOS if ratio[2] in place and ratio[3] in place]
        self.features = tuple(Feature(name, meaning, "log ratio") for name, meaning, _, _ in there)
        self._columns = [(place[a], place[b]) for _, _, a, b in there]

    def values(self, batch: Batch) -> list[Numbers]:
        """One column a ratio."""
        logs = {column: _log(batch.columns[:, column]) for column in {c for pair in self._columns for c in pair}}
        ratios = [logs[a] - logs[b] for a, b in self._columns]
        return [
            ratio - np.log(_WORKDAY_HOURS) if feature.name == "rate_fit" else ratio
            for feature, ratio in zip(self.features, ratios, strict=True)
        ]


def _skills(skills: Sequence[str] | None) -> list[str]:
    return [] if skills is None else [key for skill in skills if (key := " ".join(tokens(skill)))]


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    share = np.full(len(part), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _log(values: Matrix) -> Numbers:
    wide = values.astype(np.float64)
    return np.log(np.where(wide > 0, wide, np.nan))

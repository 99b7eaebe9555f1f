"""The words of the simulated marketplace: categories, topics, skills, countries, phrases.

They are our own data, one TOML file a category in `words/`, so that a person can read and extend them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Category", "Country", "Lexicon", "Phrases", "Topic", "lexicon"]

_NOT_CATEGORIES = frozenset({"phrases.toml", "countries.toml"})


@dataclass(frozen=True)
class Topic:
    """A kind of work inside a category, such as online shops inside web development.

    Attributes:
        category: place of its category in `Lexicon.categories`.
        skills: places of its skills in `Lexicon.skills`.
    """

    name: str
    category: int
    roles: tuple[str, ...]
    verbs: tuple[str, ...]
    things: tuple[str, ...]
    skills: tuple[int, ...]


@dataclass(frozen=True)
class Category:
    """A field of work.

    Attributes:
        rate: the median hourly rate, US dollars.
        share: its share of the posted jobs, relative to the others.
        neighbours: places of the categories it shares tools with.
        core: places of the skills that define it.
        companion: places of the tools used beside them, many of them shared with neighbours.
        topics: places of its topics in `Lexicon.topics`.
    """

    name: str
    rate: float
    share: float
    neighbours: tuple[int, ...]
    roles: tuple[str, ...]
    core: tuple[int, ...]
    companion: tuple[int, ...]
    topics: tuple[int, ...]


@dataclass(frozen=True)
class Country:
    """Where people live: UTC offset in hours, shares of both sides, level of hourly rates (1 = median)."""

    name: str
    utc_offset: float
    clients: float
    freelancers: float
    rate_level: float


@dataclass(frozen=True)
class Phrases:
    """The grammar of titles, descriptions, headlines and queries; templates name their parts in braces."""

    industries: tuple[str, ...]
    titles: tuple[str, ...]
    adjectives: tuple[str, ...]
    openings: tuple[str, ...]
    needs: tuple[str, ...]
    scopes: tuple[str, ...]
    extras: tuple[str, ...]
    good_clients: tuple[str, ...]
    poor_clients: tuple[str, ...]
    headlines: tuple[str, ...]
    queries: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Lexicon:
    """Every word the marketplace can say.

    Attributes:
        aliases: what people type instead of a skill's name, by the skill's place.

    Example:
        >>> words = lexicon()
        >>> len(words.categories) >= 12 and len(words.skills) >= 300
        True
    """

    categories: tuple[Category, ...]
    topics: tuple[Topic, ...]
    skills: tuple[str, ...]
    aliases: Mapping[int, tuple[str, ...]]
    countries: tuple[Country, ...]
    phrases: Phrases


@cache
def lexicon() -> Lexicon:
    """Reads the words once; the order of everything is the order of file names and of their lines."""
    folder = files("rankloop.simulation") / "words"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    read = {name: tomllib.loads((folder / name).read_text("utf-8")) for name in names}
    fields = [read[name] for name in names if name not in _NOT_CATEGORIES]
    skills = _skills(fields)
    place = {skill: at for at, skill in enumerate(skills)}
    topics = tuple(_topic(topic, at, own, place) for at, own in enumerate(fields) for topic in own["topics"])
    return Lexicon(
        categories=_categories(fields, topics, place),
        topics=topics,
        skills=skills,
        aliases={place[skill]: tuple(typed) for skill, typed in read["phrases.toml"]["aliases"].items()},
        countries=tuple(Country(*row) for row in read["countries.toml"]["countries"]),
        phrases=_phrases(read["phrases.toml"]),
    )


def _skills(fields: list[dict[str, Any]]) -> tuple[str, ...]:
    ordered: dict[str, None] = {}
    for own in fields:
        ordered.update(dict.fromkeys(own["core"]))
        for topic in own["topics"]:
            ordered.update(dict.fromkeys(topic["skills"]))
        ordered.update(dict.fromkeys(own["companion"]))
    return tuple(ordered)


def _topic(topic: dict[str, Any], at: int, own: dict[str, Any], place: dict[str, int]) -> Topic:
    return Topic(
        name=topic["name"],
        category=at,
        roles=tuple(topic["roles"]),
        verbs=tuple(topic.get("verbs", own["verbs"])),
        things=tuple(topic["things"]),
        skills=tuple(place[skill] for skill in topic["skills"]),
    )


def _categories(fields: list[dict[str, Any]], topics: tuple[Topic, ...], place: dict[str, int]) -> tuple[Category, ...]:
    names = {own["name"]: at for at, own in enumerate(fields)}
    return tuple(
        Category(
            name=own["name"],
            rate=float(own["rate"]),
            share=float(own["share"]),
            neighbours=tuple(names[other] for other in own["neighbours"]),
            roles=tuple(own["roles"]),
            core=tuple(place[skill] for skill in own["core"]),
            companion=tuple(place[skill] for skill in own["companion"]),
            topics=tuple(place for place, topic in enumerate(topics) if topic.category == at),
        )
        for at, own in enumerate(fields)
    )


def _phrases(read: dict[str, Any]) -> Phrases:
    lists = {name: tuple(read[name]) for name in Phrases.__dataclass_fields__ if name != "queries"}
    return Phrases(**lists, queries=tuple((row["form"], float(row["weight"])) for row in read["queries"]))

"""Titles, descriptions and headlines, composed from the phrase grammar."""

from collections.abc import Sequence

import numpy as np

from rankloop.simulation.arrays import Ints
from rankloop.simulation.jobs import Jobs
from rankloop.simulation.people import Clients, People
from rankloop.simulation.vocabulary import Lexicon, Topic

__all__ = ["article", "headlines", "postings", "span"]

_SPELLED_WITH_VOWEL = frozenset("AEFHILMNORSX")
_SPOKEN_AS_CONSONANT = ("SOC", "UX", "UI", "user", "European", "Unity", "usability", "SaaS")
_SPOKEN_AS_VOWEL = ("hourly",)


def article(noun: str) -> str:
    """The noun with its indefinite article, by its sound.

    Example:
        >>> article("online shop"), article("SEO audit"), article("user forum"), article("set of posts")
        ('an online shop', 'an SEO audit', 'a user forum', 'a set of posts')
    """
    word = noun.split()[0]
    letters = word.isupper() and len(word) > 1 and word.isalpha()
    vowel = word[0] in _SPELLED_WITH_VOWEL if letters else word[0].lower() in "aeiou"
    vowel = (vowel and not noun.startswith(_SPOKEN_AS_CONSONANT)) or noun.startswith(_SPOKEN_AS_VOWEL)
    return f"{'an' if vowel else 'a'} {noun}"


def span(days: float) -> str:
    """A length of work as people write it.

    Example:
        >>> span(1), span(10), span(21), span(100)
        ('1 day', '10 days', '3 weeks', '3 months')
    """
    if days < 14:
        return f"{days:.0f} day{'s' if days > 1 else ''}"
    return f"{days / 7:.0f} weeks" if days < 70 else f"{days / 30:.0f} months"


def postings(lexicon: Lexicon, jobs: Jobs, clients: Clients, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Titles and descriptions of jobs, one each."""
    n = len(jobs.created)
    picks = rng.integers(0, 2**31, (n, 16)).tolist()
    topics, days = jobs.topic.tolist(), jobs.duration.tolist()
    named = _names(lexicon, jobs.skills)
    mood = (clients.quality[jobs.owner] + rng.normal(0, 0.5, n)).tolist()
    titles, descriptions = [], []
    for row in range(n):
        pick = picks[row]
        parts = _parts(lexicon, lexicon.topics[topics[row]], named[row], pick) | {"span": span(days[row])}
        titles.append(_one(lexicon.phrases.titles, pick[0]).format_map(parts))
        descriptions.append(_description(lexicon, parts, mood[row], pick[8:]))
    return titles, descriptions


def headlines(lexicon: Lexicon, people: People, rng: np.random.Generator) -> list[str]:
    """Headlines of freelancers, one each."""
    picks = rng.integers(0, 2**31, (len(people.created), 9)).tolist()
    named = _names(lexicon, people.skills)
    years = people.experience.tolist()
    written = []
    for pick, topic, skills, experience in zip(picks, people.topic.tolist(), named, years, strict=True):
        parts = _parts(lexicon, lexicon.topics[topic], skills, pick)
        parts["years"] = f"{experience:.0f} years" if experience >= 2 else "a year"
        written.append(_one(lexicon.phrases.headlines, pick[8]).format_map(parts))
    return written


def _one(options: Sequence[str], pick: int) -> str:
    return options[pick % len(options)]


def _names(lexicon: Lexicon, skills: Ints) -> list[list[str]]:
    return [[lexicon.skills[skill] for skill in row if skill >= 0] for row in skills.tolist()]


def _parts(lexicon: Lexicon, topic: Topic, skills: list[str], pick: list[int]) -> dict[str, str]:
    """What the templates may name; most roles are those of the topic, some those of the whole category."""
    own = lexicon.categories[topic.category]
    role = _one(topic.roles if pick[1] % 3 else own.roles, pick[2])
    thing, verb, adjective = _one(topic.things, pick[3]), _one(topic.verbs, pick[4]), _one(lexicon.phrases.adjectives, pick[5])
    return {
        "role": role,
        "Role": role[0].upper() + role[1:],
        "a_role": article(role),
        "thing": thing,
        "Thing": thing[0].upper() + thing[1:],
        "a_thing": article(thing),
        "verb": verb[0].lower() + verb[1:],
        "Verb": verb,
        "adjective": adjective,
        "Adjective": adjective.capitalize(),
        "industry": _one(lexicon.phrases.industries, pick[6]),
        "topic": topic.name,
        "skill": skills[0],
        "skill2": skills[1],
        "skill3": skills[2],
        "skills": f"{', '.join(skills[:-1])} and {skills[-1]}",
    }


def _description(lexicon: Lexicon, parts: dict[str, str], mood: float, pick: list[int]) -> str:
    phrases = lexicon.phrases
    extra = pick[3] % len(phrases.extras)
    templates = [
        _one(options, die) for options, die in zip((phrases.openings, phrases.needs, phrases.scopes), pick, strict=False)
    ]
    templates.append(phrases.extras[extra])
    if pick[4] % 2:
        templates.append(phrases.extras[(extra + 1 + pick[5] % (len(phrases.extras) - 1)) % len(phrases.extras)])
    if mood > 0.7:
        templates.append(_one(phrases.good_clients, pick[6]))
    elif mood < -0.9:
        templates.append(_one(phrases.poor_clients, pick[6]))
    return " ".join(template.format_map(parts) for template in templates)

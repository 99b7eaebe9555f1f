"""Search text that people type, and what they mean by it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.simulation.arrays import Floats, Ints, pick
from rankloop.simulation.vocabulary import Lexicon, Topic

__all__ = ["Queries", "draw_queries", "misspell"]

_NEXT_KEY = dict(zip("abcdefghijklmnopqrstuvwxyz", "snfrtdghukjlknipwtdyicaxzz", strict=True))


class Queries(NamedTuple):
    """Every text the marketplace's people may type, one row each; the same text always means the same.

    Attributes:
        text: `(n,)` unicode.
        category: what field of work is meant, `(n,)`.
        topic: the topic meant, -1 where only a category or a skill is, `(n,)`.
        skills: the skills meant, -1 where none, `(n, 2)`.
        weight: how often it is typed, relative to others of its category, `(n,)`.
    """

    text: npt.NDArray[np.str_]
    category: Ints
    topic: Ints
    skills: Ints
    weight: Floats


def draw_queries(lexicon: Lexicon, n: int, rng: np.random.Generator) -> Queries:
    """About `n` different texts (fewer after equal ones are joined), the frequent before the rare."""
    forms = lexicon.phrases.queries
    form = pick([weight for _, weight in forms], n, rng).tolist()
    category = pick([c.share for c in lexicon.categories], n, rng).tolist()
    dice = rng.random((n, 12)).tolist()
    meant: dict[str, tuple[int, int, int, int]] = {}
    weights: dict[str, float] = {}
    for row in range(n):
        own = lexicon.categories[category[row]]
        topic = own.topics[int(dice[row][0] * len(own.topics))]
        text, skills, with_topic = _compose(lexicon, forms[form[row]][0], lexicon.topics[topic], dice[row])
        weight, text = (0.15, misspell(text, dice[row][8:])) if dice[row][7] < 0.1 else (1.0, text)
        first = meant.setdefault(text, (category[row], topic if with_topic else -1, *skills))
        if first[0] == category[row]:  # the same text from another field keeps its first meaning, at its first weight
            weights[text] = weights.get(text, 0.0) + weight
    codes = np.array(list(meant.values()), np.int64).reshape(-1, 4)
    tail = np.exp(rng.normal(0, 0.5, len(meant)))
    return Queries(
        text=np.array(list(meant), np.str_),
        category=codes[:, 0],
        topic=codes[:, 1],
        skills=codes[:, 2:],
        weight=(np.array(list(weights.values())) * tail).astype(np.float32),
    )


def misspell(text: str, dice: list[float]) -> str:
    """One slip of the fingers in the longest word: letters swapped, dropped, doubled, or the key beside.

    Args:
        text: what was meant.
        dice: two numbers in [0, 1): which slip, and where.

    Example:
        >>> misspell("react developer", [0.1, 0.3]), misspell("react developer", [0.4, 0.3])
        ('react devleoper', 'react devloper')
    """
    words = text.split(" ")
    at = max(range(len(words)), key=lambda i: len(words[i]))
    word = words[at]
    if len(word) < 4:
        return text
    spot = 1 + int(dice[1] * (len(word) - 2))
    kind = int(dice[0] * 4)
    if kind == 0:
        slipped = word[:spot] + word[spot + 1] + word[spot] + word[spot + 2 :]
    elif kind == 1:
        slipped = word[:spot] + word[spot + 1 :]
    elif kind == 2:
        slipped = word[:spot] + word[spot] + word[spot:]
    else:
        slipped = word[:spot] + _NEXT_KEY.get(word[spot], word[spot]) + word[spot + 1 :]
    return " ".join([*words[:at], slipped, *words[at + 1 :]])


def _compose(lexicon: Lexicon, form: str, topic: Topic, dice: list[float]) -> tuple[str, tuple[int, int], bool]:
    """The text, the skills it means (-1: none), and whether it means the topic."""
    own = lexicon.categories[topic.category]
    # skills of the topic and of the core alike, the earlier in their lists the more often
    known = (*topic.skills, *own.core)
    first = known[int(dice[1] * len(known))]
    second = known[int(dice[2] ** 2 * len(known))]
    second = second if second != first else known[(known.index(first) + 1) % len(known)]
    parts = {
        "skill": _typed(lexicon, first, dice[3]),
        "skill2": _typed(lexicon, second, dice[4]),
        "role": own.roles[int(dice[5] * len(own.roles))],
        "topic_role": topic.roles[int(dice[5] * len(topic.roles))],
        "thing": topic.things[int(dice[5] * len(topic.things))],
        "verb": topic.verbs[int(dice[6] * len(topic.verbs))].lower(),
        "topic": topic.name,
    }
    text = form.format_map(parts)
    text = text if dice[6] < 0.12 else text.lower()
    skills = (first if "{skill}" in form else -1, second if "{skill2}" in form else -1)
    return text, skills, any(part in form for part in ("{topic_role}", "{thing}", "{topic}"))


def _typed(lexicon: Lexicon, skill: int, die: float) -> str:
    """The skill's name, or in a third of cases, where people have one, a shorter name for it."""
    short = lexicon.aliases.get(skill, ())
    return short[int(die * 3 * len(short))] if short and die < 1 / 3 else lexicon.skills[skill]

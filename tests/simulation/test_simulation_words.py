"""The vocabulary, the texts, the queries, and the trend of skills."""

import numpy as np
import pytest

from rankloop.simulation.arrays import pick, strongest
from rankloop.simulation.jobs import draw_jobs, draw_trend
from rankloop.simulation.lexical import Overlap
from rankloop.simulation.people import draw_clients, draw_people, topic_vectors
from rankloop.simulation.queries import draw_queries, misspell
from rankloop.simulation.text import article, headlines, postings
from rankloop.simulation.vocabulary import lexicon

WORDS = lexicon()


def test_the_marketplace_has_many_categories_topics_and_skills() -> None:
    assert len(WORDS.categories) >= 12
    assert len(WORDS.skills) >= 300
    assert len(WORDS.topics) >= 4 * len(WORDS.categories)
    assert len(set(WORDS.skills)) == len(WORDS.skills)


def test_a_category_shares_tools_with_its_neighbours() -> None:
    def tools(at: int) -> set[int]:
        own = WORDS.categories[at]
        return {*own.core, *own.companion, *(s for topic in own.topics for s in WORDS.topics[topic].skills)}

    strangers: list[int] = []
    neighbours: list[int] = []
    for at, own in enumerate(WORDS.categories):
        for other in range(len(WORDS.categories)):
            if other != at:
                (neighbours if other in own.neighbours else strangers).append(len(tools(at) & tools(other)))
    assert np.mean(neighbours) > 3 * np.mean(strangers)
    assert min(neighbours) >= 1


def test_skills_of_one_topic_are_asked_together() -> None:
    rng = np.random.default_rng(1)
    topics = topic_vectors(WORDS, rng)
    clients = draw_clients(WORDS, 300, rng)
    demand = np.ones(len(WORDS.skills), np.float32)
    jobs = draw_jobs(WORDS, clients, topics, np.arange(20_000), demand, rng)
    react, redux, trucks = (WORDS.skills.index(skill) for skill in ("Next.js", "Redux", "Payroll"))
    asks = {skill: (jobs.skills == skill).any(axis=1) for skill in (react, redux, trucks)}
    assert asks[redux][asks[react]].mean() > 10 * asks[redux].mean()
    assert asks[trucks][asks[react]].mean() < asks[trucks].mean()


def test_a_skill_in_demand_is_asked_more() -> None:
    rng = np.random.default_rng(2)
    topics, clients = topic_vectors(WORDS, rng), draw_clients(WORDS, 300, rng)
    python = WORDS.skills.index("Python")
    plain = np.ones(len(WORDS.skills), np.float32)
    hot = plain.copy()
    hot[python] = 4
    asked = [
        (draw_jobs(WORDS, clients, topics, np.arange(5_000), demand, np.random.default_rng(3)).skills == python)
        .any(axis=1)
        .mean()
        for demand in (plain, hot)
    ]
    assert asked[1] > 1.5 * asked[0]


def test_the_demand_for_skills_changes_over_time() -> None:
    trend = draw_trend(WORDS, np.random.default_rng(4))
    ratio = trend.at(90) / trend.at(0)
    assert (ratio > 1.5).mean() > 0.05
    assert (ratio < 1 / 1.5).mean() > 0.05


def test_the_same_query_always_means_the_same() -> None:
    queries = draw_queries(WORDS, 4_000, np.random.default_rng(5))
    assert len(set(queries.text.tolist())) == len(queries.text)
    assert (queries.weight > 0).all()
    assert set(queries.category.tolist()) == set(range(len(WORDS.categories)))


def test_people_type_names_roles_short_forms_and_slips() -> None:
    texts = set(draw_queries(WORDS, 8_000, np.random.default_rng(6)).text.tolist())
    assert {"react", "logo designer", "pitch deck"} <= texts
    short = {form for forms in WORDS.aliases.values() for form in forms}
    assert len(short & texts) > len(short) / 3
    correct = {skill.lower() for skill in WORDS.skills}
    letters = {tuple(sorted(skill)) for skill in correct}
    swapped = [text for text in texts if text.lower() not in correct and tuple(sorted(text.lower())) in letters]
    assert swapped, "some query is a skill with two letters swapped"


@pytest.mark.parametrize("die", [0.0, 0.3, 0.6, 0.9])
def test_a_slip_changes_one_word_by_one_letter_or_two(die: float) -> None:
    for spot in np.linspace(0, 0.99, 20):
        wrong = misspell("senior kubernetes engineer", [die, spot])
        first, middle, last = wrong.split(" ")
        assert (first, last) == ("senior", "engineer")
        assert abs(len(middle) - len("kubernetes")) <= 1


def test_a_short_word_is_typed_right() -> None:
    assert misspell("php", [0.5, 0.5]) == "php"


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("NDA", "an NDA"),
        ("UX designer", "a UX designer"),
        ("EP", "an EP"),
        ("user manual", "a user manual"),
        ("API guide", "an API guide"),
    ],
)
def test_the_article_follows_the_sound(noun: str, said: str) -> None:
    assert article(noun) == said


def test_every_text_of_every_topic_can_be_written() -> None:
    rng = np.random.default_rng(7)
    topics, clients = topic_vectors(WORDS, rng), draw_clients(WORDS, 300, rng)
    jobs = draw_jobs(WORDS, clients, topics, np.arange(3_000), np.ones(len(WORDS.skills), np.float32), rng)
    titles, descriptions = postings(WORDS, jobs, clients, rng)
    heads = headlines(WORDS, draw_people(WORDS, np.arange(500), topics, rng), rng)
    assert len(set(jobs.topic.tolist())) == len(WORDS.topics)
    assert all(10 < len(text) < 130 for text in titles)
    assert all(80 < len(text) < 900 for text in descriptions)
    assert all(5 < len(text) < 120 for text in heads)
    assert not any(" a a" in text or "  " in text for text in titles + descriptions + heads)


def test_words_in_common_are_counted_letter_by_letter() -> None:
    overlap = Overlap(["react developer", "reakt", "c++"], ["React developer for a shop", "C++ and React"])
    shares = overlap.share(np.array([0, 1, 2]), np.array([0, 1]))
    assert shares.tolist() == [[1.0, 0.5], [0.0, 0.0], [0.0, 1.0]]


def test_a_draw_follows_the_weights() -> None:
    n = 40_000
    share = np.bincount(pick([1, 0, 3], n, np.random.default_rng(8)), minlength=3) / n
    assert share == pytest.approx([1 / 4, 0, 3 / 4], abs=4 * 0.5 / np.sqrt(n))


def test_a_draw_without_replacement_follows_the_weights_in_its_first_place() -> None:
    n = 40_000
    weights = np.tile(np.array([1, 0, 3], np.float32), (n, 1))
    drawn = strongest(weights, np.full(n, 3), np.random.default_rng(9))
    assert (drawn[:, 0] == 2).mean() == pytest.approx(3 / 4, abs=4 * 0.5 / np.sqrt(n))
    assert (drawn[:, 2] == -1).all(), "a weight of zero is never drawn"

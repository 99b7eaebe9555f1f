"""What goes over the wire: the requests and answers of API v1, and nothing else."""

from typing import Annotated, Final

from msgspec import Meta, Struct

__all__ = [
    "REQUEST_ID",
    "Answer",
    "AnsweredItem",
    "Contribution",
    "Experiment",
    "Explanation",
    "Health",
    "Problem",
    "RankAnswer",
    "RankRequest",
    "Readiness",
    "RecommendRequest",
    "SearchRequest",
    "SimilarAnswer",
]

REQUEST_ID: Final = "[A-Za-z0-9._:-]{1,128}"
"""What a request may be named, as a pattern: something that can be searched for in any log."""

Id = Annotated[str, Meta(min_length=1, max_length=256)]
K = Annotated[int, Meta(description="How many items to return; at least 1, at most RANKLOOP_MAX_K.")]
Surface = Annotated[str, Meta(description="The product place: job_feed, job_search or talent_search.")]


class RecommendRequest(Struct, forbid_unknown_fields=True):
    """Asks for the best items for one person, without a query."""

    user_id: Id
    k: K = 10
    surface: Surface = "job_feed"


class SearchRequest(Struct, forbid_unknown_fields=True):
    """Asks for the best items for a search text; with a user, for that person."""

    query: str
    user_id: Id | None = None
    k: K = 10
    surface: Surface = "job_search"


class RankRequest(Struct, forbid_unknown_fields=True):
    """Asks for an order of given items, which are ranked even where they may not be shown."""

    user_id: Id
    item_ids: list[Id]
    query: str | None = None
    explain: bool = False
    surface: Surface | None = None


class AnsweredItem(Struct):
    """One item of an answer.

    Attributes:
        item_id: the item.
        title: what a person reads.
        score: only its order within the answer has a meaning.
        position: 1 is the best.
        source: the retriever that proposed it highest; `given` where the request named the item.
        release_id: in an interleaved list the release that placed it, and whose scores this one is comparable with; null
            where it counts for neither, and in any other list.
    """

    item_id: str
    title: str
    score: float
    position: int
    source: str
    release_id: str | None = None


class Experiment(Struct):
    """How a list was made out of two.

    Attributes:
        kind: always `team-draft`.
        releases: the one that answered, then the one it was interleaved with.
        seed: of the draft; with the request id and both lists it can be made again.
    """

    kind: str
    releases: list[str]
    seed: int


class Answer(Struct):
    """A ranked list.

    Attributes:
        request_id: names this answer in every log.
        release_id: the release that made it.
        as_of: the moment it was made for, ISO 8601, UTC.
        items: best first.
        fallback: why less than the whole release was used, in words; null when nothing was missing.
        experiment: how lists of two releases were interleaved; null when they were not.
    """

    request_id: str
    release_id: str
    as_of: str
    items: list[AnsweredItem]
    fallback: str | None = None
    experiment: Experiment | None = None


class Contribution(Struct):
    """What one feature did to one score.

    Attributes:
        feature: its name.
        value: what the ranker saw; null where the feature is undefined.
        contribution: what it added to the score.
    """

    feature: str
    value: float | None
    contribution: float


class Explanation(Struct):
    """Where one score comes from: `constant` and the contributions sum to it.

    Attributes:
        item_id: the item.
        constant: the score without any feature.
        contributions: the largest in absolute value first.
    """

    item_id: str
    constant: float
    contributions: list[Contribution]


class RankAnswer(Struct):
    """Given items in the release's order.

    Attributes:
        request_id: names this answer in every log.
        release_id: the release that made it.
        as_of: the moment it was made for, ISO 8601, UTC.
        items: best first.
        unknown_items: those the release does not hold, in the order they were given.
        fallback: why less than the whole release was used, in words; null when nothing was missing.
        explanations: one for each item, in the order of `items`; null unless asked for.
    """

    request_id: str
    release_id: str
    as_of: str
    items: list[AnsweredItem]
    unknown_items: list[str]
    fallback: str | None = None
    explanations: list[Explanation] | None = None


class SimilarAnswer(Struct):
    """Items near one item.

    Attributes:
        request_id: names this answer in every log.
        release_id: the release that made it.
        as_of: the moment it was made for, ISO 8601, UTC.
        item_id: the item they are near to.
        items: nearest first; only items that may be shown.
    """

    request_id: str
    release_id: str
    as_of: str
    item_id: str
    items: list[AnsweredItem]


class Health(Struct):
    """The process answers; it says nothing of the release."""

    status: str = "alive"


class Readiness(Struct):
    """The release answers: a self-test request came back with items.

    Attributes:
        status: always `ready`; a process that is not answers with a problem instead.
        release_id: the release.
        as_of: the newest moment it knows, ISO 8601, UTC.
        items: how many it can show.
        users: how many people it knows.
    """

    status: str
    release_id: str
    as_of: str
    items: int
    users: int


class Problem(Struct):
    """Why there is no answer, after RFC 9457.

    Attributes:
        status: the HTTP status.
        title: the status in words.
        detail: one sentence: the value, the rule, what to do.
        request_id: names this request in every log.
    """

    status: int
    title: str
    detail: str
    request_id: str = ""

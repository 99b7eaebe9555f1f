"""Why an answer was made with less than the whole release, in words; each reason is counted by its words."""

from typing import Final

__all__ = [
    "NEW_USER",
    "NO_MATCH",
    "NO_TIME",
    "NO_TIME_TO_RANK",
    "OTHER_FAILED",
    "OTHER_LATE",
    "RANKER_FAILED",
    "RANKER_FAILED_GIVEN",
    "RETRIEVERS_FAILED",
    "STATE_DOWN",
    "UNKNOWN_USER",
    "UNTRAINED_SURFACE",
]

UNKNOWN_USER: Final = "unknown user: popular and lexical candidates only"
NEW_USER: Final = "new user: only what they did since the release counts"
NO_MATCH: Final = "no item matches the search text: list without it"
UNTRAINED_SURFACE: Final = "surface not in the training log: order learned from the others"
STATE_DOWN: Final = "online store does not answer: without what the person did since the release"
RANKER_FAILED: Final = "ranker failed: retrieval order"
RANKER_FAILED_GIVEN: Final = "ranker failed: given order"
RETRIEVERS_FAILED: Final = "retrievers failed: popular list"
NO_TIME_TO_RANK: Final = "no time to rank: retrieval order"
NO_TIME: Final = "no time: popular list"
OTHER_FAILED: Final = "other slot failed: list of one release"
OTHER_LATE: Final = "other slot was late: list of one release"

"""What an answer says was left out of it for want of time or because something is down, as a number that adds up."""

import re
from typing import Final

from services.ranking import fallbacks

__all__ = ["RANKING", "STATE", "WORDS", "degraded", "missing"]

STATE: Final = 1
"""The online store did not answer."""

RANKING: Final = 2
"""The ranker or the retrievers failed, or there was no time for them: a cheaper answer."""

WORDS: Final = {
    fallbacks.STATE_DOWN: STATE,
    fallbacks.RANKER_FAILED: RANKING,
    fallbacks.RETRIEVERS_FAILED: RANKING,
    fallbacks.NO_TIME_TO_RANK: RANKING,
    fallbacks.NO_TIME: RANKING,
}
"""What an answer's `fallback` says, and what that is."""
_WHOLE: Final = re.compile(rb'"fallback": ?null')


def missing(fallback: str | None) -> int:
    """`STATE`, `RANKING`, both or 0: that a search matches nothing, or a person is new, is nobody's fault.

    Example:
        >>> missing(None), missing(f"{fallbacks.NO_MATCH}; {fallbacks.NO_TIME}")
        (0, 2)
    """
    found = 0
    for words, flag in WORDS.items():
        if fallback is not None and words in fallback:
            found |= flag
    return found


def degraded(body: bytes) -> int:
    """The same of an answer's JSON."""
    return 0 if _WHOLE.search(body) else missing(body.decode())

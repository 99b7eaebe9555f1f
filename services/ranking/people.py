"""Who asks: what the release knows of the person, and what the online store knows beyond it."""

import logging
from collections.abc import Collection
from typing import Final, NamedTuple

from rankloop.errors import StateUnavailable
from rankloop.request import Recent
from rankloop.state import UserState
from rankloop.vocabulary import UNKNOWN, Vocabulary
from services.online import StateStore
from services.ranking.fallbacks import NEW_USER, STATE_DOWN, UNKNOWN_USER

__all__ = ["NOBODY", "Asker", "People"]

log = logging.getLogger(__name__)

NOBODY: Final = ""
"""The user id of a request that names nobody."""


class Asker(NamedTuple):
    """A person as the models are to see them.

    Attributes:
        user_id: whom the models may know; `NOBODY` for one who was erased since the release.
        recent: what they did since the release, oldest first.
        reasons: what is missing, in words.
    """

    user_id: str
    recent: tuple[Recent, ...] = ()
    reasons: tuple[str, ...] = ()


class People:
    """Finds out who asks, with one read of the online store.

    Args:
        known: the people whom the release knows.
        catalogue: its items.
        as_of: its last moment, microseconds.
        store: the online store; None: there is none, and only the release counts.
    """

    def __init__(self, known: Collection[str], catalogue: Vocabulary, as_of: int, store: StateStore | None) -> None:
        self._known, self._catalogue, self._as_of, self._store = frozenset(known), catalogue, as_of, store

    def look(self, user_id: str, moment: int) -> Asker:
        """Who asks at a moment (microseconds)."""
        if user_id == NOBODY:
            return Asker(NOBODY)
        known = user_id in self._known
        try:
            state = self._store.user(user_id) if self._store else None
        except StateUnavailable as error:
            log.debug("user %r without online state: %s", user_id, error)
            return Asker(user_id, (), (STATE_DOWN,) if known else (UNKNOWN_USER, STATE_DOWN))
        erased = state is not None and state.erased_at is not None and state.erased_at > self._as_of
        recent = self._since(state, moment) if state else ()
        reasons = () if known and not erased else (NEW_USER if recent else UNKNOWN_USER,)
        return Asker(NOBODY if erased else user_id, recent, reasons)

    def _since(self, state: UserState, moment: int) -> tuple[Recent, ...]:
        """What the release cannot know, as of before the request: a log from the past is served as if it were today."""
        coded = ((self._catalogue.code(act.item_id), act) for act in state.acts if act.ts > self._as_of)
        return tuple(Recent(code, act.kind, min(act.ts, moment - 1)) for code, act in coded if code != UNKNOWN)

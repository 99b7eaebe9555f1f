"""What is known this second of a person and of an item: pure data, and how acts change it.

It is not the log (`rankloop.contracts`), which keeps everything for ever; a state is small, lies in an online store, and
is read within one request.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

__all__ = ["ACTS_KEPT", "DAY", "SESSION_GAP", "Act", "ItemState", "Session", "UserState", "folded", "item_folded"]

ACTS_KEPT: Final = 200
"""How many of a person's acts a state keeps, the newest."""

SESSION_GAP: Final = 30 * 60 * 1_000_000
"""The silence that ends a session, microseconds."""

DAY: Final = 24 * 60 * 60 * 1_000_000
"""A day of UTC, microseconds."""


class Act(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Something a person did with an item.

    Attributes:
        item_id: the item.
        kind: one of the kinds of outcomes.
        ts: the moment, microseconds since the epoch.
    """

    item_id: str
    kind: str
    ts: int


class Session(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A person's latest visit: acts of which each is at most `SESSION_GAP` from the others' span.

    Attributes:
        began: the earliest act's moment, microseconds.
        last: the latest act's moment, microseconds.
        events: how many acts.
    """

    began: int
    last: int
    events: int


class UserState(msgspec.Struct, array_like=True, frozen=True):
    """What is known of a person beyond what a release knows.

    Attributes:
        acts: in order of time, oldest first, at most `ACTS_KEPT`; of equal moments the one that came first is first.
        counts: acts by kind, for ever, also of those no longer kept.
        session: the latest session; None before the first act.
        erased_at: when the person asked to be forgotten, microseconds; what a release knows of them is not to be
            used, and acts at or before it are not kept, however late they come.
    """

    acts: tuple[Act, ...] = ()
    counts: dict[str, int] = {}
    session: Session | None = None
    erased_at: int | None = None


class ItemState(msgspec.Struct, array_like=True, frozen=True):
    """What people did with an item.

    Attributes:
        day: the latest day with an act, days since the epoch (UTC).
        today: acts of that day by kind; see `on`.
        total: acts by kind, for ever.
    """

    day: int
    today: dict[str, int]
    total: dict[str, int]

    def on(self, moment: int) -> Mapping[str, int]:
        """Acts by kind on the UTC day of a moment (microseconds), so that yesterday's are not taken for today's.

        Example:
            >>> state = ItemState(day=2, today={"click": 5}, total={"click": 9})
            >>> state.on(2 * DAY + 1), state.on(3 * DAY)
            ({'click': 5}, {})
        """
        return self.today if moment // DAY == self.day else {}


def folded(state: UserState | None, acts: Sequence[Act]) -> UserState:
    """The state after further acts, in the order in which they came.

    It does not know events: that each is given once is the caller's care. Acts may come late; one that is older than
    every kept act of a full state is counted but not kept. Folding in several parts gives the same state as folding
    at once, and the order of coming changes neither counts nor, save among equal moments, the kept acts.

    Args:
        state: the state before; None: nothing is known yet.
        acts: in the order of coming.

    Example:
        >>> state = folded(None, [Act("j2", "click", 20), Act("j1", "click", 10), Act("j2", "apply", SESSION_GAP + 21)])
        >>> [act.item_id for act in state.acts], state.counts
        (['j1', 'j2', 'j2'], {'click': 2, 'apply': 1})
        >>> state.session.events
        1
    """
    state = UserState() if state is None else state
    kept, counts, session = list(state.acts), dict(state.counts), state.session
    for act in acts:
        if state.erased_at is not None and act.ts <= state.erased_at:
            continue
        if not kept or kept[-1].ts <= act.ts:
            kept.append(act)
        else:
            kept.insert(bisect_right(kept, act.ts, key=_moment), act)
        counts[act.kind] = counts.get(act.kind, 0) + 1
        session = _visited(session, act.ts)
    return UserState(tuple(kept[-ACTS_KEPT:]), counts, session, state.erased_at)


def item_folded(state: ItemState | None, acts: Sequence[Act]) -> ItemState:
    """An item's state after further acts with it, in any order.

    Args:
        state: the state before; None: nothing is known yet.
        acts: acts with this item; at least one where `state` is None.

    Example:
        >>> state = item_folded(None, [Act("j1", "click", 5), Act("j1", "click", DAY), Act("j1", "apply", DAY + 1)])
        >>> state.day, state.today, state.total
        (1, {'click': 1, 'apply': 1}, {'click': 2, 'apply': 1})
    """
    day = max([act.ts // DAY for act in acts] + ([] if state is None else [state.day]))
    today = dict(state.today) if state is not None and state.day == day else {}
    total = dict(state.total) if state is not None else {}
    for act in acts:
        total[act.kind] = total.get(act.kind, 0) + 1
        if act.ts // DAY == day:
            today[act.kind] = today.get(act.kind, 0) + 1
    return ItemState(day, today, total)


def _moment(act: Act) -> int:
    return act.ts


def _visited(session: Session | None, ts: int) -> Session:
    """The latest session with one more act: in it, after it (a new one), or of an older one, which is not kept."""
    if session is None or ts > session.last + SESSION_GAP:
        return Session(ts, ts, 1)
    if ts < session.began - SESSION_GAP:
        return session
    return Session(min(session.began, ts), max(session.last, ts), session.events + 1)

"""Serving two releases in one list: the other slot is asked at once, this one computes meanwhile, and a draft merges both.

The edge names the other slot in `X-Rankloop-Interleave`, for the units in the experiment's share. What the other slot does
not give in time costs nothing but the experiment: the list is then this release's, labelled and counted.
"""

import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final

import msgspec

from monitoring.metrics import Metrics
from rankloop.errors import PartMissing
from rankloop.experiment import Interleaved, draft_seed, experiment_seed, team_draft
from services.ranking.deadline import Deadline
from services.ranking.fallbacks import OTHER_FAILED, OTHER_LATE
from services.ranking.impressions import NO_FEATURES, Shown
from services.ranking.part import Pending, SlotClient
from services.ranking.schemas import Answer, Experiment

__all__ = ["NO_TEAM", "PART", "Beside", "Interleaver"]

PART: Final = "x-rankloop-part"
"""The header of a request that only wants to see what would be shown: nothing is logged, nothing interleaved."""

NO_TEAM: Final = ""
"""The team, in an impression, of an item that counts for neither release."""

_INTERLEAVE: Final = "x-rankloop-interleave"
_PASSED_ON: Final = ("authorization", "x-request-start")
_SLOT: Final = re.compile(r"[a-z]{1,16}")
_CONNECT_SECONDS: Final = 0.1
_KIND: Final = "team-draft"
_decoder: Final = msgspec.json.Decoder(Answer)


class Interleaver:
    """Asks other slots; one for an application.

    Args:
        url_of: where a slot answers, by its name.
        budget: how long an answer may take, seconds.
        metrics: where interleaved lists, and those that could not be, are counted.
    """

    def __init__(self, url_of: Callable[[str], str], budget: float, metrics: Metrics) -> None:
        self._url_of, self._budget, self.metrics = url_of, budget, metrics
        self._clients: dict[str, SlotClient] = {}

    def beside(self, path: str, body: bytes, headers: Mapping[str, str], *, request_id: str, waited: float) -> "Beside":
        """What the other slot says to a request, if the edge wants it asked; to be used as a context.

        Args:
            path: of the request.
            body: of the request.
            headers: of the request, by name in lower case.
            request_id: names the request there, too.
            waited: seconds since the request reached the edge.
        """
        slot = headers.get(_INTERLEAVE)
        if slot is None or PART in headers or not _SLOT.fullmatch(slot):
            return Beside(None, (path, body, {}), None, self.metrics)
        client = self._clients.get(slot) or self._clients.setdefault(slot, SlotClient(self._url_of(slot)))
        passed = {name: headers[name] for name in _PASSED_ON if name in headers} | {PART: "1", "x-request-id": request_id}
        return Beside(client, (path, body, passed), Deadline(self._budget, waited), self.metrics)


class Beside:
    """The other slot's part of one answer: under way from entry to exit."""

    def __init__(
        self, client: SlotClient | None, asked: tuple[str, bytes, dict[str, str]], due: Deadline | None, metrics: Metrics
    ) -> None:
        self._client, self._asked, self._due, self._metrics = client, asked, due, metrics
        self._pending: Pending | None = None

    async def __aenter__(self) -> "Beside":
        if self._client:
            try:
                self._pending = await self._client.ask(*self._asked, seconds=_CONNECT_SECONDS)
            except PartMissing:
                self._pending = None
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pending:
            self._pending.drop()

    async def merged(self, shown: Shown[Answer], k: int) -> tuple[Shown[Answer], list[str] | None]:
        """The list to show, and the team of each item; without teams where it is this release's alone.

        Args:
            shown: this release's list.
            k: how many items were asked for.
        """
        if not self._client:
            return shown, None
        other = await self._other()
        if isinstance(other, str):
            return _labelled(shown, self._counted(shown.request.surface, other)), None
        if other.release_id == shown.answer.release_id:
            self._metrics.interleaved.labels("same release").inc()
            return shown, None
        self._metrics.interleaved.labels("interleaved").inc()
        return _drafted(shown, other, k)

    async def _other(self) -> Answer | str:
        """The other slot's answer, or why there is none."""
        pending, self._pending = self._pending, None
        if pending is None or self._due is None:
            return OTHER_FAILED
        try:
            reply = await pending.reply(self._due.left())
            return _decoder.decode(reply.body) if reply.status == 200 else OTHER_FAILED
        except PartMissing as error:
            return OTHER_LATE if isinstance(error.__cause__, TimeoutError) else OTHER_FAILED
        except msgspec.DecodeError:
            return OTHER_FAILED

    def _counted(self, surface: str, reason: str) -> str:
        self._metrics.interleaved.labels("late" if reason == OTHER_LATE else "failed").inc()
        self._metrics.fallbacks.labels(surface, reason).inc()
        return reason


def _drafted(shown: Shown[Answer], other: Answer, k: int) -> tuple[Shown[Answer], list[str]]:
    own, names = shown.answer, {"a": shown.answer.release_id, "b": other.release_id}
    seed = experiment_seed(own.release_id, other.release_id)
    rankings = ([item.item_id for item in own.items], [item.item_id for item in other.items])
    draft: Interleaved = team_draft(*rankings, k, draft_seed(own.request_id, seed))
    ours, theirs = ({item.item_id: item for item in one.items} for one in (own, other))
    items = []
    for position, (item_id, team) in enumerate(zip(*draft, strict=True), 1):
        item = theirs[item_id] if team == "b" or item_id not in ours else ours[item_id]
        items.append(msgspec.structs.replace(item, position=position, release_id=names[team] if team else None))
    merged = msgspec.structs.replace(
        own,
        items=items,
        fallback="; ".join(dict.fromkeys(reason for reason in (own.fallback, other.fallback) if reason)) or None,
        experiment=Experiment(_KIND, list(names.values()), seed),
    )
    # each release knows the features of its own items only, and a half of them would be taken for the whole
    return shown._replace(answer=merged, features=NO_FEATURES), [item.release_id or NO_TEAM for item in items]


def _labelled(shown: Shown[Answer], reason: str) -> Shown[Answer]:
    said = "; ".join(filter(None, (shown.answer.fallback, reason)))
    return shown._replace(answer=msgspec.structs.replace(shown.answer, fallback=said))

"""Judged lists from a log: what the ranker learns from and is measured on."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.contracts import Tables
from rankloop.features import Assembler
from rankloop.judgements import judged_requests
from rankloop.ranking import Judged
from rankloop.request import Request
from rankloop.retrieval import Blend
from rankloop.rules import Rules
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Lists", "assembled", "logged", "retrieved"]

_Codes = npt.NDArray[np.int64]


class Lists(NamedTuple):
    """Lists of catalogue items with judgements, one entry a request.

    Attributes:
        requests: who asked for what, when.
        items: catalogue codes, in the order of the list.
        grades: int32, 0 to 5.
        positions: int32, 1-based where it was shown; 0 where it was not.
    """

    requests: list[Request]
    items: list[_Codes]
    grades: list[npt.NDArray[np.int32]]
    positions: list[npt.NDArray[np.int32]]


def logged(tables: Tables, catalogue: Vocabulary, start: datetime, end: datetime, *, horizon: datetime) -> Lists:
    """The lists people were shown in `[start, end)`, judged by what they did before `horizon`.

    Requests in which nobody did anything are left out: no order of theirs is better than another.
    """
    log = judged_requests(tables, start, end, horizon=horizon)
    lists = Lists([], [], [], [])
    for request, ids, grades, positions in zip(log.requests, log.items, log.grades, log.positions, strict=True):
        codes = catalogue.encode(ids)
        known = codes != UNKNOWN
        if grades[known].max(initial=0) > 0:
            _append(lists, request, codes[known], grades[known], positions[known])
    return lists


def retrieved(lists: Lists, blend: Blend, rules: Rules, depth: int) -> Lists:
    """The same requests, each with the candidates that retrieval would propose.

    For logs that hold only what people chose (view logs, check-ins): what was not chosen has to come from the
    catalogue. An item acted upon that was not retrieved is not added: a ranker would learn to tell the added from the
    retrieved, and would put first what retrieval ranks last. Requests of which nothing was retrieved are left out.
    """
    found = Lists([], [], [], [])
    for request, items, grades, _ in zip(*lists, strict=True):
        codes = blend.retrieve(request, depth, allowed=rules.allowed(request)).items
        best = dict(zip(items.tolist(), grades.tolist(), strict=True))
        judged = np.array([best.get(code, 0) for code in codes.tolist()], np.int32)
        if judged.max(initial=0) > 0:
            _append(found, request, codes, judged, np.zeros(len(codes), np.int32))
    return found


def assembled(lists: Lists, assembler: Assembler) -> Judged:
    """Lists with their features, as rankers take them."""
    empty = np.empty(0, np.int32)
    return Judged(
        features=assembler.assemble(lists.requests, lists.items),
        names=assembler.names,
        grades=np.concatenate([empty, *lists.grades]),
        positions=np.concatenate([empty, *lists.positions]),
        sizes=np.array([len(items) for items in lists.items], np.int64),
        user_ids=np.array([request.user_id for request in lists.requests], object),
    )


def _append(
    lists: Lists, request: Request, items: _Codes, grades: npt.NDArray[np.int32], positions: npt.NDArray[np.int32]
) -> None:
    lists.requests.append(request)
    lists.items.append(items)
    lists.grades.append(grades)
    lists.positions.append(positions)

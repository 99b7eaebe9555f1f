"""Where the scores of a ranked list come from."""

import math
from collections.abc import Sequence

from rankloop.bundle import Bundle
from rankloop.recommender import Ranked
from services.ranking.schemas import Contribution, Explanation

__all__ = ["explained"]


def explained(ranked: Ranked, bundle: Bundle) -> list[Explanation]:
    """One explanation an item, in the order of the list."""
    ranker = bundle.recommender.ranker
    shares = ranker.contributions(ranked.features)  # (items, features + 1)
    ids = bundle.catalogue.decode(ranked.items)
    rows = zip(ids, ranked.features.tolist(), shares.tolist(), strict=True)
    return [_explanation(item_id, ranker.names, values, own) for item_id, values, own in rows]


def _explanation(item_id: str, names: Sequence[str], values: Sequence[float], shares: Sequence[float]) -> Explanation:
    *own, constant = shares
    rows = [
        Contribution(name, None if math.isnan(value) else value, share)
        for name, value, share in zip(names, values, own, strict=True)
    ]
    return Explanation(item_id, constant, sorted(rows, key=lambda row: -abs(row.contribution)))

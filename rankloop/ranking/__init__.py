"""Rankers: they order candidates by their features. Tuning is in `rankloop.ranking.tuning`, which needs Ray."""

from rankloop.ranking.base import Judged, Ranker
from rankloop.ranking.boosting import Boosting
from rankloop.ranking.by_feature import ByFeature
from rankloop.ranking.lambdamart import LambdaMart

__all__ = ["RANKERS", "Boosting", "ByFeature", "Judged", "LambdaMart", "Ranker"]

RANKERS: dict[str, type[Ranker]] = {kind.name: kind for kind in (ByFeature, LambdaMart)}
"""Every ranker by its name, as a bundle names them."""

"""How two releases differ: what they are made of, what was measured of them, and what they answer to real requests."""

from services.control.comparing.facts import (
    Features,
    Files,
    Important,
    Line,
    Metric,
    Models,
    features_of,
    files_of,
    importance_of,
    lineage_of,
    metrics_of,
    models_of,
)
from services.control.comparing.ranked import ranked_by
from services.control.comparing.rankings import Example, Mean, Placed, Rankings, Sides, compare_answers
from services.control.comparing.releases import ReleaseDiff, compare_releases

__all__ = [
    "Example",
    "Features",
    "Files",
    "Important",
    "Line",
    "Mean",
    "Metric",
    "Models",
    "Placed",
    "Rankings",
    "ReleaseDiff",
    "Sides",
    "compare_answers",
    "compare_releases",
    "features_of",
    "files_of",
    "importance_of",
    "lineage_of",
    "metrics_of",
    "models_of",
    "ranked_by",
]

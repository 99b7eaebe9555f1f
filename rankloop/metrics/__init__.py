"""How good a ranking is: per query first, mean and interval last."""

from rankloop.metrics._ranked import UndefinedMetric
from rankloop.metrics.agreement import kendall_tau, overlap, rank_biased_overlap
from rankloop.metrics.intervals import Interval, bootstrap_difference, bootstrap_mean
from rankloop.metrics.lists import catalogue_coverage, exposure_gini, of_lists
from rankloop.metrics.ranking import average_precision, ndcg, precision, recall, reciprocal_rank
from rankloop.metrics.streams import Distinct, RunningMean, resample_weights

__all__ = [
    "Distinct",
    "Interval",
    "RunningMean",
    "UndefinedMetric",
    "average_precision",
    "bootstrap_difference",
    "bootstrap_mean",
    "catalogue_coverage",
    "exposure_gini",
    "kendall_tau",
    "ndcg",
    "of_lists",
    "overlap",
    "precision",
    "rank_biased_overlap",
    "recall",
    "reciprocal_rank",
    "resample_weights",
]

"""What people do with two releases, and what can be said of it whenever one looks."""

from rankloop.experiment.counting import Counts, Rates, rate_bounds, rate_ratio_bounds
from rankloop.experiment.interleaving import (
    Credits,
    Interleaved,
    Preference,
    credit,
    draft_seed,
    experiment_seed,
    preference,
    team_draft,
)
from rankloop.experiment.rarefaction import Incidence, Rarefied, expected_items, rarefied_difference, rarefy
from rankloop.experiment.ratio import Difference, ratio_difference
from rankloop.experiment.readout import Liking, Readout, read_out
from rankloop.experiment.sample_ratio import SampleRatio, sample_ratio
from rankloop.experiment.scoreboard import Agreement, Effect, Rank, Scoreboard, Trial, scoreboard
from rankloop.experiment.sequential import AlwaysValid, always_valid

__all__ = [
    "Agreement",
    "AlwaysValid",
    "Counts",
    "Credits",
    "Difference",
    "Effect",
    "Incidence",
    "Interleaved",
    "Liking",
    "Preference",
    "Rank",
    "Rarefied",
    "Rates",
    "Readout",
    "SampleRatio",
    "Scoreboard",
    "Trial",
    "always_valid",
    "credit",
    "draft_seed",
    "expected_items",
    "experiment_seed",
    "preference",
    "rarefied_difference",
    "rarefy",
    "rate_bounds",
    "rate_ratio_bounds",
    "ratio_difference",
    "read_out",
    "sample_ratio",
    "scoreboard",
    "team_draft",
]

"""Which of two releases people prefer, from what they do with lists that hold both."""

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

__all__ = [
    "Credits",
    "Interleaved",
    "Preference",
    "credit",
    "draft_seed",
    "experiment_seed",
    "preference",
    "team_draft",
]

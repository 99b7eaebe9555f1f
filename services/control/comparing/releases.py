"""The whole comparison of two releases."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from rankloop.bundle import Manifest
from rankloop.errors import BundleError, ControlError
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
from services.control.comparing.rankings import Rankings, compare_answers
from services.control.database import ReleaseFacts
from services.control.drivers.warming import Asked
from services.settings import Settings

__all__ = ["ReleaseDiff", "compare_releases"]


class ReleaseDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How a release differs from an earlier one.

    Attributes:
        before: the earlier release.
        after: the later one.
        models: retrievers, ranker, depth, surfaces.
        features: added, removed, and defined otherwise.
        importance: what mattered to either ranker most.
        metrics: offline, with differences.
        lineage: data, features, code, recipe.
        files: of the bundles.
        rankings: of real requests; None: none were asked.
    """

    before: str
    after: str
    models: Models
    features: Features
    importance: list[Important]
    metrics: list[Metric]
    lineage: list[Line]
    files: Files
    rankings: Rankings | None = None


def compare_releases(
    before: ReleaseFacts, after: ReleaseFacts, *, requests: Sequence[Asked] = (), settings: Settings
) -> ReleaseDiff:
    """Compares two releases, from what is recorded of them and, where requests are given, from what they answer.

    Each bundle is opened in a process of its own, one after the other, so this takes seconds and never the memory of both.

    Args:
        before: the earlier release.
        after: the later one.
        requests: what both are asked, such as `sample_requests` draws.
        settings: the limits of requests.

    Raises:
        ControlError: rankings are to be compared, and a bundle is not there any more.
        BundleError: a bundle was altered, or does not answer.
    """
    rankings = None
    if requests:
        for facts in (before, after):
            if not Path(facts.bundle).is_dir():
                raise ControlError(
                    f"the bundle of {facts.release_id} is not at {facts.bundle!r} any more, so it cannot be asked; "
                    "compare without requests, or register the release where it lies now"
                )
        answers = [ranked_by(facts.bundle, requests, settings) for facts in (before, after)]
        rankings = compare_answers(requests, *answers)
    return ReleaseDiff(
        before=before.release_id,
        after=after.release_id,
        models=models_of(before, after, (_depth(before), _depth(after))),
        features=features_of(before, after),
        importance=importance_of(before, after),
        metrics=metrics_of(before, after),
        lineage=lineage_of(before, after),
        files=files_of(before, after),
        rankings=rankings,
    )


def _depth(facts: ReleaseFacts) -> int | None:
    """How many candidates its ranker sees, where its manifest still lies there."""
    try:
        return Manifest.read(Path(facts.bundle)).depth
    except BundleError:
        return None

"""What is recorded of two releases, side by side; every function takes the earlier one first."""

import math
from typing import Any, Final

import msgspec

from services.control.database import ReleaseFacts

__all__ = [
    "Features",
    "Files",
    "Important",
    "Line",
    "Metric",
    "Models",
    "features_of",
    "files_of",
    "importance_of",
    "lineage_of",
    "metrics_of",
    "models_of",
]

_VIEWS: Final = "features/views/"
_ALL: Final = "all"


class Line(msgspec.Struct, frozen=True):
    """One fact that differs.

    Attributes:
        name: of the fact; parts of a whole have dots between them.
        before: of the earlier release; None: it has none.
        after: of the later one; None: it has none.
    """

    name: str
    before: Any
    after: Any


class Models(msgspec.Struct, frozen=True):
    """What proposes and orders.

    Attributes:
        retrievers_added: those that only the later release has.
        retrievers_removed: those that only the earlier one has.
        reordered: the others stand in another order in the blend, which decides ties.
        lines: ranker, depth and surfaces that differ.
        refitted: retrievers and ranker of both whose learned numbers differ.
    """

    retrievers_added: list[str]
    retrievers_removed: list[str]
    reordered: bool
    lines: list[Line]
    refitted: list[str]


class Features(msgspec.Struct, frozen=True):
    """What the ranker sees.

    Attributes:
        added: features that only the later release has.
        removed: those that only the earlier one has.
        kept: how many both have.
        views_changed: feature views whose SQL differs, so that features of the same names mean something else.
    """

    added: list[str]
    removed: list[str]
    kept: int
    views_changed: list[str]


class Important(msgspec.Struct, frozen=True):
    """One feature's share of what the trees gained.

    Attributes:
        feature: its name.
        before: share in the earlier release; None: it does not have the feature.
        after: share in the later one; None likewise.
        rank_before: 1 is the most important; None as above.
        rank_after: likewise.
    """

    feature: str
    before: float | None
    after: float | None
    rank_before: int | None
    rank_after: int | None


class Metric(msgspec.Struct, frozen=True):
    """One offline metric.

    Attributes:
        metric: its name.
        before: the earlier release's, as it was released with; None: not measured.
        after: the later one's; None likewise.
        difference: later minus earlier; where `paired`, on the same requests.
        lower: where the difference lies at least, 95 %; None where it is not paired.
        upper: where it lies at most.
        paired: both were measured on the same requests, when the later one was to beat the earlier one; else each has
            its own test window, and part of the difference is the windows'.
    """

    metric: str
    before: float | None
    after: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    paired: bool


class Files(msgspec.Struct, frozen=True):
    """The bundles' files by their SHA-256: paths."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    same: int


def models_of(before: ReleaseFacts, after: ReleaseFacts, depths: tuple[int | None, int | None] = (None, None)) -> Models:
    """Retrievers, ranker, depth and surfaces.

    Args:
        before: the earlier release.
        after: the later one.
        depths: how many candidates the ranker of each sees, where that is known.
    """
    both = [name for name in before.retrievers if name in after.retrievers]
    facts = {
        "ranker": (before.ranker, after.ranker),
        "depth": depths if None not in depths else (None, None),
        "surfaces": (list(before.surfaces), list(after.surfaces)),
    }
    changed = set(files_of(before, after).changed)
    folders = [*(f"retrievers/{name}/" for name in both), "ranker/"]
    return Models(
        retrievers_added=_only(after.retrievers, before.retrievers),
        retrievers_removed=_only(before.retrievers, after.retrievers),
        reordered=both != [name for name in after.retrievers if name in before.retrievers],
        lines=[Line(name, old, new) for name, (old, new) in facts.items() if old != new],
        refitted=[folder.strip("/") for folder in folders if any(path.startswith(folder) for path in changed)],
    )


def features_of(before: ReleaseFacts, after: ReleaseFacts) -> Features:
    """Features by name, and the views whose definition changed."""
    changed = files_of(before, after).changed
    return Features(
        added=_only(after.features, before.features),
        removed=_only(before.features, after.features),
        kept=len(set(before.features) & set(after.features)),
        views_changed=[path.removeprefix(_VIEWS).removesuffix(".sql") for path in changed if path.startswith(_VIEWS)],
    )


def importance_of(before: ReleaseFacts, after: ReleaseFacts, most: int = 20) -> list[Important]:
    """The features that matter most in either release, by the larger of their shares.

    Args:
        before: the earlier release.
        after: the later one.
        most: how many at most; none where an importance was not recorded.
    """
    if not before.importance or not after.importance:
        return []
    old, new = before.importance, after.importance
    old_rank, new_rank = _ranks(old), _ranks(new)
    names = sorted({*old, *new}, key=lambda name: (-max(old.get(name, 0.0), new.get(name, 0.0)), name))
    return [Important(name, old.get(name), new.get(name), old_rank.get(name), new_rank.get(name)) for name in names[:most]]


def metrics_of(before: ReleaseFacts, after: ReleaseFacts) -> list[Metric]:
    """Every metric of either release, with the paired difference where the later one was measured against the earlier."""
    paired = _paired(before.release_id, after)
    names = list(dict.fromkeys((*before.numbers, *after.numbers, *paired)))
    return [_metric(name, before.numbers.get(name), after.numbers.get(name), paired.get(name)) for name in names]


def lineage_of(before: ReleaseFacts, after: ReleaseFacts) -> list[Line]:
    """Data, features, code, recipe: what differs of where the releases come from, and the moment they know up to."""
    old, new = ({"as_of": own.as_of, "run_id": own.run_id, **_flat(own.lineage)} for own in (before, after))
    names = dict.fromkeys((*old, *new))
    return [Line(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def files_of(before: ReleaseFacts, after: ReleaseFacts) -> Files:
    """Files by fingerprint."""
    both = set(before.files) & set(after.files)
    changed = sorted(path for path in both if before.files[path] != after.files[path])
    return Files(
        added=sorted(set(after.files) - both),
        removed=sorted(set(before.files) - both),
        changed=changed,
        same=len(both) - len(changed),
    )


def _only(these: tuple[str, ...], those: tuple[str, ...]) -> list[str]:
    return [name for name in these if name not in set(those)]


def _ranks(shares: dict[str, float]) -> dict[str, int]:
    ordered = sorted(shares, key=lambda name: (-shares[name], name))
    return {name: place for place, name in enumerate(ordered, 1)}


def _paired(champion: str, after: ReleaseFacts) -> dict[str, dict[str, Any]]:
    """The gate's rows on all requests against this very champion, by metric."""
    rows = (after.verdict or (after.evaluation or {}).get("verdict") or {}).get("rows", [])
    return {row["metric"]: row for row in rows if row.get("reference") == champion and row.get("slice") == _ALL}


def _metric(name: str, old: float | None, new: float | None, row: dict[str, Any] | None) -> Metric:
    old, new = _finite(old), _finite(new)
    if row is not None and row.get("difference") is not None:
        bounds = _finite(row.get("lower")), _finite(row.get("upper"))
        values = _finite(row.get("reference_value")), _finite(row.get("candidate_value"))
        return Metric(name, *values, _finite(row["difference"]), *bounds, paired=True)
    difference = None if old is None or new is None else new - old
    return Metric(name, old, new, difference, None, None, paired=False)


def _flat(facts: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) and value else {f"{before}{name}": value}
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

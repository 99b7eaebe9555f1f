"""The same numbers from Prometheus, which scrapes any number of tallies and edges."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import httpx

from rankloop.canary import METRICS, Arm, Coverage, Observation, Ratio
from rankloop.errors import DataError
from services.control.observing.observer import EdgeCounts, Overlap, belongs, completed
from services.edge import NAMES
from services.tally.telling import BOUNDS, MOMENTS, ROLES, counts_between

__all__ = ["PrometheusObserver"]

log = logging.getLogger(__name__)

_SECONDS: Final = 5.0
_TALLIES: Final = '{__name__=~"rankloop_tally_.+"}'
_OWN: Final = frozenset({"__name__", "slot", "metric", "moment", "le", "of", "role", "release_id"})
_PREFIX: Final = "rankloop_tally_"


class _Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


class _Node(NamedTuple):
    """What one tally says."""

    slots: tuple[str, str]
    seen: Observation
    lag: float


class PrometheusObserver:
    """Asks Prometheus, with instant queries.

    Counts of edges are `increase` over the phase: Prometheus extrapolates to the ends of it, so they are right to what
    is answered between two scrapes. Sums are added over tallies; a person whose lists two machines logged is a unit of
    each. Coverage cannot be added, and is that of the tally that has most of it.

    Args:
        url: Prometheus', such as `http://127.0.0.1:9090`.
        overlap: what a shadow says.
    """

    def __init__(self, url: str, overlap: Overlap) -> None:
        self._url, self._overlap = url.rstrip("/"), overlap
        self._client = httpx.Client(timeout=_SECONDS, trust_env=False)

    def observe(self, stable: str, canary: str, since: float) -> Observation | None:
        """Both slots since the present share of the canary holds; None where it cannot be told."""
        try:
            at, samples = self._asked(_TALLIES)
            nodes = [_node(own, at) for own in _by_tally(samples)]
            if not nodes or not all(belongs(one.seen, one.lag, stable, canary, since) for one in nodes):
                return None
            seen = _sum([one.seen for one in nodes])
            counts = self._counts(at, seen.since)
        except (httpx.HTTPError, DataError) as error:
            log.warning("Prometheus at %s cannot tell: %s", self._url, error)
            return None
        return completed(seen, nodes[0].slots, counts, self._overlap(stable, canary))

    def _counts(self, at: float, since: float) -> dict[str, EdgeCounts]:
        window = f"[{max(1, round(1000 * (at - since)))}ms]"
        slots = f'{{proxy=~"{"|".join(NAMES)}"}}'
        _, answered = self._asked(f"sum by (proxy, code) (increase(haproxy_backend_http_responses_total{slots}{window}))", at)
        _, waited = self._asked(f"sum by (proxy) (increase(haproxy_backend_connection_errors_total{slots}{window}))", at)
        found = {}
        for slot in NAMES:
            own = {one.labels["code"]: one.value for one in answered if one.labels["proxy"] == slot}
            unconnected = sum(one.value for one in waited if one.labels["proxy"] == slot)
            found[slot] = EdgeCounts.of(sum(own.values()), own.get("5xx", 0.0), unconnected)
        return found

    def _asked(self, query: str, at: float | None = None) -> tuple[float, list[_Sample]]:
        """The moment of the answer, and its samples."""
        wanted = {"query": query} | ({} if at is None else {"time": f"{at:.3f}"})
        reply = self._client.post(f"{self._url}/api/v1/query", data=wanted)
        try:
            body: Any = reply.json()
            if body["status"] != "success":
                raise DataError(f"{query} was refused: {body.get('error')}")
            rows = body["data"]["result"]
            samples = [_Sample(row["metric"].get("__name__", ""), row["metric"], float(row["value"][1])) for row in rows]
            return (float(rows[0]["value"][0]) if rows else 0.0), samples
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{query} has an answer that is not Prometheus' ({error!r}): {reply.text[:200]}") from error


def _by_tally(samples: Iterable[_Sample]) -> list[list[_Sample]]:
    nodes = defaultdict(list)
    for sample in samples:
        nodes[frozenset((name, value) for name, value in sample.labels.items() if name not in _OWN)].append(sample)
    return list(nodes.values())


def _node(samples: list[_Sample], at: float) -> _Node:
    """One tally's series as an observation.

    Raises:
        DataError: some are missing: it has no phase yet.
    """
    values = {(one.name.removeprefix(_PREFIX), *_own(one)): one.value for one in samples}
    roles = {one.labels["role"]: one.labels for one in samples if one.name == f"{_PREFIX}release_info"}
    try:
        stable, canary = (roles[role] for role in ROLES)
        arms = [_arm(own, values) for own in (stable, canary)]
        lag = values["lag_seconds",]
        since, share = values["phase_start_timestamp_seconds",], values["canary_ratio",]
    except KeyError as error:
        raise DataError(f"a tally has no {error} yet; wait for a scrape") from error
    seen = Observation(at - lag, since, round(10_000 * share), arms[0], arms[1], _coverage(values))
    return _Node((stable["slot"], canary["slot"]), seen, lag)


def _own(sample: _Sample) -> tuple[str, ...]:
    """The values of its labels, in the order of their names, but for those that name the release."""
    wanted = _OWN - {"__name__", "role", "release_id"}
    return tuple(value for name, value in sorted(sample.labels.items()) if name in wanted)


def _arm(labels: dict[str, str], values: dict[tuple[str, ...], float]) -> Arm:
    slot = labels["slot"]
    ratios = {metric: _ratio([values["moments", metric, moment, slot] for moment in MOMENTS]) for metric in METRICS}
    below = [int(values["latency_lists", bound, slot]) for bound in BOUNDS]
    lists, units = int(values["lists", slot]), int(values["units", slot])
    return Arm(labels.get("release_id", ""), units, 0, 0, lists, ratios, counts_between(below))


def _ratio(moments: list[float]) -> Ratio:
    return Ratio(int(moments[0]), *moments[1:])


def _coverage(values: dict[tuple[str, ...], float]) -> Coverage | None:
    if ("coverage_items", "places") not in values:
        return None
    places, canary, stable, variance = (values["coverage_items", name] for name in ("places", "canary", "stable", "variance"))
    return Coverage(int(places), canary, stable, variance)


def _sum(several: list[Observation]) -> Observation:
    first = several[0]
    covered = [one.coverage for one in several if one.coverage is not None]
    return Observation(
        at=min(one.at for one in several),
        since=max(one.since for one in several),
        canary_bp=first.canary_bp,
        stable=_sum_arms([one.stable for one in several]),
        canary=_sum_arms([one.canary for one in several]),
        coverage=max(covered, key=lambda one: one.places, default=None),
    )


def _sum_arms(arms: list[Arm]) -> Arm:
    ratios = {
        metric: Ratio(*(sum(getattr(arm.ratios[metric], moment) for arm in arms) for moment in MOMENTS)) for metric in METRICS
    }
    return Arm(
        release_id=arms[0].release_id,
        units=sum(arm.units for arm in arms),
        requests=0,
        failed=0,
        lists=sum(arm.lists for arm in arms),
        ratios=ratios,
        seconds=[sum(counts) for counts in zip(*(arm.seconds for arm in arms), strict=True)],
    )

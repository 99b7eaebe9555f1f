"""Every exported series, declared once: the unit is in the name, and labels take few values."""
# over budget: every series of the project is declared in one place, with the class of each process that exports it

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = [
    "SERIES",
    "ControlMetrics",
    "CuratorMetrics",
    "EventMetrics",
    "HttpMetrics",
    "Metrics",
    "Series",
    "ShadowMetrics",
    "SpoolMetrics",
    "TallyMetrics",
]


class Series(NamedTuple):
    """One family of series.

    Attributes:
        kind: counter, gauge or histogram.
        help: one sentence, as scrapers see it.
        labels: their names; each takes a bounded set of values.
    """

    kind: str
    help: str
    labels: tuple[str, ...] = ()


_SHARES: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1.0)
_SHIFTS: Final = (-2.0, -1.0, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

_STAGES: Final = ("state", "retrieve", "rank", "explain", "log")

SERIES: Final[dict[str, Series]] = {
    "rankloop_http_requests_total": Series(
        "counter",
        "Requests answered; route is the path's template, or 'none' where no route matched.",
        ("route", "method", "status"),
    ),
    "rankloop_http_request_duration_seconds": Series(
        "histogram", "From the first byte of a request's headers to the first of its answer.", ("route",)
    ),
    "rankloop_stage_duration_seconds": Series(
        "histogram", "Time of one stage of an answer: state, retrieve (rules included), rank, explain, log.", ("stage",)
    ),
    "rankloop_answered_items_total": Series(
        "counter", "Items in answers, by the retriever that proposed them highest.", ("surface", "source")
    ),
    "rankloop_fallbacks_total": Series("counter", "Answers made with less than the whole release.", ("reason",)),
    "rankloop_empty_answers_total": Series("counter", "Answers without a single item.", ("surface",)),
    "rankloop_shed_requests_total": Series("counter", "Requests refused because they had waited too long to be answered."),
    "rankloop_impressions_total": Series(
        "counter", "Lists given to people: logged, or lost because the spool was full.", ("outcome",)
    ),
    "rankloop_release_info": Series("gauge", "1 for the release that answers.", ("release_id",)),
    "rankloop_release_as_of_timestamp_seconds": Series("gauge", "The newest moment the release knows, Unix time."),
    "rankloop_catalogue_items": Series("gauge", "Items the release can show."),
    "rankloop_spool_bytes": Series(
        "gauge", "Bytes in the segments of a stream, all writers', as one of them counts.", ("stream",)
    ),
    "rankloop_spool_shed_bytes_total": Series(
        "counter", "Bytes deleted from a stream because it was full, before anything read them perhaps.", ("stream",)
    ),
    "rankloop_spool_refused_total": Series(
        "counter", "Frames that a stream refused: it was full, or its disk failed.", ("stream",)
    ),
    "rankloop_events_total": Series(
        "counter", "Events in batches; outcome is accepted, duplicate (within its batch) or rejected.", ("kind", "outcome")
    ),
    "rankloop_event_batch_duration_seconds": Series(
        "histogram", "From the body of a batch to its frame on the disk, as durable as the policy says."
    ),
    "rankloop_fold_lag_seconds": Series("gauge", "Time since everything in the spool of events was in the online store."),
    "rankloop_folded_events_total": Series("counter", "Events that changed the online store; one that came twice counts once."),
    "rankloop_roll_lag_seconds": Series(
        "gauge", "Age of the oldest sealed segment that is not in the log; 0 where there is none."
    ),
    "rankloop_rolled_rows_total": Series("counter", "Rows written to the log; a segment rolled again counts again.", ("table",)),
    "rankloop_uploads_total": Series("counter", "Files of the log sent to its URL; outcome is done or failed.", ("outcome",)),
    "rankloop_erasures_total": Series("counter", "Demands to be forgotten that are complete."),
    "rankloop_retained_partitions_deleted_total": Series(
        "counter", "Hours of the log deleted because they were over their retention.", ("table",)
    ),
    "rankloop_kafka_messages_total": Series("counter", "Messages that Kafka has acknowledged.", ("topic",)),
    "rankloop_curator_failures_total": Series(
        "counter",
        "Times a task of the curator failed, to be tried again: fold, roll, sweep, upload, erase, retain, kafka.",
        ("task",),
    ),
    "rankloop_interleaved_requests_total": Series(
        "counter", "Requests that were to be interleaved; outcome is interleaved, failed, late or same release.", ("outcome",)
    ),
    "rankloop_shadow_requests_total": Series(
        "counter",
        "Requests in the shadow's share; outcome is compared, failed, late, degraded (the list shown was itself) or old.",
        ("outcome",),
    ),
    "rankloop_shadow_overlap_ratio": Series(
        "histogram", "Share of items that both lists of a request have among their first; cut is 5, 10 or all.", ("cut",)
    ),
    "rankloop_shadow_rbo_ratio": Series("histogram", "Rank-biased overlap of both lists of a request, p = 0.9."),
    "rankloop_shadow_score_shift_ratio": Series(
        "histogram", "Mean score of the other slot's list minus that of the list shown, in the standard deviation of the latter."
    ),
    "rankloop_shadow_latency_seconds": Series(
        "histogram", "Time of an answer: the engine's as logged where slot is stable, over HTTP where it is other.", ("slot",)
    ),
    "rankloop_tally_units": Series("gauge", "Distinct people a slot showed lists to in the phase.", ("slot",)),
    "rankloop_tally_lists": Series("gauge", "Lists a slot showed in the phase.", ("slot",)),
    "rankloop_tally_moments": Series(
        "gauge",
        "Of a metric, over the people of a slot in the phase: units, x, y, xx, yy, xy of a numerator x and a denominator y.",
        ("slot", "metric", "moment"),
    ),
    "rankloop_tally_latency_lists": Series(
        "gauge", "Lists of the phase for which the engine took at most so many seconds.", ("slot", "le")
    ),
    "rankloop_tally_coverage_items": Series(
        "gauge",
        "Distinct items that equally many people saw: places, canary, stable, variance (of the difference).",
        ("of",),
    ),
    "rankloop_tally_release_info": Series(
        "gauge", "1 for the release that the tally counts in a slot; role is stable or canary.", ("slot", "role", "release_id")
    ),
    "rankloop_tally_canary_ratio": Series("gauge", "Share of the units that the canary has."),
    "rankloop_tally_phase_start_timestamp_seconds": Series("gauge", "Since when the tally counts, Unix time."),
    "rankloop_tally_lag_seconds": Series("gauge", "Time since everything in the spools was in the tally."),
    "rankloop_lists_total": Series("counter", "Lists that count for a slot.", ("slot", "surface")),
    "rankloop_outcomes_total": Series(
        "counter", "First outcomes of each kind of an item in a list that counts for a slot.", ("slot", "surface", "kind")
    ),
    "rankloop_control_leader_info": Series("gauge", "1 in the control plane whose loop runs, 0 in those that wait."),
    "rankloop_control_tick_timestamp_seconds": Series("gauge", "When the loop's last round ended, Unix time."),
    "rankloop_control_fault_info": Series("gauge", "1 for each part that is not well; in the leader's series alone.", ("part",)),
    "rankloop_canary_info": Series(
        "gauge", "1 for the canary under way, by the release on trial and where it stands.", ("release_id", "status")
    ),
    "rankloop_canary_weight_ratio": Series("gauge", "Share of the units that the record gives the canary."),
    "rankloop_canary_decisions_total": Series(
        "counter", "Decisions on canaries in the record since this process began: continue, advance, hold and so on.", ("action",)
    ),
    "rankloop_runs_total": Series(
        "counter", "Runs of the pipeline that came to a state since this process began.", ("surface", "state")
    ),
}
"""Name to declaration; the tests and the docs list exactly these."""


class ProcessMetrics:
    """The series of one process or application, in a registry of their own, so that two never share a count.

    Args:
        process: also export the process's memory, CPU time and open files.
    """

    def __init__(self, *, process: bool = True) -> None:
        self.registry = CollectorRegistry()
        if process:
            ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """Everything, as a scraper reads it."""
        return generate_latest(self.registry)

    def _counter(self, name: str) -> Counter:
        return Counter(name, SERIES[name].help, SERIES[name].labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(name, SERIES[name].help, SERIES[name].labels, registry=self.registry)

    def _histogram(self, name: str, buckets: Sequence[float] = _SECONDS) -> Histogram:
        return Histogram(name, SERIES[name].help, SERIES[name].labels, registry=self.registry, buckets=buckets)


class CuratorMetrics(ProcessMetrics):
    """Those of the curator."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.fold_lag = self._gauge("rankloop_fold_lag_seconds")
        self.folded = self._counter("rankloop_folded_events_total")
        self.roll_lag = self._gauge("rankloop_roll_lag_seconds")
        self.rolled_rows = self._counter("rankloop_rolled_rows_total")
        self.uploads = self._counter("rankloop_uploads_total")
        self.erasures = self._counter("rankloop_erasures_total")
        self.deleted_partitions = self._counter("rankloop_retained_partitions_deleted_total")
        self.kafka_messages = self._counter("rankloop_kafka_messages_total")
        self.failures = self._counter("rankloop_curator_failures_total")


class ShadowMetrics(ProcessMetrics):
    """Those of the shadow worker."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.requests = self._counter("rankloop_shadow_requests_total")
        self.overlap = self._histogram("rankloop_shadow_overlap_ratio", _SHARES)
        self.rbo = self._histogram("rankloop_shadow_rbo_ratio", _SHARES)
        self.shift = self._histogram("rankloop_shadow_score_shift_ratio", _SHIFTS)
        self.latency = self._histogram("rankloop_shadow_latency_seconds")


class TallyMetrics(ProcessMetrics):
    """Those of the tally."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.units = self._gauge("rankloop_tally_units")
        self.lists = self._gauge("rankloop_tally_lists")
        self.moments = self._gauge("rankloop_tally_moments")
        self.latency = self._gauge("rankloop_tally_latency_lists")
        self.coverage = self._gauge("rankloop_tally_coverage_items")
        self.release = self._gauge("rankloop_tally_release_info")
        self.canary_share = self._gauge("rankloop_tally_canary_ratio")
        self.phase_start = self._gauge("rankloop_tally_phase_start_timestamp_seconds")
        self.lag = self._gauge("rankloop_tally_lag_seconds")
        self.all_lists = self._counter("rankloop_lists_total")
        self.outcomes = self._counter("rankloop_outcomes_total")


class HttpMetrics(ProcessMetrics):
    """Those of any application that answers over HTTP."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.requests = self._counter("rankloop_http_requests_total")
        self.request_seconds = self._histogram("rankloop_http_request_duration_seconds")


class ControlMetrics(HttpMetrics):
    """Those of the control plane."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.leader = self._gauge("rankloop_control_leader_info")
        self.tick = self._gauge("rankloop_control_tick_timestamp_seconds")
        self.faults = self._gauge("rankloop_control_fault_info")
        self.canary = self._gauge("rankloop_canary_info")
        self.canary_share = self._gauge("rankloop_canary_weight_ratio")
        self.decisions = self._counter("rankloop_canary_decisions_total")
        self.runs = self._counter("rankloop_runs_total")


class SpoolMetrics(HttpMetrics):
    """Those of an application that keeps a spool."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.spool_bytes = self._gauge("rankloop_spool_bytes")
        self.spool_shed = self._counter("rankloop_spool_shed_bytes_total")
        self.spool_refused = self._counter("rankloop_spool_refused_total")


class EventMetrics(SpoolMetrics):
    """Those of a collector of events."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.events = self._counter("rankloop_events_total")
        self.batch_seconds = self._histogram("rankloop_event_batch_duration_seconds")


class Metrics(SpoolMetrics):
    """Those of a release that answers.

    Example:
        >>> metrics = Metrics(process=False)
        >>> metrics.fallbacks.labels(reason="unknown user").inc()
        >>> 'rankloop_fallbacks_total{reason="unknown user"} 1.0' in metrics.text().decode()
        True
    """

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        stages = self._histogram("rankloop_stage_duration_seconds")
        self._stages = {name: stages.labels(name) for name in _STAGES}
        self.items = self._counter("rankloop_answered_items_total")
        self.fallbacks = self._counter("rankloop_fallbacks_total")
        self.empty = self._counter("rankloop_empty_answers_total")
        self.shed = self._counter("rankloop_shed_requests_total")
        self.impressions = self._counter("rankloop_impressions_total")
        self.interleaved = self._counter("rankloop_interleaved_requests_total")
        self.release = self._gauge("rankloop_release_info")
        self.as_of = self._gauge("rankloop_release_as_of_timestamp_seconds")
        self.catalogue = self._gauge("rankloop_catalogue_items")

    def stage(self, name: str) -> AbstractContextManager[Any]:
        """Times one stage of an answer."""
        return self._stages[name].time()

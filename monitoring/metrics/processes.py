"""What each process exports: a class with one attribute for each family of series."""

from collections.abc import Iterable
from time import perf_counter

from prometheus_client import Counter, Histogram, ProcessCollector, generate_latest

from monitoring.metrics.families import Families

__all__ = [
    "CuratorMetrics",
    "EventMetrics",
    "HttpMetrics",
    "Metrics",
    "ProcessMetrics",
    "ShadowMetrics",
    "SpoolMetrics",
    "TallyMetrics",
]


class ProcessMetrics:
    """The series of one process or application, in a registry of their own, so that two never share a count.

    Args:
        process: also export the process's memory, CPU time and open files.
    """

    def __init__(self, *, process: bool = True) -> None:
        self._families = Families()
        self.registry = self._families.registry
        self._counter, self._gauge, self._histogram = self._families.counter, self._families.gauge, self._families.histogram
        if process:
            ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """Everything, as a scraper reads it."""
        return generate_latest(self.registry)


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
        self.overlap = self._histogram("rankloop_shadow_overlap_ratio")
        self.rbo = self._histogram("rankloop_shadow_rbo_ratio")
        self.shift = self._histogram("rankloop_shadow_score_shift_ratio")
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
        self.release_lists = self._counter("rankloop_release_lists_total")
        self.release_outcomes = self._counter("rankloop_release_outcomes_total")


class HttpMetrics(ProcessMetrics):
    """Those of any application that answers over HTTP."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.requests: Counter = self._counter("rankloop_http_requests_total")
        self.request_seconds: Histogram = self._histogram("rankloop_http_request_duration_seconds")


class SpoolMetrics(HttpMetrics):
    """Those of an application that keeps a spool."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.spool_bytes = self._gauge("rankloop_spool_bytes")
        self.spool_room = self._gauge("rankloop_spool_room_bytes")
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
        >>> metrics.fallbacks.labels("job_feed", "unknown user").inc()
        >>> 'rankloop_fallbacks_total{reason="unknown user",surface="job_feed"} 1.0' in metrics.text().decode()
        True
    """

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.answers = self._counter("rankloop_answers_total")
        self.answer_seconds = self._histogram("rankloop_answer_duration_seconds")
        self.stages = self._histogram("rankloop_stage_duration_seconds")
        self.scores = self._histogram("rankloop_scores")
        self.items = self._counter("rankloop_answered_items_total")
        self.fallbacks = self._counter("rankloop_fallbacks_total")
        self.empty = self._counter("rankloop_empty_answers_total")
        self.shed = self._counter("rankloop_shed_requests_total")
        self.impressions = self._counter("rankloop_impressions_total")
        self.interleaved = self._counter("rankloop_interleaved_requests_total")
        self.release = self._gauge("rankloop_release_info")
        self.as_of = self._gauge("rankloop_release_as_of_timestamp_seconds")
        self.catalogue = self._gauge("rankloop_catalogue_items")

    def begin(self, surfaces: Iterable[str]) -> None:
        """Lets the counts of these product places begin at 0, so that the first failure is seen as a rise."""
        for surface in surfaces:
            self.empty.labels(surface)
            for outcome in ("whole", "fallback", "empty", "failed"):
                self.answers.labels(surface, outcome)

    def stage(self, surface: str, name: str) -> "_StageTimer":
        """Times one stage of an answer."""
        return _StageTimer(self.stages.labels(surface, name))


class _StageTimer:
    """Observes how long its block takes; the library's own also knows gauges and decorators, and takes twice as long.

    Args:
        stage: the series of the stage.
    """

    __slots__ = ("_began", "_stage")

    def __init__(self, stage: Histogram) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._stage.observe(perf_counter() - self._began)

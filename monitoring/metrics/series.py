"""Every exported series, declared once: the unit is in the name, and labels take few values."""
# over budget: every series of the project is declared in one place

from typing import Final, NamedTuple

__all__ = ["OTHER", "SERIES", "SHOWN_CAUSES", "SHOWN_COLUMNS", "STAGES", "Series"]


class Series(NamedTuple):
    """One family of series.

    Attributes:
        kind: counter, gauge or histogram.
        help: one sentence, as scrapers see it.
        labels: their names.
        most: how many combinations of labels one process exports; what comes after them is counted under `other`.
        buckets: upper bounds of a histogram, in the unit of its name.
    """

    kind: str
    help: str
    labels: tuple[str, ...] = ()
    most: int = 1
    buckets: tuple[float, ...] = ()

    @property
    def samples(self) -> int:
        """How many samples one process exports of it at most: those counted under `other`, and a histogram's parts, too.

        Example:
            >>> Series("histogram", "Time.", ("route",), 2, (0.1, 1.0)).samples  # 3 buckets, count and sum; 2 routes and other
            15
        """
        combinations = self.most + 1 if self.labels else 1
        return combinations * (len(self.buckets) + 3 if self.kind == "histogram" else 1)


OTHER: Final = "other"
"""The value of every label once a family has as many combinations as are declared."""

STAGES: Final = ("state", "retrieve", "rank", "explain", "log")
"""What an answer is made in."""

SHOWN_COLUMNS: Final = 50
"""Columns of a report of drift that are exported, changed ones first, then by impact; the report itself holds them all."""

SHOWN_CAUSES: Final = 20
"""Causes of a report of drift that are exported, those with the most impact."""

_SURFACES: Final = 20
"""Product places of one replica; a release has one to three."""

_TALLIED: Final = 51
"""Product places that the tally tells apart, and the one that stands for the rest."""

_KINDS: Final = 6
"""What a person may do with an item."""

_SHARES: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1.0)
_SHIFTS: Final = (-2.0, -1.0, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ANSWERS: Final = _SECONDS[1:]
_SCORES: Final = (-10.0, -5.0, -2.5, -1.0, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SERIES: Final[dict[str, Series]] = {
    # every process
    "rankloop_surplus_labels_total": Series(
        "counter",
        "Times a combination of labels was counted under 'other', because its series had as many as are declared.",
        ("series",),
        100,
    ),
    # every application over HTTP
    "rankloop_http_requests_total": Series(
        "counter",
        "Requests answered; route is the path's template, or 'none' where no route matched.",
        ("route", "method", "status"),
        600,
    ),
    "rankloop_http_request_duration_seconds": Series(
        "histogram", "From the first byte of a request's headers to the first of its answer.", ("route",), 80, _SECONDS
    ),
    # replicas
    "rankloop_answers_total": Series(
        "counter",
        "Lists for people; outcome is whole, fallback (labelled as less), empty, or failed (an error of ours, or too late). "
        "Surface 'similar' is items near one item. What only a shadow or another slot asked for is not counted.",
        ("surface", "outcome"),
        4 * _SURFACES,
    ),
    "rankloop_answer_duration_seconds": Series(
        "histogram",
        "From a request's arrival at the edge to its list, waiting included; without an edge, from its arrival here. "
        "Of the lists that are counted as whole, fallback or empty.",
        ("surface",),
        _SURFACES,
        _ANSWERS,
    ),
    "rankloop_stage_duration_seconds": Series(
        "histogram",
        "Time of one stage of an answer: state, retrieve (rules included), rank, explain, log.",
        ("surface", "stage"),
        len(STAGES) * _SURFACES,
        _SECONDS,
    ),
    "rankloop_scores": Series(
        "histogram",
        "Mean score of a list that the release's ranker ordered, as the ranker gives it.",
        ("surface",),
        _SURFACES,
        _SCORES,
    ),
    "rankloop_answered_items_total": Series(
        "counter", "Items in answers, by the retriever that proposed them highest.", ("surface", "source"), 20 * _SURFACES
    ),
    "rankloop_fallbacks_total": Series(
        "counter",
        "Reasons for which lists were made with less than the whole release; a list may have several.",
        ("surface", "reason"),
        15 * _SURFACES,
    ),
    "rankloop_empty_answers_total": Series("counter", "Lists made without a single item.", ("surface",), _SURFACES),
    "rankloop_shed_requests_total": Series("counter", "Requests refused because they had waited too long to be answered."),
    "rankloop_impressions_total": Series(
        "counter", "Lists given to people: logged, or lost because the spool was full.", ("outcome",), 2
    ),
    "rankloop_interleaved_requests_total": Series(
        "counter", "Requests that were to be interleaved; outcome is interleaved, failed, late or same release.", ("outcome",), 4
    ),
    "rankloop_release_info": Series("gauge", "1 for the release that answers.", ("release_id",), 1),
    "rankloop_release_as_of_timestamp_seconds": Series("gauge", "The newest moment the release knows, Unix time."),
    "rankloop_catalogue_items": Series("gauge", "Items the release can show."),
    # replicas and collectors
    "rankloop_spool_bytes": Series(
        "gauge", "Bytes in the segments of a stream, all writers', as one of them counts.", ("stream",), 2
    ),
    "rankloop_spool_room_bytes": Series(
        "gauge", "Bytes that a stream may still take: what its limit leaves, or the disk where that is less.", ("stream",), 2
    ),
    "rankloop_spool_shed_bytes_total": Series(
        "counter", "Bytes deleted from a stream because it was full, before anything read them perhaps.", ("stream",), 2
    ),
    "rankloop_spool_refused_total": Series(
        "counter", "Frames that a stream refused: it was full, or its disk failed.", ("stream",), 2
    ),
    # collectors
    "rankloop_events_total": Series(
        "counter",
        "Events in batches; outcome is accepted, duplicate (within its batch) or rejected.",
        ("kind", "outcome"),
        3 * 12,
    ),
    "rankloop_event_batch_duration_seconds": Series(
        "histogram", "From the body of a batch to its frame on the disk, as durable as the policy says.", buckets=_SECONDS
    ),
    # curator
    "rankloop_fold_lag_seconds": Series("gauge", "Time since everything in the spool of events was in the online store."),
    "rankloop_folded_events_total": Series("counter", "Events that changed the online store; one that came twice counts once."),
    "rankloop_roll_lag_seconds": Series(
        "gauge", "Age of the oldest sealed segment that is not in the log; 0 where there is none."
    ),
    "rankloop_rolled_rows_total": Series(
        "counter", "Rows written to the log; a segment rolled again counts again.", ("table",), 10
    ),
    "rankloop_uploads_total": Series("counter", "Files of the log sent to its URL; outcome is done or failed.", ("outcome",), 2),
    "rankloop_erasures_total": Series("counter", "Demands to be forgotten that are complete."),
    "rankloop_retained_partitions_deleted_total": Series(
        "counter", "Hours of the log deleted because they were over their retention.", ("table",), 10
    ),
    "rankloop_kafka_messages_total": Series("counter", "Messages that Kafka has acknowledged.", ("topic",), 10),
    "rankloop_curator_failures_total": Series(
        "counter",
        "Times a task of the curator failed, to be tried again: fold, roll, sweep, upload, erase, retain, kafka.",
        ("task",),
        10,
    ),
    # shadow
    "rankloop_shadow_requests_total": Series(
        "counter",
        "Requests in the shadow's share; outcome is compared, failed, late, degraded (the list shown was itself) or old.",
        ("outcome",),
        5,
    ),
    "rankloop_shadow_overlap_ratio": Series(
        "histogram",
        "Share of items that both lists of a request have among their first; cut is 5, 10 or all.",
        ("cut",),
        3,
        _SHARES,
    ),
    "rankloop_shadow_rbo_ratio": Series("histogram", "Rank-biased overlap of both lists of a request, p = 0.9.", buckets=_SHARES),
    "rankloop_shadow_score_shift_ratio": Series(
        "histogram",
        "Mean score of the other slot's list minus that of the list shown, in the standard deviation of the latter.",
        buckets=_SHIFTS,
    ),
    "rankloop_shadow_latency_seconds": Series(
        "histogram",
        "Time of an answer: the engine's as logged where slot is stable, over HTTP where it is other.",
        ("slot",),
        2,
        _SECONDS,
    ),
    # tally
    "rankloop_tally_units": Series("gauge", "Distinct people a slot showed lists to in the phase.", ("slot",), 2),
    "rankloop_tally_lists": Series("gauge", "Lists a slot showed in the phase.", ("slot",), 2),
    "rankloop_tally_moments": Series(
        "gauge",
        "Of a metric, over the people of a slot in the phase: units, x, y, xx, yy, xy of a numerator x and a denominator y.",
        ("slot", "metric", "moment"),
        2 * 20 * 6,
    ),
    "rankloop_tally_latency_lists": Series(
        "gauge", "Lists of the phase for which the engine took at most so many seconds.", ("slot", "le"), 2 * 200
    ),
    "rankloop_tally_coverage_items": Series(
        "gauge",
        "Distinct items that equally many people saw: places, canary, stable, variance (of the difference).",
        ("of",),
        4,
    ),
    "rankloop_tally_release_info": Series(
        "gauge", "1 for the release that the tally counts in a slot; role is stable or canary.", ("slot", "role", "release_id"), 2
    ),
    "rankloop_tally_canary_ratio": Series("gauge", "Share of the units that the canary has."),
    "rankloop_tally_phase_start_timestamp_seconds": Series("gauge", "Since when the tally counts, Unix time."),
    "rankloop_tally_lag_seconds": Series("gauge", "Time since everything in the spools was in the tally."),
    "rankloop_lists_total": Series("counter", "Lists that count for a slot.", ("slot", "surface"), 2 * _TALLIED),
    "rankloop_outcomes_total": Series(
        "counter",
        "First outcomes of each kind of an item in a list that counts for a slot.",
        ("slot", "surface", "kind"),
        2 * _TALLIED * _KINDS,
    ),
    "rankloop_release_lists_total": Series(
        "counter",
        "Lists that count for a release; of the releases of both slots alone, from 0 when one comes into a slot again.",
        ("surface", "release_id"),
        2 * _TALLIED,
    ),
    "rankloop_release_outcomes_total": Series(
        "counter",
        "First outcomes of each kind of an item in a list that counts for a release; of both slots' releases alone.",
        ("surface", "release_id", "kind"),
        2 * _TALLIED * _KINDS,
    ),
    # control plane
    "rankloop_control_leader_info": Series("gauge", "1 in the control plane whose loop runs, 0 in those that wait."),
    "rankloop_control_tick_timestamp_seconds": Series("gauge", "When the loop's last round ended, Unix time."),
    "rankloop_control_fault_info": Series(
        "gauge", "1 for each part that is not well; in the leader's series alone.", ("part",), 60
    ),
    "rankloop_serving_info": Series(
        "gauge",
        "1 for the release that the record wants in a slot; role is stable, canary (it has a share) or idle.",
        ("slot", "role", "release_id"),
        2,
    ),
    "rankloop_canary_info": Series(
        "gauge", "1 for the canary under way, by the release on trial and where it stands.", ("release_id", "status"), 1
    ),
    "rankloop_canary_weight_ratio": Series("gauge", "Share of the units that the record gives the canary."),
    "rankloop_canary_since_timestamp_seconds": Series(
        "gauge", "When the canary under way came to its step, Unix time; absent where none is.", ("release_id",), 1
    ),
    "rankloop_canary_decisions_total": Series(
        "counter",
        "Decisions on canaries in the record since this process began: continue, advance, hold and so on.",
        ("action",),
        12,
    ),
    "rankloop_runs_total": Series(
        "counter",
        "Runs that came to a state since this process began; pipeline is release or drift_watch.",
        ("surface", "pipeline", "state"),
        12 * _SURFACES,
    ),
    "rankloop_run_step_duration_seconds": Series(
        "gauge", "Time of a step in the newest run that succeeded.", ("surface", "pipeline", "step"), 40 * _SURFACES
    ),
    "rankloop_run_last_success_timestamp_seconds": Series(
        "gauge",
        "When the newest run that succeeded ended, Unix time; absent where none has.",
        ("surface", "pipeline"),
        2 * _SURFACES,
    ),
    "rankloop_run_running_since_timestamp_seconds": Series(
        "gauge", "When the run under way began, Unix time; absent where none is.", ("surface", "pipeline"), 2 * _SURFACES
    ),
    "rankloop_gate_verdicts_total": Series(
        "counter",
        "Verdicts of the gate on runs since this process began: pass, fail, not enough evidence.",
        ("surface", "verdict"),
        3 * _SURFACES,
    ),
    "rankloop_drift_report_timestamp_seconds": Series(
        "gauge", "When the newest report of drift was made, Unix time.", ("surface",), _SURFACES
    ),
    "rankloop_drift_columns": Series(
        "gauge",
        "Columns of the newest report: stable, drifted, broken, not enough rows.",
        ("surface", "verdict"),
        4 * _SURFACES,
    ),
    "rankloop_drift_score": Series(
        "gauge",
        "How far a column of the newest report is from the reference, measure psi or js; "
        f"of {SHOWN_COLUMNS} columns, changed ones first, then by impact.",
        ("surface", "column", "measure"),
        2 * SHOWN_COLUMNS * 4,
    ),
    "rankloop_null_share_ratio": Series(
        "gauge",
        "Share of a column's rows in the newest report that are null; "
        f"of {SHOWN_COLUMNS} columns, changed ones first, then by impact.",
        ("surface", "column"),
        SHOWN_COLUMNS * 4,
    ),
    "rankloop_drift_cause_impact_ratio": Series(
        "gauge",
        f"Impact, 0 to 1, of each cause in the newest report; the {SHOWN_CAUSES} largest.",
        ("surface", "cause", "component", "release_id"),
        SHOWN_CAUSES * 4,
    ),
    "rankloop_performance_ratio": Series(
        "gauge",
        "A ranking metric in the newest report as a share of its reference, 1 = as before; kind is measured or estimated.",
        ("surface", "metric", "kind"),
        20 * 4,
    ),
    "rankloop_incidents": Series(
        "gauge", "Incidents in the record that are not resolved, by status and severity.", ("status", "severity"), 20
    ),
    "rankloop_notices_total": Series(
        "counter",
        "Notices to receivers that came to an end since this process began; outcome is sent, failed (given up) or dropped.",
        ("receiver", "outcome"),
        20,
    ),
    "rankloop_alerts_received_total": Series(
        "counter", "Alerts that Alertmanager sent; status is firing or resolved.", ("status",), 3
    ),
}
"""Name to declaration; the tests and the docs list exactly these."""

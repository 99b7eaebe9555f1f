"""What the control plane exports: itself, what serves, canaries, runs, drift and incidents."""

from monitoring.metrics.processes import HttpMetrics

__all__ = ["ControlMetrics"]


class ControlMetrics(HttpMetrics):
    """Those of the control plane."""

    def __init__(self, *, process: bool = True) -> None:
        super().__init__(process=process)
        self.leader = self._gauge("rankloop_control_leader_info")
        self.tick = self._gauge("rankloop_control_tick_timestamp_seconds")
        self.faults = self._gauge("rankloop_control_fault_info")
        self._canaries()
        self._runs()
        self._drift()
        self.incidents = self._gauge("rankloop_incidents")
        self.notices = self._counter("rankloop_notices_total")
        self.alerts_received = self._counter("rankloop_alerts_received_total")

    def _canaries(self) -> None:
        self.serving = self._gauge("rankloop_serving_info")
        self.canary = self._gauge("rankloop_canary_info")
        self.canary_share = self._gauge("rankloop_canary_weight_ratio")
        self.canary_since = self._gauge("rankloop_canary_since_timestamp_seconds")
        self.decisions = self._counter("rankloop_canary_decisions_total")

    def _runs(self) -> None:
        self.runs = self._counter("rankloop_runs_total")
        self.step_seconds = self._gauge("rankloop_run_step_duration_seconds")
        self.last_success = self._gauge("rankloop_run_last_success_timestamp_seconds")
        self.running_since = self._gauge("rankloop_run_running_since_timestamp_seconds")
        self.verdicts = self._counter("rankloop_gate_verdicts_total")

    def _drift(self) -> None:
        self.drift_at = self._gauge("rankloop_drift_report_timestamp_seconds")
        self.drift_columns = self._gauge("rankloop_drift_columns")
        self.drift_scores = self._gauge("rankloop_drift_score")
        self.null_shares = self._gauge("rankloop_null_share_ratio")
        self.causes = self._gauge("rankloop_drift_cause_impact_ratio")
        self.performance = self._gauge("rankloop_performance_ratio")

"""Canaries: what was seen of two releases becomes a decision, from recorded numbers alone."""

from rankloop.canary.observation import LATENCY_EDGES, METRICS, Arm, Coverage, Observation, Ratio
from rankloop.canary.policy import GUARDS, Guard, Objective, Policy
from rankloop.canary.state import Decision, Evidence, State, abort, pause, promote, resume, start
from rankloop.canary.step import step

__all__ = [
    "GUARDS",
    "LATENCY_EDGES",
    "METRICS",
    "Arm",
    "Coverage",
    "Decision",
    "Evidence",
    "Guard",
    "Objective",
    "Observation",
    "Policy",
    "Ratio",
    "State",
    "abort",
    "pause",
    "promote",
    "resume",
    "start",
    "step",
]

"""Canaries: what was seen of two releases becomes a decision, from recorded numbers alone."""

from rankloop.canary.observation import LATENCY_EDGES, METRICS, Arm, Coverage, Observation, Ratio

__all__ = ["LATENCY_EDGES", "METRICS", "Arm", "Coverage", "Observation", "Ratio"]

"""The gate: whether a candidate may replace the champion, from recorded numbers. Pass, fail, not enough evidence."""

from rankloop.gate.decide import decide
from rankloop.gate.measured import Measured
from rankloop.gate.policy import Policy
from rankloop.gate.verdict import Row, Verdict

__all__ = ["Measured", "Policy", "Row", "Verdict", "decide"]

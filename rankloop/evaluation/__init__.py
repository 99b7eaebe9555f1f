"""A candidate against the champion, the popular baseline and the logged order, on the test window."""

from rankloop.evaluation.champion import Champion
from rankloop.evaluation.pack import pack
from rankloop.evaluation.reporting import write_report
from rankloop.evaluation.run import CANDIDATE, Evaluation, Inputs, evaluate
from rankloop.evaluation.systems import LOGGED, POPULAR

__all__ = ["CANDIDATE", "LOGGED", "POPULAR", "Champion", "Evaluation", "Inputs", "evaluate", "pack", "write_report"]

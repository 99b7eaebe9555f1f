"""The laptop's stack: starts, watches and stops Ray, Serve, the edge and what is beside it, all under one home folder."""

from services.stack.slots import clear, fill, interleave, reload, swap, weigh
from services.stack.stack import down, up
from services.stack.watch import LogLine, ProcessStatus, SlotStatus, StackStatus, logs, status

__all__ = [
    "LogLine",
    "ProcessStatus",
    "SlotStatus",
    "StackStatus",
    "clear",
    "down",
    "fill",
    "interleave",
    "logs",
    "reload",
    "status",
    "swap",
    "up",
    "weigh",
]

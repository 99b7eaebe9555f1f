"""Runs of the release pipeline: the queue, where they run, and what starts them."""

from services.control.runs.alerts import AlertPolicy, AlertRule
from services.control.runs.cluster import Cluster, KfpLauncher
from services.control.runs.launching import Ended, Launcher, LogPart, Placed
from services.control.runs.local import LocalLauncher
from services.control.runs.opening import open_runs
from services.control.runs.orders import RunOrder
from services.control.runs.queue import Runs
from services.control.runs.triggers import Triggers, next_time

__all__ = [
    "AlertPolicy",
    "AlertRule",
    "Cluster",
    "Ended",
    "KfpLauncher",
    "Launcher",
    "LocalLauncher",
    "LogPart",
    "Placed",
    "RunOrder",
    "Runs",
    "Triggers",
    "next_time",
    "open_runs",
]

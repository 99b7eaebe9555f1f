"""The queue and its triggers, from the settings."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from services.control.database import Database, desired, release
from services.control.plane import now
from services.control.runs.alerts import AlertPolicy
from services.control.runs.cluster import Cluster, KfpLauncher
from services.control.runs.launching import Launcher
from services.control.runs.local import LocalLauncher
from services.control.runs.queue import Runs
from services.control.runs.triggers import Triggers
from services.settings import Settings

__all__ = ["ALERTS", "champion_of", "open_runs"]

ALERTS: Final = "alerts.yaml"
"""In the home folder: which alerts start which runs; without it none does."""


def open_runs(
    database: Database,
    settings: Settings,
    *,
    clock: Callable[[], datetime] = now,
    cluster: Cluster | None = None,
    look_seconds: float = 60.0,
) -> tuple[Runs, Triggers]:
    """The queue of runs, whose ticks let the triggers fire, and the triggers.

    Args:
        database: the record.
        settings: the home folder and the addresses.
        clock: the present moment, UTC.
        cluster: a KFP server; None: runs run on this machine.
        look_seconds: how often a watched path is looked at.
    """
    launcher: Launcher = LocalLauncher(settings)
    if cluster is not None:
        launcher = KfpLauncher(cluster, champion=lambda: champion_of(database))
    file = settings.home / ALERTS
    triggers = Triggers(database, clock=clock, where=launcher.where, alerts=lambda: _policy(file), look_seconds=look_seconds)
    return Runs(database, settings, clock=clock, launcher=launcher, triggers=triggers), triggers


def champion_of(database: Database) -> str:
    """The bundle of the release that serves; empty where none does."""
    with database.read() as session:
        wanted = desired(session)
        serving = wanted.release(wanted.stable)
        return release(session, serving).bundle if serving else ""


def _policy(file: Path) -> AlertPolicy:
    return AlertPolicy.read(file) if file.exists() else AlertPolicy()

"""What a drift watch from the terminal is to look at, where the command line leaves it out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rankloop.errors import DataError, Missing, Unavailable
from rankloop.files import write_aside
from services.cli.console import err, myself
from services.cli.controlled import control, reading
from services.cli.given import Given, given
from services.cli.release import policy_from
from services.control.moments import moment, shown
from services.settings import Settings

if TYPE_CHECKING:
    from pipelines.watch import WatchOrder

__all__ = ["watched"]


def watched(
    settings: Settings,
    path: str,
    source: str,
    mapping: str,
    *,
    surface: str,
    hours: float,
    until: str,
    bundle: Path | None,
    policy: Path | None,
) -> "WatchOrder":
    """The order of a watch: the release that serves, and the data it was made of with what this machine logged since.

    Raises:
        DataError: nothing serves and no bundle is named, or the run that made the release is not here and no data is named.
        SettingsError: a field of the policy that is none, or a value that cannot work.
    """
    from pipelines.watch import WatchOrder
    from services.control.runs.orders import known_surface

    rules = policy_from(policy, "drift_watch")
    release = None if bundle and path else _serving(settings)
    folder = str(bundle.resolve()) if bundle else release["bundle"] if release else ""
    if not folder:
        raise DataError(f"nothing serves whose reference could be compared with; name one with --bundle, or start {myself()} up")
    data = given(path, source, mapping) if path else _made_of(settings, release)
    window = {"surface": known_surface(surface), "hours": hours, "until": shown(moment(until)) if until else ""}
    return WatchOrder(**data._asdict(), **window, bundle=folder, policy=rules, control_api=_control(settings))  # type: ignore[arg-type]


def _serving(settings: Settings) -> dict[str, Any] | None:
    """The release that serves everybody but a canary's units; None where none does."""
    try:
        with reading(settings) as record:
            stable = next((slot.release_id for slot in record.serving().slots if slot.stable), None)
            if stable is None:
                return None
            own = record.release(stable)
            return {"bundle": own.bundle, "run_id": own.run_id, "release_id": stable}
    except Missing:
        return None


def _made_of(settings: Settings, release: dict[str, Any] | None) -> Given:
    """What a release was made of, and after it what this machine logged."""
    run_id = release["run_id"] if release else None
    file = settings.home / "runs" / str(run_id) / "parameters.json"
    if run_id is None or not file.is_file():
        raise DataError("the run that made the release is not on this machine, so name the data: `rankloop drift run DATA`")
    asked = json.loads(file.read_text())["parameters"]
    log = (settings.home / "log").resolve()
    if asked["source"] != "contract" or not (log / "impressions").is_dir():
        return Given(asked["source"], asked["path"], asked["mapping"])
    named = write_aside(settings.home.resolve() / "drift" / ".log.yaml", yaml.safe_dump({"log": str(log)}))
    return Given("event_log", asked["path"], str(named))


def _control(settings: Settings) -> str:
    """The control plane's address; empty where none answers, so that the report's file is all there will be."""
    try:
        with control(settings, seconds=5.0) as client:
            client.ready()
    except Unavailable:
        err.print("[dim]no control plane answers: the report is kept as files alone[/dim]")
        return ""
    return settings.control_url

"""Who watches the stack: Prometheus and Alertmanager, where both are installed, on the loopback address alone."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from monitoring import rules
from monitoring.alertmanager_config import Receivers, alertmanager_config
from monitoring.prometheus_config import Job, prometheus_config
from rankloop.errors import SettingsError
from rankloop.files import write_aside
from services.settings import Settings
from services.stack import credentials

__all__ = ["INSTALL", "NAMES", "Binaries", "Watchers", "in_words", "jobs", "receivers", "rule_texts", "watcher_urls"]

NAMES: Final = ("prometheus", "alertmanager")
"""As the supervisor and the logs call them."""

INSTALL: Final = "apt install prometheus prometheus-alertmanager"
"""What makes a stack watched, on Debian and Ubuntu."""

_PACKAGES: Final = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
_RETENTION: Final = ("15d", "1GB", "120h")
_READS_URL_FILES: Final = (0, 26)
_CHECK_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Binaries:
    """What is installed, each by its path; None: it is not.

    Attributes:
        prometheus: the server.
        alertmanager: Debian calls it prometheus-alertmanager.
        promtool: checks Prometheus' configuration and rules.
        amtool: checks Alertmanager's.
    """

    prometheus: str | None
    alertmanager: str | None
    promtool: str | None
    amtool: str | None

    @classmethod
    def found(cls) -> Self:
        """Those that the shell would find."""
        alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        return cls(shutil.which("prometheus"), alertmanager, shutil.which("promtool"), shutil.which("amtool"))

    @property
    def missing(self) -> list[str]:
        """Debian's packages of what is not there."""
        return [_PACKAGES[name] for name in NAMES if getattr(self, name) is None]


class Watchers:
    """Prometheus and Alertmanager of one stack: their configurations, and what starts them.

    Args:
        settings: ports, receivers and the home folder.
        binaries: what is installed; None: what the shell finds.
    """

    def __init__(self, settings: Settings, binaries: Binaries | None = None) -> None:
        self._settings, self._binaries = settings, binaries or Binaries.found()
        self._refused = ""

    @property
    def why_not(self) -> str:
        """Why they do not run, with the remedy; empty: they do."""
        if self._settings.watchers == "none":
            return "RANKLOOP_WATCHERS is none; unset it"
        if self._binaries.missing:
            return f"install {' and '.join(self._binaries.missing)} ({INSTALL})"
        return self._refused

    def prepare(self) -> None:
        """Writes both configurations, with fresh tokens, and has them checked; a refused one is `why_not`.

        Raises:
            SettingsError: a file that a setting names cannot be read, or a setting that another one needs is empty.
        """
        if self.why_not:
            return
        credentials.issue(self._settings)
        told = self._receivers()
        folder = self._settings.home / "prometheus"
        for old in (folder / "rules").glob("*.yaml"):
            old.unlink()
        for name, text in rule_texts().items():
            write_aside(folder / "rules" / name, text)
        config = prometheus_config(
            jobs(self._settings),
            scrape_seconds=self._settings.scrape_seconds,
            rule_files=["rules/*.yaml"],
            alertmanagers=[f"127.0.0.1:{self._settings.alertmanager_port}"],
            credentials_file=str(credentials.token_file(self._settings, "prometheus")),
        )
        write_aside(self._files[0], config)
        # it may hold a URL that is a secret
        write_aside(self._files[1], alertmanager_config(told), mode=0o600)
        self._refused = _refusal(self._binaries.promtool, "check", "config", str(self._files[0]))
        self._refused = self._refused or _refusal(self._binaries.amtool, "check-config", str(self._files[1]))

    def commands(self) -> dict[str, tuple[str, ...]]:
        """By name, what starts each; empty where they do not run."""
        if self.why_not:
            return {}
        home, (days, size, hours) = self._settings.home, _RETENTION
        web = {name: f"127.0.0.1:{getattr(self._settings, f'{name}_port')}" for name in NAMES}
        return {
            "prometheus": (
                str(self._binaries.prometheus),
                f"--storage.tsdb.path={home / 'prometheus' / 'data'}",
                f"--config.file={self._files[0]}",
                f"--web.listen-address={web['prometheus']}",
                f"--web.external-url=http://{web['prometheus']}",
                f"--web.cors.origin=http://{re.escape(web['prometheus'])}",
                f"--storage.tsdb.retention.time={days}",
                f"--storage.tsdb.retention.size={size}",
                "--log.level=warn",
            ),
            "alertmanager": (
                str(self._binaries.alertmanager),
                "--cluster.listen-address=",
                f"--config.file={self._files[1]}",
                f"--storage.path={home / 'alertmanager' / 'data'}",
                f"--web.listen-address={web['alertmanager']}",
                f"--web.external-url=http://{web['alertmanager']}",
                f"--data.retention={hours}",
                "--log.level=warn",
            ),
        }

    @property
    def _files(self) -> tuple[Path, Path]:
        home = self._settings.home
        return home / "prometheus" / "prometheus.yml", home / "alertmanager" / "alertmanager.yml"

    @cached_property
    def _reads_url_files(self) -> bool:
        """Whether this Alertmanager reads a webhook's URL from a file."""
        said = subprocess.run([str(self._binaries.alertmanager), "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr)
        return found is not None and (int(found[1]), int(found[2])) >= _READS_URL_FILES

    def _receivers(self) -> Receivers:
        return receivers(
            self._settings,
            pager_token_file=str(credentials.token_file(self._settings, "alertmanager")),
            reads_url_files=self._reads_url_files,
        )


def jobs(settings: Settings) -> list[Job]:
    """Whom the Prometheus of one machine asks."""

    def here(name: str, *ports: int, closed: bool = False) -> Job:
        return Job(name, tuple(f"127.0.0.1:{port}" for port in ports), closed=closed)

    return [
        here("edge", settings.edge_metrics_port),
        Job("replicas", found_at=f"{settings.control_url}/v1/targets", closed=True),
        here("collectors", *settings.collector_ports, closed=True),
        here("curator", settings.curator_port),
        here("tally", settings.tally_port),
        *([here("shadow", settings.shadow_port)] if settings.shadow_share > 0 else []),
        here("control", settings.control_port, closed=True),
        here("prometheus", settings.prometheus_port),
        here("alertmanager", settings.alertmanager_port),
    ]


def receivers(settings: Settings, *, pager_token_file: str, reads_url_files: bool) -> Receivers:
    """Who is told, as the settings have it.

    Args:
        settings: the pager's.
        pager_token_file: the token that the control plane asks for.
        reads_url_files: whether Alertmanager reads a webhook's URL from a file, which it does from 0.26 on; else the URL itself
            stands in its configuration.

    Raises:
        SettingsError: a file that is named cannot be read or is empty; or mail lacks its sender or its server.
    """
    if settings.mail_to and not (settings.mail_from and settings.mail_server):
        raise SettingsError("RANKLOOP_MAIL_TO needs RANKLOOP_MAIL_FROM and RANKLOOP_MAIL_SERVER; set both, or unset it")
    named = ("pagerduty_key_file", "slack_url_file", "page_webhook_file", "mail_password_file", "heartbeat_url_file")
    found = {name: _secret(name, getattr(settings, name)) for name in named}
    path = {name: str(file) if file else "" for name, (file, _) in found.items()}
    url: dict[str, str] = {}
    for ours, theirs in (("page_webhook_file", "webhook_url"), ("heartbeat_url_file", "heartbeat_url")):
        url |= {f"{theirs}_file": path[ours]} if reads_url_files else {theirs: found[ours][1]}
    return Receivers(
        pager=f"{settings.control_url}/v1/alerts",
        pager_token_file=pager_token_file,
        pagerduty_key_file=path["pagerduty_key_file"],
        pagerduty_url=settings.pagerduty_url,
        slack_url_file=path["slack_url_file"],
        mail_to=settings.mail_to,
        mail_from=settings.mail_from,
        mail_server=settings.mail_server,
        mail_password_file=path["mail_password_file"],
        **url,
    )


def watcher_urls(settings: Settings) -> dict[str, str]:
    """By name, where each is asked."""
    return {name: f"http://127.0.0.1:{getattr(settings, f'{name}_port')}" for name in NAMES}


def in_words(settings: Settings, states: Mapping[str, str], why_not: str) -> str:
    """Who watches a stack that is up, or that nobody does, and what to do.

    Args:
        settings: the ports.
        states: the supervisor's word for each process.
        why_not: why the stack was started without watchers; empty: it was not.

    Example:
        >>> in_words(Settings(), {"prometheus": "RUNNING", "alertmanager": "RUNNING"}, "")
        'watched by Prometheus on 9090 and Alertmanager on 9093'
        >>> in_words(Settings(), {"prometheus": "BACKOFF", "alertmanager": "RUNNING"}, "")
        'not watched: prometheus is BACKOFF: `rankloop logs --only prometheus`'
    """
    if why_not:
        return f"not watched: {why_not}, then `rankloop down` and `rankloop up`"
    ill = [name for name in NAMES if states.get(name) not in {"RUNNING", "STARTING"}]
    if ill:
        told = " and ".join(f"{name} is {states.get(name, 'not there')}" for name in ill)
        return f"not watched: {told}: `rankloop logs --only {ill[0]}`"
    return f"watched by Prometheus on {settings.prometheus_port} and Alertmanager on {settings.alertmanager_port}"


def rule_texts() -> dict[str, str]:
    """By the file's name, the rules that come with this version, as Prometheus reads them."""
    return {own.name: own.read_text(encoding="utf-8") for own in rules.files()}


def _secret(name: str, given: str) -> tuple[Path | None, str]:
    """A setting's file, by its absolute path, and what it holds."""
    if not given:
        return None, ""
    file = Path(given).expanduser().absolute()
    try:
        held = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"RANKLOOP_{name.upper()} is {given!r}, which cannot be read ({error}); mend or unset it") from error
    if not held:
        raise SettingsError(f"RANKLOOP_{name.upper()} is {given!r}, which is empty; write the secret into it, or unset it")
    return file, held


def _refusal(tool: str | None, *arguments: str) -> str:
    """Why a configuration is refused, in the tool's words; empty where it is not, or there is no such tool."""
    if tool is None:
        return ""
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=_CHECK_SECONDS, check=False)
    if done.returncode == 0:
        return ""
    return f"{Path(tool).name} refuses {arguments[-1]}: {' '.join((done.stdout + done.stderr).split())}"

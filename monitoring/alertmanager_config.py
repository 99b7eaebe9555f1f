"""What Alertmanager is told: which alerts are one, which only follow from others, and who hears of them."""

from dataclasses import dataclass
from typing import Any, Final

import yaml

from monitoring.prometheus_config import duration

__all__ = ["GROUPED_BY", "HEARTBEAT", "INHIBITIONS", "PAST_THE_PAGER", "Inhibition", "Receivers", "alertmanager_config"]

GROUPED_BY: Final = ("cause", "surface", "component")
"""Alerts that are alike in these labels are one message: they are one incident."""

PAST_THE_PAGER: Final = ("ControlDown", "PagerUnreached")
"""Alerts that the pager cannot pass on, since they say that it is dead or not reached."""

HEARTBEAT: Final = "Watchdog"
"""The alert that always fires: where it stops arriving, nobody would be told of anything."""


@dataclass(frozen=True)
class Inhibition:
    """While one alert fires, others that follow from it are not told.

    Attributes:
        source: names of alerts; empty: any.
        silences: names of alerts that say nothing new meanwhile; empty: any.
        why: what makes the one follow from the other.
        of: a matcher that the source must fit as well, such as `component="tally"`; empty: none.
        only: the same of what is silenced.
        alike: labels in which both must agree; empty: whatever they say.
    """

    source: tuple[str, ...]
    silences: tuple[str, ...]
    why: str
    of: str = ""
    only: str = ""
    alike: tuple[str, ...] = ()

    def rule(self) -> dict[str, Any]:
        """As Alertmanager has it."""
        told: dict[str, Any] = {
            "source_matchers": [*([_named(self.source)] if self.source else []), *filter(None, [self.of])],
            "target_matchers": [*([_named(self.silences)] if self.silences else []), *filter(None, [self.only])],
        }
        return told | ({"equal": list(self.alike)} if self.alike else {})


_ERRORS: Final = ("ErrorBurst", "ErrorBudgetBurning", "ErrorBudgetLeaking")
_SLOW: Final = ("SlowAnswers", "LatencyBudgetBurning", "LatencyBudgetLeaking")
_SHOWN: Final = ("EmptyLists", "FallbackShare", "ScoresShifted", "ClicksVanished", "ImpressionsNotLogged", "CanaryNotObserved")
_SPOOLS: Final = ("SpoolLag", "SpoolNearlyFull", "SpoolFull")

INHIBITIONS: Final = (
    Inhibition(
        ("EdgeDown",),
        ("NoReplica", "CollectorsDown", "BotSpike", "SlowReplica", *_ERRORS, *_SLOW, *_SHOWN),
        "nobody reaches the service, so nothing is answered, shown or clicked, and who is behind the edge is not seen",
    ),
    Inhibition(("NoReplica",), ("SlowReplica", *_ERRORS, *_SLOW, *_SHOWN), "every request is refused"),
    Inhibition(_ERRORS[:1], ("ClicksVanished", "CanaryNotObserved"), "a request that fails shows nothing to click"),
    Inhibition(("SlowReplica",), _SLOW, "the replica's lists are the late ones"),
    Inhibition(("SlowReplica", *_SLOW[:2]), ("FallbackShare",), "what comes late is made with less", only='cause="no-time"'),
    Inhibition(("BotSpike",), (*_ERRORS, *_SLOW, "ClicksVanished"), "more is asked than can be answered, by who never clicks"),
    Inhibition(("EmptyLists",), ("ClicksVanished",), "an empty list has nothing to click", alike=("surface",)),
    Inhibition(("CollectorsDown",), ("WorkerDown",), "both say that no collector answers", alike=("component",)),
    Inhibition(("CollectorsDown",), ("ClicksVanished", "CanaryNotObserved"), "clicks are not taken"),
    Inhibition(("WorkerDown",), ("ClicksVanished", "CanaryNotObserved"), "nobody counts clicks", of='component="tally"'),
    Inhibition(("WorkerDown",), _SPOOLS, "nobody empties the spools", of='component="curator"'),
    Inhibition(
        ("SpoolFull",),
        ("SpoolNearlyFull", "ImpressionsNotLogged", "SpoolLag", "ClicksVanished"),
        "there is no room for what is shown and done",
    ),
    Inhibition(("SpoolNearlyFull",), ("SpoolLag",), "who is behind is why it fills"),
    Inhibition(
        ("ControlDown",),
        (
            *("PagerUnreached", "ControlFault", "NoticesFailing", "CanaryStuck", "CanaryNotObserved"),
            *("PipelineFailed", "PipelineLate", "DriftNotWatched"),
        ),
        "nobody takes messages, judges a canary or starts a run",
    ),
    Inhibition((), (), "one page for one cause", of='severity="page"', only='severity="ticket"', alike=GROUPED_BY),
)
"""What follows from what; every name is an alert of `monitoring/rules`."""


@dataclass(frozen=True)
class Receivers:
    """Who is told, each by the path of the file that holds its secret; an empty one is not told.

    Attributes:
        pager: URL of the pager's webhook, which hears of everything.
        pager_token_file: the token that the pager asks for.
        pagerduty_key_file: integration key of PagerDuty's Events API v2.
        pagerduty_url: where its events go.
        slack_url_file: URL of a Slack webhook.
        webhook_url: URL that is sent Alertmanager's JSON; for Alertmanager before 0.26, which reads no file.
        webhook_url_file: the same, from a file.
        mail_to: addresses, with commas between.
        mail_from: address that mail is from.
        mail_server: SMTP server as host:port.
        mail_password_file: password of `mail_from` at that server.
        heartbeat_url: URL that is posted to while alerting works; for Alertmanager before 0.26.
        heartbeat_url_file: the same, from a file.
    """

    pager: str
    pager_token_file: str = ""
    pagerduty_key_file: str = ""
    pagerduty_url: str = "https://events.pagerduty.com/v2/enqueue"
    slack_url_file: str = ""
    webhook_url: str = ""
    webhook_url_file: str = ""
    mail_to: str = ""
    mail_from: str = ""
    mail_server: str = ""
    mail_password_file: str = ""
    heartbeat_url: str = ""
    heartbeat_url_file: str = ""

    def by_themselves(self) -> dict[str, Any]:
        """What Alertmanager sends without the pager, as its receivers have it; empty: nobody is named."""
        found: dict[str, Any] = {}
        if self.pagerduty_key_file:
            found["pagerduty_configs"] = [_pagerduty(self)]
        if self.slack_url_file:
            slack = {"api_url_file": self.slack_url_file, "title": _TITLE, "text": _TEXT, "send_resolved": True}
            found["slack_configs"] = [slack]
        if self.mail_to:
            found["email_configs"] = [_mail(self)]
        if hook := _url(self.webhook_url, self.webhook_url_file):
            found["webhook_configs"] = [hook | {"send_resolved": True}]
        return found


_WRITTEN: Final = "# Written by monitoring/alertmanager_config.py; a change to this copy is lost at the next start.\n"
_NOBODY, _PAGER, _PAST, _BEAT = "nobody", "pager", "past-the-pager", "heartbeat"
_TITLE: Final = "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }}: {{ .CommonAnnotations.summary }}"
_TEXT: Final = """{{ range .Alerts }}{{ .Annotations.description }}
Runbook: {{ .Annotations.runbook_url }}
Command: {{ .Annotations.command }}
{{ end }}"""
_BEAT_SECONDS: Final = 60.0


def alertmanager_config(receivers: Receivers, *, page_wait_seconds: float = 5.0) -> str:
    """Alertmanager's configuration.

    The pager hears of every page and ticket; whom it tells is its own matter. Alertmanager tells people itself only what the
    pager cannot: that it is dead. Where nobody is named for that, the pager hears of it once it is back.

    Args:
        receivers: who is told.
        page_wait_seconds: how long the first page of an incident waits for others that belong to it.

    Returns:
        YAML, as `amtool check-config` takes it. It holds paths of secrets, and URLs where Alertmanager reads them from no file.

    Example:
        >>> text = alertmanager_config(Receivers("http://127.0.0.1:8002/v1/alerts"))
        >>> yaml.safe_load(text)["route"]["group_by"]
        ['cause', 'surface', 'component']
    """
    itself, beat = receivers.by_themselves(), _url(receivers.heartbeat_url, receivers.heartbeat_url_file)
    pager: dict[str, Any] = {"url": receivers.pager, "send_resolved": True}
    if receivers.pager_token_file:
        pager["http_config"] = {"authorization": {"credentials_file": receivers.pager_token_file}}
    named: list[dict[str, Any]] = [{"name": _NOBODY}, {"name": _PAGER, "webhook_configs": [pager]}]
    if itself:
        named.append({"name": _PAST, **itself})
    if beat:
        named.append({"name": _BEAT, "webhook_configs": [beat | {"send_resolved": False}]})
    config = {
        "route": _routed(_BEAT if beat else _NOBODY, _PAST if itself else _PAGER, page_wait_seconds),
        "inhibit_rules": [own.rule() for own in INHIBITIONS],
        "receivers": named,
    }
    return _WRITTEN + yaml.safe_dump(config, sort_keys=False, width=1_000)


def _routed(beat: str, past: str, wait: float) -> dict[str, Any]:
    """Who hears of which alert; the first route that fits holds."""
    soon = {"group_wait": duration(wait), "group_interval": "15s"}
    return {
        "receiver": _NOBODY,
        "group_by": list(GROUPED_BY),
        "routes": [
            {
                "matchers": [_named((HEARTBEAT,))],
                "receiver": beat,
                "group_wait": "0s",
                "group_interval": duration(_BEAT_SECONDS),
                "repeat_interval": duration(_BEAT_SECONDS),
            },
            {"matchers": [_named(PAST_THE_PAGER)], "receiver": past, **soon, "repeat_interval": "4h"},
            # the pager knows what it heard before: told again, it only learns what it missed
            {"matchers": ['severity="page"'], "receiver": _PAGER, **soon, "repeat_interval": "1h"},
            {
                "matchers": ['severity="ticket"'],
                "receiver": _PAGER,
                "group_wait": "30s",
                "group_interval": "1m",
                "repeat_interval": "6h",
            },
        ],
    }


def _named(names: tuple[str, ...]) -> str:
    return f'alertname="{names[0]}"' if len(names) == 1 else f'alertname=~"{"|".join(names)}"'


def _url(url: str, file: str) -> dict[str, Any]:
    return {"url_file": file} if file else {"url": url} if url else {}


def _pagerduty(receivers: Receivers) -> dict[str, Any]:
    return {
        "routing_key_file": receivers.pagerduty_key_file,
        "url": receivers.pagerduty_url,
        "send_resolved": True,
        "severity": "critical",
        "description": "{{ .CommonLabels.alertname }}: {{ .CommonAnnotations.summary }}",
        "client": "Rankloop",
        "class": "{{ .GroupLabels.cause }}",
        "component": "{{ .GroupLabels.component }}",
        "group": "{{ .GroupLabels.surface }}",
        "details": {name: f"{{{{ .CommonAnnotations.{name} }}}}" for name in ("description", "command", "runbook_url")},
    }


def _mail(receivers: Receivers) -> dict[str, Any]:
    host, near = receivers.mail_server, ("127.0.0.1:", "localhost:", "[::1]:")
    mail: dict[str, Any] = {
        "to": receivers.mail_to,
        "from": receivers.mail_from,
        "smarthost": host,
        "send_resolved": True,
        # a relay on this machine speaks no TLS as a rule, and needs none
        "require_tls": not host.startswith(near),
        "headers": {"Subject": _TITLE},
        "text": _TEXT,
        "html": "",
    }
    if receivers.mail_password_file:
        mail |= {"auth_username": receivers.mail_from, "auth_password_file": receivers.mail_password_file}
    return mail

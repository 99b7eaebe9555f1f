"""PagerDuty, by its Events API v2; an incident is one alert there, by its id as the deduplication key.

Source: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ and PagerDuty/api-schema, reference/events-v2.
"""

import socket
from typing import Any, Final

from services.control.moments import shown
from services.control.pager.receivers.base import posted, secret
from services.control.pager.writing import Message

__all__ = ["PagerDuty", "event"]

_SUMMARY: Final = 1024
_SEVERITIES: Final = {"page": "critical", "ticket": "warning", "info": "info"}
_ACTIONS: Final = {"trigger": "trigger", "update": "trigger", "acknowledge": "acknowledge", "resolve": "resolve"}


class PagerDuty:
    """Wakes the on-call engineer.

    Args:
        url: where events go.
        key_file: the file with the integration key.
    """

    name: Final = "pagerduty"
    pages: Final = True

    def __init__(self, url: str, key_file: str) -> None:
        self._url, self._key_file = url, key_file

    def send(self, message: Message, number: int) -> None:
        """Sends one event; the same one twice is one alert.

        Raises:
            NotSent: it was not taken.
        """
        key = secret(self._key_file, "pagerduty_key_file")
        posted("PagerDuty", self._url, event(message) | {"routing_key": key}, hidden=key)


def event(message: Message) -> dict[str, Any]:
    """An event without its routing key."""
    action = _ACTIONS[message.kind]
    named: dict[str, Any] = {"event_action": action, "dedup_key": message.incident_id}
    if action != "trigger":
        return named
    links = [{"href": own.href, "text": own.name} for own in message.links if own.href.startswith(("http://", "https://"))]
    payload = {
        "summary": _cut(message.title),
        "source": message.component or message.surface,
        "severity": _SEVERITIES.get(message.severity, "warning"),
        "timestamp": shown(message.since),
        "component": message.component or message.cause,
        "group": message.surface,
        "class": message.cause,
        "custom_details": _details(message),
    }
    return named | {
        "payload": payload,
        "client": f"Rankloop on {socket.gethostname()}",
        "client_url": message.links[0].href,
        "links": links,
    }


def _details(message: Message) -> dict[str, str]:
    """The facts in the order in which they are read; PagerDuty shows keys in their own order, so they are numbered."""
    told: dict[str, list[str]] = {"state": [message.state]}
    if message.command:
        told["run"] = [message.command]
    for line in message.lines:
        told.setdefault(line.name, []).append(line.text)
    for link in message.links:
        told.setdefault(link.name, []).append(link.href)
    return {f"{number:02d} {name}": "\n".join(said) for number, (name, said) in enumerate(told.items(), 1)}


def _cut(text: str) -> str:
    return text if len(text) <= _SUMMARY else f"{text[: _SUMMARY - 1]}…"

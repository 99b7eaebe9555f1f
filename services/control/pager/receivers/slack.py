"""Slack, by an incoming webhook: a short message that leads to the incident's page.

Source: https://api.slack.com/messaging/webhooks and https://api.slack.com/reference/block-kit/blocks (a header has at most 150
characters, a section 3000; &, < and > are written as entities).
"""

from typing import Any, Final

from services.control.pager.receivers.base import posted, secret
from services.control.pager.writing import Message

__all__ = ["Slack", "blocks"]

_HEADER: Final = 150
_SECTION: Final = 2900
_SHOWN: Final = ("since", "numbers", "worst slice", "changed", "drift", "upstream", "done", "not known")
_MARKS: Final = {"page": ":rotating_light:", "ticket": ":ticket:", "info": ":information_source:"}


class Slack:
    """Tells a channel.

    Args:
        url_file: the file with the webhook's URL, which is its key.
    """

    name: Final = "slack"
    pages: Final = False

    def __init__(self, url_file: str) -> None:
        self._url_file = url_file

    def send(self, message: Message, number: int) -> None:
        """Posts one message; sent again after a kill, it is there twice.

        Raises:
            NotSent: it was not taken.
        """
        url = secret(self._url_file, "slack_url_file")
        posted("Slack", url, blocks(message), hidden=url)


def blocks(message: Message) -> dict[str, Any]:
    """The webhook's body."""
    links = " · ".join(
        f"<{own.href}|{own.name}>" if own.href.startswith("http") else f"{own.name}: `{own.href}`" for own in message.links
    )
    head = {"type": "header", "text": {"type": "plain_text", "text": _cut(message.title, _HEADER)}}
    if message.kind != "trigger":
        said = f"*{_plain(message.title)}*\n{_plain(message.state)}"
        return {"text": f"{message.title}: {message.state}", "blocks": [_section(said), _small(links)]}
    facts = [f"*{line.name}*  {_plain(line.text)}" for line in message.lines if line.name in _SHOWN]
    if message.command:
        facts += [f"*run*\n```{_plain(message.command)}```"]
    mark = f"{_MARKS.get(message.severity, '')} {message.severity} for {message.owner or 'whoever is on call'}, {message.cause}"
    parts = [head, _small(_plain(mark)), _section("\n".join(facts)), _small(links)]
    return {"text": f"[{message.severity}] {message.title}", "blocks": parts}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _SECTION)}}


def _small(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(text, _SECTION)}]}


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"

"""Any program: the incident as JSON."""

from typing import Any, Final

import msgspec

from services.control.pager.receivers.base import posted, secret
from services.control.pager.writing import Message, plain

__all__ = ["Webhook", "body"]


class Webhook:
    """Tells a program.

    Args:
        url_file: the file with the URL, which may hold a key.
    """

    name: Final = "webhook"
    pages: Final = False

    def __init__(self, url_file: str) -> None:
        self._url_file = url_file

    def send(self, message: Message, number: int) -> None:
        """Posts one message, with the notice's number as `Idempotency-Key`, which a second sending repeats.

        Raises:
            NotSent: it was not taken.
        """
        url = secret(self._url_file, "page_webhook_file")
        posted("the webhook", url, body(message), hidden=url, headers={"Idempotency-Key": f"{message.incident_id}-{number}"})


def body(message: Message) -> dict[str, Any]:
    """The fields of `Message`, and all of it as text."""
    fields: dict[str, Any] = msgspec.to_builtins(message)
    return fields | {"version": 1, "text": plain(message)}

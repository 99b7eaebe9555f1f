"""What every receiver of notices is, and how an answer over HTTP is judged."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from rankloop.errors import RankloopError
from services.control.pager.writing import Message

__all__ = ["NotSent", "Receiver", "Refused", "posted", "secret"]

_SECONDS: Final = 10.0
_AGAIN: Final = (408, 425, 429)
_MOST: Final = 200


class NotSent(RankloopError):
    """A receiver did not take a notice; it may take it later.

    Attributes:
        after: seconds to wait at least, where the receiver said so; else None.
    """

    def __init__(self, said: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(said)


class Refused(NotSent):
    """A receiver will not take a notice until somebody changes something: its key, or the settings."""


class Receiver(Protocol):
    """Where notices go.

    Attributes:
        name: pagerduty, slack, webhook or mail.
        pages: whether it wakes somebody: only incidents of severity `page` go there.
    """

    @property
    def name(self) -> str: ...

    @property
    def pages(self) -> bool: ...

    def send(self, message: Message, number: int) -> None:
        """Sends one notice.

        Args:
            message: what it says.
            number: of the notice; a second sending of the same one has the same number.

        Raises:
            NotSent: it was not taken.
        """
        ...


def secret(file: str, setting: str) -> str:
    """What a file of the settings holds; read at each sending, so that it may be changed, and kept nowhere.

    Raises:
        Refused: it cannot be read, or is empty.
    """
    try:
        held = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(
            f"the file that RANKLOOP_{setting.upper()} names, {file}, cannot be read: {said}; put the secret there"
        ) from None
    if not held:
        raise Refused(f"the file that RANKLOOP_{setting.upper()} names, {file}, is empty; put the secret there")
    return held


def posted(name: str, url: str, body: Any, *, hidden: str = "", headers: dict[str, str] | None = None) -> None:
    """Posts JSON; 2xx is taken, and nothing else is. No error names the address or the key: either may be the secret.

    Args:
        name: of the receiver, for errors.
        url: where to.
        body: what is sent.
        hidden: a secret that an answer may repeat, and no error shows.
        headers: further ones.

    Raises:
        Refused: 4xx, which no repetition mends.
        NotSent: no answer, 429 or 5xx.
    """
    try:
        with _unlogged(), httpx.Client(timeout=_SECONDS, trust_env=True, follow_redirects=False) as client:
            answer = client.post(url, json=body, headers=headers)
    except httpx.InvalidURL:
        raise Refused(f"{name}: the address of the settings is none; give one that begins with https://") from None
    except httpx.HTTPError as error:
        raise NotSent(f"{name} does not answer: {type(error).__name__}") from None
    if answer.is_success:
        return
    said = " ".join(answer.text.split())[:_MOST]
    for own in (hidden, url):
        said = said.replace(own, "***") if own else said
    told = f"{name} answered {answer.status_code}: {said}"
    if answer.status_code < 500 and answer.status_code not in _AGAIN:
        raise Refused(told)
    raise NotSent(told, _seconds(answer.headers.get("retry-after", "")))


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keeps this thread's addresses out of httpx's own log, which has each of them."""
    logger, own = logging.getLogger("httpx"), threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != own

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None

"""Mail by SMTP, encrypted from the start or where the server offers it, and never with a password where it is not."""

import smtplib
import ssl
from email.message import EmailMessage
from typing import Final

from rankloop.errors import SettingsError
from services.control.pager.receivers.base import NotSent, Refused, secret
from services.control.pager.writing import Message, plain

__all__ = ["Mail", "letter"]

_SECONDS: Final = 10.0
_PERMANENT: Final = 500
_TLS_PORT: Final = 465
"""Where a server speaks TLS from the start (RFC 8314)."""


class Mail:
    """Mails each incident; later letters about it belong to the thread of the first.

    Args:
        to: addresses, with commas between.
        sender: the address it is from, and the name that logs in.
        server: host:port.
        password_file: the file with the password; empty: nobody logs in.

    Raises:
        SettingsError: an address, or the server, is missing or none.
    """

    name: Final = "mail"
    pages: Final = False

    def __init__(self, to: str, sender: str, server: str, password_file: str = "") -> None:
        host, _, port = server.rpartition(":")
        if not sender or not host or not port.isdigit():
            raise SettingsError(
                f"RANKLOOP_MAIL_TO is given, and RANKLOOP_MAIL_FROM is {sender!r}, RANKLOOP_MAIL_SERVER {server!r}; "
                "give both, the server as host:port"
            )
        self._to = [own.strip() for own in to.split(",") if own.strip()]
        self._sender, self._host, self._port, self._password_file = sender, host, int(port), password_file

    def send(self, message: Message, number: int) -> None:
        """Hands one letter to the server; sent again after a kill, it has the same Message-ID.

        Raises:
            NotSent: the server did not take it.
        """
        own = letter(message, number, self._sender, self._to)
        password = secret(self._password_file, "mail_password_file") if self._password_file else ""
        try:
            with self._connected() as server:
                self._introduce(server, password)
                server.send_message(own)
        except smtplib.SMTPAuthenticationError as error:
            raise Refused(f"the mail server refuses the password of {self._sender}: {error.smtp_code}") from None
        except smtplib.SMTPResponseException as error:
            kind = Refused if error.smtp_code >= _PERMANENT else NotSent
            raise kind(f"the mail server answered {error.smtp_code}: {_said(error.smtp_error)}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"the mail server at {self._host}:{self._port} did not take it: {type(error).__name__}") from None

    def _connected(self) -> smtplib.SMTP:
        if self._port == _TLS_PORT:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=_SECONDS, context=ssl.create_default_context())
        return smtplib.SMTP(self._host, self._port, timeout=_SECONDS)

    def _introduce(self, server: smtplib.SMTP, password: str) -> None:
        server.ehlo()
        encrypted = isinstance(server, smtplib.SMTP_SSL)
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
            encrypted = True
        if password:
            if not encrypted:
                raise Refused("the mail server offers no STARTTLS, so the password is not sent; give one that does")
            server.login(self._sender, password)


def letter(message: Message, number: int, sender: str, to: list[str]) -> EmailMessage:
    """A letter of plain text."""
    own, domain = EmailMessage(), sender.rpartition("@")[2] or "rankloop"
    resolved = "resolved: " if message.kind == "resolve" else ""
    own["Subject"] = f"[{message.severity}] {resolved}{message.title}"[:200]
    own["From"], own["To"] = sender, ", ".join(to)
    own["Message-ID"] = f"<{message.incident_id}-{number}@{domain}>"
    own["References"] = f"<{message.incident_id}@{domain}>"
    own["Auto-Submitted"] = "auto-generated"
    own.set_content(plain(message))
    return own


def _said(text: bytes | str) -> str:
    return " ".join((text.decode("utf-8", "replace") if isinstance(text, bytes) else text).split())[:200]

"""A mail server of the tests' own, which keeps what it takes."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from benchmarks.load.child import free_port

__all__ = ["mailbox"]


@contextmanager
def mailbox(
    *, refuses: int = 0, password: str = "", certificate: tuple[Path, Path] | None = None, from_the_start: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """An SMTP server: its address, and the letters that it took.

    Args:
        refuses: the code with which it answers each letter; 0: it takes them.
        password: what whoever logs in must know; empty: nobody need log in.
        certificate: key and certificate for TLS, without which it then takes nothing; None: it speaks none.
        from_the_start: TLS begins with the connection, and not with STARTTLS.
    """
    letters: list[str] = []

    class Box:
        async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
            if refuses:
                return f"{refuses} no"
            assert isinstance(envelope.content, bytes)
            letters.append(envelope.content.decode().replace("\r\n", "\n"))
            return "250 taken"

    def knows(server: Any, session: Any, envelope: Any, mechanism: str, told: LoginPassword) -> AuthResult:
        return AuthResult(success=told.password == password.encode(), handled=False)  # it says so itself

    context = _context(*certificate) if certificate else None
    controller = Controller(
        Box(),
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=context if from_the_start else None,
        tls_context=None if from_the_start else context,
        require_starttls=certificate is not None and not from_the_start,
        authenticator=knows if password else None,
        auth_required=bool(password),
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield f"127.0.0.1:{controller.port}", letters
    finally:
        controller.stop()


def _context(key: Path, certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context

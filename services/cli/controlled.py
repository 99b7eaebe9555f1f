"""How commands reach the control plane: through its API, or for reading alone, its record where nobody answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import httpx
import msgspec
import typer

from rankloop import __version__
from rankloop.errors import Missing, Unavailable
from services.cli.console import err, myself, out
from services.control.client import ControlClient
from services.settings import Settings

if TYPE_CHECKING:
    from services.control.views import Views

__all__ = ["AsJson", "Reader", "Why", "control", "print_json", "reading"]

Reader: TypeAlias = "ControlClient | Views"
Why = Annotated[str, typer.Option("--why", help="For whoever reads the history.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


class _FromTerminal(httpx.HTTPTransport):
    """Says that a terminal asks; a run that was started at one is told from those that programs start."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["User-Agent"] = f"rankloop-terminal/{__version__}"
        return super().handle_request(request)


@contextmanager
def control(settings: Settings | None = None, *, seconds: float = 60.0) -> Iterator[ControlClient]:
    """The control plane of this machine, to change something; with the longest wait for an answer."""
    with ControlClient.of(settings or Settings.read(), seconds=seconds, transport=_FromTerminal()) as client:
        yield client


@contextmanager
def reading(settings: Settings | None = None, *, seconds: float = 60.0) -> Iterator[Reader]:
    """The control plane, or the record itself where none answers, so that history can be read while the stack is down.

    Raises:
        Missing: nobody answers, and there is no record.
    """
    settings = settings or Settings.read()
    with ControlClient.of(settings, seconds=seconds) as client:
        if _answers(client):
            yield client
            return
    from services.control.views import Views, has_record

    if not has_record(settings):
        raise Missing(f"nothing was released here yet: start the stack with {myself()} up, then {myself()} run")
    err.print("[dim]no control plane answers: this is read from its record[/dim]")
    with Views.open(settings) as views:
        yield views


def print_json(answer: Any) -> None:
    """One answer for a machine to read."""
    out.print(msgspec.json.format(msgspec.json.encode(answer)).decode(), markup=False, soft_wrap=True)


def _answers(client: ControlClient) -> bool:
    try:
        client.ready()
    except Unavailable:
        return False
    return True

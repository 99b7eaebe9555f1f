"""`rankloop rollback`: the release that served before serves again, with the control plane or without it."""

from datetime import UTC, datetime
from typing import Final

from rankloop.errors import Unavailable
from services.cli.console import out
from services.cli.controlled import AsJson, Why, control, print_json
from services.control.client import terminal_user
from services.settings import Settings

__all__ = ["rollback"]

_SECONDS: Final = 10.0
"""Longest wait for the control plane before the edges are told directly."""


def rollback(why: Why = "rolled back at a terminal, no reason was given", as_json: AsJson = False) -> None:
    """Go back to the release that served before; from any state, from the next request on.

    Where no control plane answers, the edges are told directly, and the control plane records it when it is back.
    """
    settings = Settings.read()
    try:
        with control(settings, seconds=_SECONDS) as client:
            told = client.rollback(why=why)
    except Unavailable as error:
        if error.status is not None:
            raise
        _directly(settings, why)
        return
    if as_json:
        print_json(told)
    else:
        out.print(told.said, soft_wrap=True)


def _directly(settings: Settings, why: str) -> None:
    """Tells the edges past the control plane, which records it when it is back: ends a canary, else goes one release back."""
    from services.control.drivers import open_edges, take_back

    edges = open_edges(settings)
    shared = any(own and (own.canary_bp or own.interleave_bp) for own in edges.read().values())
    now = take_back(settings, who=terminal_user(), why=why, now=datetime.now(UTC), to_previous=not shared, edges=edges)
    out.print(
        f"no control plane answers, so the edges were told directly: slot {now.stable} serves everybody; "
        "the control plane records it when it is back",
        soft_wrap=True,
    )

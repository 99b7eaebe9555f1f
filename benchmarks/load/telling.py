"""Lines of progress of a benchmark that takes minutes."""

import time
from collections.abc import Callable

from rich.console import Console

__all__ = ["teller"]


def teller() -> Callable[[str], None]:
    """Prints a line with the seconds since now; colourless where nobody looks."""
    console, began = Console(stderr=True), time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:7.1f} s[/dim]  {line}", highlight=False)

    return say

"""How a run looks while it works: a line for each step that ended, and what the current one is doing."""

from types import TracebackType
from typing import Final, Self

from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pipelines.events import Event
from services.cli.console import in_words, out

__all__ = ["Steps"]

_WIDTH: Final = 17


class Steps:
    """Shows events as they come; on a terminal also a spinner, the seconds, and the step's last words.

    Args:
        quiet: shows nothing, where the answer is for a machine.

    Example:
        >>> from pipelines.events import Event
        >>> with Steps() as steps:
        ...     steps.take(Event("ingest", "done", "", at=0.0, seconds=1.5, peak_mb=300.0))
        ✓ ingest              1.5 s    0.31 GB
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=out,
            transient=True,
            disable=quiet or not out.is_terminal,
        )
        self._task: TaskID | None = None
        self._said: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def take(self, event: Event) -> None:
        """Shows one event."""
        if self._quiet:
            return
        match event.event:
            case "starts":
                self._wait_for(event.step, "")
            case "says":
                self._said[event.step] = event.text
                self._wait_for(event.step, event.text)
                if not out.is_terminal:
                    self._line("·", event, event.text)
            case "done":
                spent = f"{in_words(event.seconds):>12}  {event.peak_mb * 2**20 / 1e9:>6.2f} GB"
                self._line("[green]✓[/green]", event, f"{spent}  {self._said.get(event.step, '') if out.is_terminal else ''}")
            case "cached":
                self._line("[green]✓[/green]", event, f"{'cached':>12}")
            case "failed":
                self._line("[red]✗[/red]", event, event.text)

    def _line(self, mark: str, event: Event, text: str) -> None:
        if event.event != "says" and self._task is not None:
            self._live.remove_task(self._task)
            self._task = None
        self._live.console.print(f"{mark} {event.step:<{_WIDTH}}{escape(text)}".rstrip(), soft_wrap=True)

    def _wait_for(self, step: str, doing: str) -> None:
        room = max(20, out.width - _WIDTH - 20)
        description = f"{step:<{_WIDTH}}[dim]{escape(doing[:room])}[/dim]"
        if self._task is None:
            self._task = self._live.add_task(description, total=None)
        else:
            self._live.update(self._task, description=description)

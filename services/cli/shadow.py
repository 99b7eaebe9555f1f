"""`rankloop shadow`: what the other release would have answered, as far as the shadow knows."""

from typing import Annotated

import typer
from rich.markup import escape

from services.cli.console import NOT_PASSED, out
from services.settings import Settings

__all__ = ["shadow"]


def shadow(
    worst: Annotated[int, typer.Option("--worst", min=0, help="Show so many of the most different pairs of lists.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record's numbers as JSON.")] = False,
) -> None:
    """Show how the other slot's lists differ from those people saw; exit with 3 when nothing was compared."""
    from services.cli.shadow_shown import print_record, show_record
    from services.shadow.record import newest, read

    settings = Settings.read()
    file = newest(settings.home / "shadow")
    if file is None:
        out.print("nothing was compared yet: set RANKLOOP_SHADOW_SHARE, and put a release into the other slot", soft_wrap=True)
        raise typer.Exit(NOT_PASSED)
    record = read(file)
    if as_json:
        print_record(record)
    else:
        from services.shadow.page import write_page  # draws with matplotlib, which takes a second to load

        page = write_page(file)
        show_record(record, worst)
        out.print(f"page: [link=file:{page}]{escape(str(page))}[/link]", soft_wrap=True)
    if not record.outcomes.get("compared"):
        raise typer.Exit(NOT_PASSED)

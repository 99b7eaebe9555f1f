"""A simulated marketplace as a folder of contract tables, made once; its truth lies beside them, for benchmarks only."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines.fingerprints import code_version
from rankloop.errors import DataError
from rankloop.simulation import Marketplace, Scale
from services.cli.console import out

__all__ = ["make", "scale_for"]

_MADE: Final = "made.json"
_SMALLEST: Final = 1_000


def scale_for(impressions: int) -> Scale:
    """The demo's marketplace, with people and jobs in proportion to the impressions wanted.

    Raises:
        DataError: too few for any model to learn from.

    Example:
        >>> scale_for(400_000).users / Scale.demo().users
        2.0
    """
    if impressions < _SMALLEST:
        raise DataError(f"{impressions} impressions is too small a marketplace; ask for at least {_SMALLEST:,}")
    demo = Scale.demo()
    share = impressions / demo.impressions
    sized = {name: max(4, round(getattr(demo, name) * share)) for name in ("users", "users_per_day", "items", "items_per_day")}
    return replace(demo, impressions=impressions, clients=max(10, round(demo.clients * share)), **sized)


def make(folder: Path, *, impressions: int, seed: int) -> bool:
    """Writes the tables, unless the same ones are there already.

    Args:
        folder: where the four Parquet files go.
        impressions: how many, about.
        seed: the same seed gives the same bytes.

    Returns:
        Whether anything had to be made.
    """
    scale = scale_for(impressions)
    recipe: dict[str, Any] = {"seed": seed, "code": code_version(), "scale": {**asdict(scale), "start": scale.start.isoformat()}}
    made = folder / _MADE
    if made.exists() and json.loads(made.read_text()) == recipe:
        return False
    made.unlink(missing_ok=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("day {task.completed} of {task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("simulating a marketplace", total=scale.days)
        market = Marketplace(scale, rng=seed)
        tables = market.history(lambda day, days: bar.update(task, completed=day, total=days))
    tables.write(folder)
    market.truth.save(folder / "truth")
    made.write_text(json.dumps(recipe))
    return True

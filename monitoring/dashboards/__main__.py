"""Writes the dashboards: `python -m monitoring.dashboards [--into FOLDER] [--docs-url URL]`."""

import argparse
from pathlib import Path

from monitoring.dashboards.build import FOLDER, written

__all__: list[str] = []


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m monitoring.dashboards", description="Writes Grafana's dashboards.")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder; without it those of the package")
    parser.add_argument("--docs-url", default="", help="put before docs/runbook.md in their links")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    for file in written(given.into, given.docs_url.rstrip("/")).values():
        print(file)


if __name__ == "__main__":
    _main()

"""One run of a pipeline on this machine, in a process of its own: `python -m pipelines.local RUN_FOLDER`.

KFP prints, clears logging handlers and holds global state, so the terminal program never runs it in its own process.
"""

import json
import logging
import os
import re
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from kfp import local

from monitoring.progress import EVENTS
from pipelines.events import PIPELINES
from rankloop.files import write_aside

__all__ = ["run"]


class CacheWatch(logging.Filter):
    """Turns KFP's log line about a cached step into an event; it filters nothing out."""

    def __init__(self, events: str) -> None:
        super().__init__()
        self._events = events

    def filter(self, record: logging.LogRecord) -> bool:
        """Looks at every record and keeps it."""
        if hit := re.match(r"Task (\S+) cache hit", record.getMessage()):
            line = {"step": hit[1].replace("-", "_"), "event": "cached", "text": "", "at": time.time()}
            with open(self._events, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        return True


def run(folder: Path) -> None:
    """Runs the pipeline that `folder/parameters.json` names, and writes `folder/outputs.json` at the end."""
    request = json.loads((folder / "parameters.json").read_text())
    watch_cache(os.environ[EVENTS])
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=request["root"],
        workspace_root=str(folder / "workspace"),
        enable_caching=True,
        cache_root=request["cache"],
    )
    task = _pipeline(request["pipeline"])(**request["parameters"])
    outputs = {name: _plain(value) for name, value in task.outputs.items()}
    write_aside(folder / "outputs.json", json.dumps(outputs, indent=2))


def watch_cache(events: str) -> None:
    """Lets KFP's cache be seen: it logs a hit on the root logger, and only there."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addFilter(CacheWatch(events))


def _pipeline(name: str) -> Any:
    """A pipeline by its name in `PIPELINES`: the function of that name in the module of that name."""
    assert name in PIPELINES
    return getattr(import_module(f"pipelines.{name}"), name)


def _plain(value: Any) -> Any:
    return value.path if hasattr(value, "path") else value


if __name__ == "__main__":
    run(Path(sys.argv[1]))

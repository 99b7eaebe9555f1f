"""`python -m services.tally` counts what is shown and done, by slot, until it is told to end."""

import logging
import os
import signal
import sys
import threading

from monitoring.metrics import TallyMetrics
from rankloop.errors import RankloopError
from services.settings import Settings
from services.tally.serving import serve
from services.tally.worker import Worker

__all__ = ["main"]

_POLITE = 5
"""How much this process gives way to those that answer people."""


def main() -> int:
    """Runs until SIGTERM or Ctrl-C; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    try:
        settings = Settings.read()
        worker = Worker(settings, TallyMetrics())
        serve(worker.board, settings.tally_port)
        os.nice(_POLITE)
        worker.run(stopping)
    except RankloopError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

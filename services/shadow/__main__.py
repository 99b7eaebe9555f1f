"""`python -m services.shadow` compares the other slot's lists with those people saw, until it is told to end."""

import asyncio
import logging
import os
import signal
import sys

from prometheus_client import start_http_server

from monitoring.metrics import ShadowMetrics
from rankloop.errors import PortBusy, RankloopError
from services.settings import Settings
from services.shadow.slots import EdgeSlots
from services.shadow.worker import Worker

__all__ = ["main"]

log = logging.getLogger("services.shadow")

_POLITE = 10
"""How much this process gives way to those that answer people."""


def main() -> int:
    """Runs until SIGTERM or Ctrl-C; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.read()
        metrics = ShadowMetrics()
        _serve(settings.shadow_port, metrics)
        os.nice(_POLITE)
        asyncio.run(_worked(settings, metrics))
    except RankloopError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _worked(settings: Settings, metrics: ShadowMetrics) -> None:
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    if not settings.shadow_share:
        log.info("RANKLOOP_SHADOW_SHARE is 0: the shadow only waits")
        await stopping.wait()
        return
    await Worker(settings, EdgeSlots(settings), metrics).run(stopping)


def _serve(port: int, metrics: ShadowMetrics) -> None:
    try:
        start_http_server(port, "127.0.0.1", registry=metrics.registry)
    except OSError as error:
        raise PortBusy(f"port {port} is taken ({error.strerror}); set RANKLOOP_SHADOW_PORT to a free one") from error


if __name__ == "__main__":
    sys.exit(main())

"""`python -m services.control` is a control plane: an API, and while it leads, the loop that makes the world as recorded."""

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from monitoring.metrics import ControlMetrics
from rankloop.errors import PortBusy, RankloopError
from services.auth import Tokens, refuse_strangers
from services.control.opening import open_control
from services.listening import listening
from services.settings import Settings

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.control")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; another than loopback needs tokens")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("httpx", "alembic.runtime.plugins"):  # one line for each look at a slot
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = Settings.read()
        refuse_strangers(Tokens.read(settings), asked.host)
        with _listening(asked.host, settings.control_port) as listens:
            _serve(settings, listens)
    except RankloopError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(settings: Settings, listens: socket.socket) -> None:
    """Answers until it is told to end; then ends the loops, and gives the lease back."""
    # the server raises again, at its end, the signal that ended it; this way the process ends well
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    app, loops = open_control(settings, ControlMetrics())
    loops.start()
    try:
        uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="on",
                access_log=False,
                server_header=False,
                log_config=None,
                timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
            )
        ).run(sockets=[listens])
    finally:
        loops.stop()


def _listening(host: str, port: int) -> socket.socket:
    try:
        return listening(host, port)
    except OSError as error:
        raise PortBusy(f"port {port} is taken ({error.strerror}); set RANKLOOP_CONTROL_PORT to a free one") from error


if __name__ == "__main__":
    sys.exit(main())

"""`python -m services.events collect` takes events; `python -m services.events curate` carries them on."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence

import uvicorn

from rankloop.errors import RankloopError
from services.auth import Tokens, refuse_strangers
from services.settings import Settings

__all__ = ["main"]

log = logging.getLogger("services.events")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one process until it is told to end; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.events")
    roles = parser.add_subparsers(dest="role", required=True)
    collect = roles.add_parser("collect", help="take events over HTTP")
    collect.add_argument("--port", type=int, required=True, help="TCP port; 0: any")
    collect.add_argument("--host", default="127.0.0.1", help="address to listen on; another than loopback needs tokens")
    roles.add_parser("curate", help="fold events into the online store, and roll records into the log")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.read()
        if asked.role == "collect":
            _collect(settings, asked.host, asked.port)
        else:
            _curate(settings)
    except RankloopError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _collect(settings: Settings, host: str, port: int) -> None:
    """Serves in this process; on SIGTERM it answers what it has begun, then hands the spool to the disk."""
    from services.events.collector import open_collector

    refuse_strangers(Tokens.read(settings), host)
    # the server raises again, at its end, the signal that ended it; this way the process ends well
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        open_collector(settings),
        host=host,
        port=port,
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_keep_alive=75,  # longer than the edge keeps a connection, so that none is closed while it is chosen
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
    )


def _curate(settings: Settings) -> None:
    from services.events.curator import run

    run(settings)


if __name__ == "__main__":
    sys.exit(main())

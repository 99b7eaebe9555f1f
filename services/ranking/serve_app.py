"""What Ray Serve runs: a Bento's bundle behind the same application, one process a replica."""

import logging
from pathlib import Path
from typing import Any, Final

from litestar import Litestar
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application
from ray.util import get_node_ip_address

from services.ranking.opening import BUNDLE, open_release, sources_of
from services.settings import Settings

__all__ = ["Ranking", "ServeArgs", "build"]

log = logging.getLogger(__name__)


_COMPUTING: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")
"""What the libraries look at before they start threads of their own."""


class ServeArgs(BaseModel):
    """The `args` of the application in a Serve configuration; absent ones come from the settings."""

    model_config = ConfigDict(extra="forbid")

    bento: str
    """The Bento's absolute folder, or its tag in the store under the home folder."""

    num_replicas: int | None = None
    """Processes that answer."""

    num_cpus: float | None = None
    """Cores each reserves."""


@serve.deployment(name="ranking")
@serve.ingress()
class Ranking:
    """A replica: opens the release when it starts, so a broken one never takes a request.

    Its process imports the code that lies in the Bento, not the code that is installed: a release is both.

    Args:
        sources: the Bento's sources.
    """

    def __init__(self, sources: str) -> None:
        _log_with_serve()
        _keep_to_loopback()
        self._app = open_release(Path(sources) / BUNDLE, Settings.read(), name_answers=False)

    def __serve_build_asgi_app__(self) -> Litestar:
        return self._app


def build(args: ServeArgs) -> Application:
    """The application that a Serve configuration names as `services.ranking.serve_app:build`."""
    settings = Settings.read()
    sources = str(sources_of(args.bento, settings))
    options: dict[str, Any] = {
        "num_replicas": args.num_replicas or settings.replicas,
        "ray_actor_options": {
            "num_cpus": args.num_cpus or settings.replica_cpus,
            "runtime_env": {"env_vars": {"PYTHONPATH": sources, **dict.fromkeys(_COMPUTING, str(settings.threads))}},
        },
        "max_ongoing_requests": settings.max_ongoing_requests,
        # the next release is ready before the last one leaves
        "max_surge_percent": 100,
        "health_check_period_s": 2.0,
        "health_check_timeout_s": 10.0,
        "graceful_shutdown_wait_loop_s": 0.5,
        "graceful_shutdown_timeout_s": 5.0,
    }
    return Ranking.options(**options).bind(sources)  # type: ignore[attr-defined]


def _keep_to_loopback() -> None:
    """Binds the replica's inner gRPC port, which takes pickles from anybody, where the rest of a laptop's Ray is bound.

    Serve opens it on every interface, after this constructor; on a cluster, where other nodes need it, it stays so.
    """
    from ray.serve._private import replica

    bind = getattr(replica, "add_port_to_grpc_server", None)
    if get_node_ip_address() != "127.0.0.1":
        return
    if bind is None:
        log.warning("this version of Ray opens the replica's gRPC port elsewhere; it listens on every interface")
        return
    replica.add_port_to_grpc_server = lambda server, address: bind(server, address.replace("[::]", "127.0.0.1"))


def _log_with_serve() -> None:
    """Our lines join the replica's log, at once; Ray configures no logger but its own, and holds back 100 lines.

    Ray's own lines begin at warnings: it makes a record of each request before it sees that nobody wants access logs.
    """
    of_ray = logging.getLogger("ray.serve")
    of_serve = [getattr(handler, "target", None) or handler for handler in of_ray.handlers]
    of_ray.setLevel(logging.WARNING)
    for name in ("services", "rankloop"):
        ours = logging.getLogger(name)
        ours.setLevel(logging.INFO)
        ours.handlers, ours.propagate = of_serve, False

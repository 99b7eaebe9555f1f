"""How Ray's head is started: its command and its environment, every port and folder named."""

import os
import site
import subprocess
import sys
from math import ceil
from pathlib import Path

import services
from pipelines.environment import RAY_ENVIRONMENT
from rankloop.errors import StackError
from services.settings import Settings
from services.stack.place import MARK, Place
from services.stack.ports import InnerPorts

__all__ = ["command", "environment", "start_head"]


def start_head(place: Place, settings: Settings) -> None:
    """Starts Ray's head in a session of its own, so that it outlives whoever started it, and waits until it is up.

    Raises:
        StackError: Ray gave up, or took longer than `start_seconds`.
    """
    said = place.logs / "ray-start.log"
    with said.open("wb") as out:
        starter = subprocess.Popen(
            command(place, settings),
            env=environment(place, settings, os.environ),
            cwd=place.home,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = starter.wait(settings.start_seconds)
        except subprocess.TimeoutExpired as error:
            raise StackError(f"Ray did not start within {settings.start_seconds:.0f} s; {said} says how far it came") from error
    if code != 0:
        tail = "\n".join(said.read_text(errors="replace").strip().splitlines()[-8:])
        raise StackError(f"Ray did not start (exit {code}); the end of {said}:\n{tail}")


def command(place: Place, settings: Settings) -> list[str]:
    """The command that starts Ray's head."""
    inner, (low, high) = settings.inner_port, InnerPorts(settings.inner_port).workers
    flags: dict[str, object] = {
        "node-ip-address": "127.0.0.1",
        "port": settings.ray_port,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": settings.dashboard_port,
        "include-dashboard": "true",
        "dashboard-agent-listen-port": inner,
        "dashboard-agent-grpc-port": inner + 1,
        "metrics-export-port": inner + 2,
        "runtime-env-agent-port": inner + 3,
        "object-manager-port": inner + 4,
        "node-manager-port": inner + 5,
        "ray-client-server-port": inner + 6,
        "min-worker-port": low,
        "max-worker-port": high,
        "num-cpus": _cpus(settings),
        "object-store-memory": settings.object_store_mb * 2**20,
        "temp-dir": place.door,
    }
    program = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--disable-usage-stats"]
    return program + [f"--{name}={value}" for name, value in flags.items()]


def environment(place: Place, settings: Settings, given: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """What every process of the stack inherits: the mark, the ports, the folders, and no telemetry."""
    ours: dict[str, object] = {
        **RAY_ENVIRONMENT,
        # Ray would run replicas at 15, so whatever else runs would make people wait
        "RAY_worker_niceness": 0,
        **settings.variables(),
        MARK: place.mark,
        "RANKLOOP_HOME": place.home,
        "PYTHONPATH": os.pathsep.join(_import_path(given.get("PYTHONPATH", ""))),
        "BENTOML_HOME": settings.bento_store,
        "BENTOML_DO_NOT_TRACK": "True",
        "AUTOSCALER_METRIC_PORT": settings.inner_port + 9,
        "DASHBOARD_METRIC_PORT": settings.inner_port + 10,
    }
    kept = {name: value for name, value in given.items() if name != "RAY_ADDRESS"}  # it would name another cluster
    return kept | {name: str(value) for name, value in (ours | _of_serve(place, settings)).items()}


def _of_serve(place: Place, settings: Settings) -> dict[str, object]:
    inner, sockets = InnerPorts(settings.inner_port), place.door
    return {
        # one process answers a request, in its main thread, behind HAProxy (docs/decisions/0006)
        "RAY_SERVE_ENABLE_HA_PROXY": 1,
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": 0,
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": 100,
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": settings.inner_port + 7,
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": settings.inner_port + 8,
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": settings.replica_ports[0],
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": settings.replica_ports[-1],
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": inner.grpc[0],
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": inner.grpc[1],
        # a replaced replica ends in seconds: on one machine nobody is still on the way to it
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": 2,
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": 10,
        "RAY_SERVE_HAPROXY_NBTHREAD": 1,
        # or a Python process reads a line for every request, which the edge and the replicas count anyway
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": 0,
        # a request is held whole, as at the edge, so that it can be asked again
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": settings.max_body_bytes + 32_768,
        # every route only reads, so a request that a dying replica took with it may be asked again
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response junk-response",
        "RAY_SERVE_HAPROXY_METRICS_PORT": settings.haproxy_metrics_port,
        "RAY_SERVE_HAPROXY_STATS_PORT": settings.haproxy_stats_port,
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": sockets / "haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": sockets / "admin.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": sockets / "metrics.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": sockets,
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": sockets / "server-state",
    }


def _cpus(settings: Settings) -> int:
    """A replica idles most of the time, so what it reserves is added to the machine's cores, not taken from tuning."""
    return settings.cpus or (os.cpu_count() or 1) + ceil(settings.replicas * settings.replica_cpus)


def _import_path(given: str) -> list[str]:
    """Ray's workers import `services`: where it is not installed, its folder is named to them."""
    root = str(Path(str(services.__file__)).parents[1])
    installed = root in site.getsitepackages()
    return [*([] if installed else [root]), *filter(None, given.split(os.pathsep))]

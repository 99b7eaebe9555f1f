"""The alternatives that answer with our engine, each started as its own documentation starts it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.load.bundle import Made
from benchmarks.load.child import answers, child, free_port, processes, short_folder

__all__ = ["System", "bento_api", "fastapi_on_serve"]


class System(NamedTuple):
    """Something that answers `/v1/recommend` and `/v1/search`.

    Attributes:
        name: for tables.
        address: host and port.
        pids: the processes that hold the release.
    """

    name: str
    address: tuple[str, int]
    pids: list[int]


@contextmanager
def fastapi_on_serve(release: Made, home: Path, *, replicas: int) -> Iterator[System]:
    """FastAPI on Ray Serve's default proxy, with a router deployment in front of the engine's."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/recommend"
    with short_folder() as folder:  # not its own: it is ended without being asked to clean up
        arguments = map(str, (release.folder, home, port, replicas, folder))
        command = [sys.executable, "-m", "benchmarks.load.fastapi_on_serve", *arguments]
        with child(command, env={}, ready=lambda: answers(url, release.recommend[0])) as mark:
            pids = processes(mark, "ServeReplica:default:Ranking")
            yield System("FastAPI, router, Ray Serve", ("127.0.0.1", port), pids)


@contextmanager
def bento_api(release: Made, home: Path, *, replicas: int) -> Iterator[System]:
    """`@bentoml.api` under `bentoml serve`."""
    port = free_port()
    served = ["serve", "benchmarks.load.bento_api:Ranking", "--host", "127.0.0.1", "--port", str(port)]
    env = {
        "BENCH_BUNDLE": str(release.folder),
        "BENCH_HOME": str(home),
        "BENCH_WORKERS": str(replicas),
        "BENTOML_HOME": str(home / "bento-bench"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    url = f"http://127.0.0.1:{port}/v1/recommend"
    with child([sys.executable, "-m", "bentoml", *served], env=env, ready=lambda: answers(url, release.recommend[0])) as mark:
        yield System("@bentoml.api", ("127.0.0.1", port), processes(mark, "_bentoml_impl.worker.service"))

"""A Prometheus with a past: series made by formulas, an hour before a fault and half an hour into it."""

import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

BEFORE, AFTER, STEP = 3600, 1800, 30
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def installed() -> bool:
    return all(map(shutil.which, ("prometheus", "promtool")))


def openmetrics(since: float) -> str:
    """Ten answers a second; from `since` on a tenth of them fails, a fifth falls back, and they take ten times as long."""
    families: dict[str, list[str]] = {}
    sums: dict[str, float] = {}

    def add(family: str, kind: str, series: str, by: float, at: float) -> None:
        sums[series] = sums.get(series, 0.0) + by
        families.setdefault(f"# TYPE {family} {kind}\n", []).append(f"{series} {sums[series]:.6f} {at:.3f}\n")

    for tick in range(-BEFORE // STEP, AFTER // STEP + 1):
        at, bad = since + tick * STEP, tick > 0
        answers = STEP * (10 + 2 * math.sin(tick / 10))
        shares = {"whole": 0.69, "fallback": 0.2, "empty": 0.01, "failed": 0.1} if bad else {"whole": 0.99, "fallback": 0.01}
        for outcome, share in {"failed": 0.0, "empty": 0.0, **shares}.items():
            labels = f'surface="job_feed",slot="blue",replica="1",outcome="{outcome}"'
            add("rankloop_answers", "counter", f"rankloop_answers_total{{{labels}}}", share * answers, at)
        for bound in (*BOUNDS, math.inf):
            share = 1 - math.exp(-bound / (0.3 if bad else 0.03))
            labels = f'surface="job_feed",slot="blue",replica="1",le="{"+Inf" if bound == math.inf else bound}"'
            add(
                "rankloop_answer_duration_seconds",
                "histogram",
                f"rankloop_answer_duration_seconds_bucket{{{labels}}}",
                share * answers,
                at,
            )
        for code, share in {"2xx": 0.9, "5xx": 0.1 if bad else 0.0}.items():
            labels = f'proxy="public",code="{code}"'
            add(
                "haproxy_frontend_http_responses",
                "counter",
                f"haproxy_frontend_http_responses_total{{{labels}}}",
                share * answers,
                at,
            )
        release = "r-20261122-2" if tick > -10 else "r-20261121-1"
        labels = f'surface="job_feed",release_id="{release}"'
        add("rankloop_release_lists", "counter", f"rankloop_release_lists_total{{{labels}}}", answers, at)
        clicks = (0.12 if bad else 0.3) * answers
        add("rankloop_release_outcomes", "counter", f'rankloop_release_outcomes_total{{{labels},kind="click"}}', clicks, at)
    return "".join(head + "".join(_grouped(lines)) for head, lines in families.items()) + "# EOF\n"


def _grouped(lines: list[str]) -> list[str]:
    """A series' samples together, in time."""
    return sorted(lines, key=lambda line: line.rpartition("}")[0])


@contextmanager
def prometheus(folder: Path, text: str) -> Iterator[str]:
    """Its address, with the series of a text in the OpenMetrics format in its past."""
    (folder / "past.txt").write_text(text)
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "past.txt"), str(folder / "data")]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 15s}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--storage.tsdb.retention.time=30d", "--log.level=error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(f"http://{address}/-/ready", process)
            yield f"http://{address}"
        finally:
            process.terminate()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert process.poll() is None, "Prometheus ended"
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not up yet: asked again
        time.sleep(0.05)
    raise AssertionError(f"{url} is not ready after 30 s")

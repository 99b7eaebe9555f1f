"""Prometheus and Alertmanager of a stack: their files, their ports, and both started for real on a small stack of toys."""

import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from monitoring.prometheus_config import JOBS
from rankloop.errors import PortBusy, SettingsError
from services.auth import Scope, Tokens
from services.settings import Settings
from services.stack import credentials
from services.stack.children import Children
from services.stack.place import Place
from services.stack.ports import assert_free, needed
from services.stack.watchers import NAMES, Binaries, Watchers, in_words, jobs, receivers, rule_texts
from tests.services.edge.conftest import until

Make = Callable[..., Settings]
INSTALLED = Binaries("/usr/bin/prometheus", "/usr/bin/prometheus-alertmanager", None, None)
FOUND = Binaries.found()
needs_both = pytest.mark.skipif(bool(FOUND.missing), reason=f"not installed: {' '.join(FOUND.missing)}")


def test_both_are_started_where_both_are_installed_and_end_first(free_settings: Make, tmp_path: Path) -> None:
    settings = free_settings(tmp_path)
    programs = list(Children(Place(tmp_path), settings, Watchers(settings, INSTALLED)).programs())
    assert [own.name for own in programs[-2:]] == ["prometheus", "alertmanager"]
    assert min(own.rank for own in programs[-2:]) > max(own.rank for own in programs[:-2])


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({"prometheus": None, "alertmanager": None}, "install prometheus and prometheus-alertmanager (apt install "),
        ({"alertmanager": None}, "install prometheus-alertmanager (apt install "),
    ],
)
def test_where_one_is_missing_neither_is_started_and_the_package_is_named(
    free_settings: Make, tmp_path: Path, missing: dict[str, None], says: str
) -> None:
    watchers = Watchers(free_settings(tmp_path), Binaries(**(vars(INSTALLED) | missing)))
    watchers.prepare()
    assert (watchers.commands(), list(tmp_path.iterdir())) == ({}, [])
    assert watchers.why_not.startswith(says)


def test_they_listen_on_the_loopback_address_alone_and_gossip_with_nobody(free_settings: Make, tmp_path: Path) -> None:
    settings = free_settings(tmp_path)
    for name, command in Watchers(settings, INSTALLED).commands().items():
        assert f"--web.listen-address=127.0.0.1:{getattr(settings, f'{name}_port')}" in command
    assert "--cluster.listen-address=" in Watchers(settings, INSTALLED).commands()["alertmanager"]


def test_every_job_is_asked_at_a_port_of_this_stack(free_settings: Make, tmp_path: Path) -> None:
    settings = free_settings(tmp_path, shadow_share=0.5)
    asked = jobs(settings)
    assert {own.name for own in asked} == set(JOBS)
    ports = {int(address.rpartition(":")[2]) for own in asked for address in own.addresses}
    assert ports <= set(needed(settings)) | {settings.prometheus_port, settings.alertmanager_port}
    assert "shadow" not in {own.name for own in jobs(free_settings(tmp_path))}


def test_their_ports_are_only_needed_where_they_run(free_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Binaries, "found", lambda: INSTALLED)
    settings = free_settings(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", settings.prometheus_port), BaseHTTPRequestHandler):
        with pytest.raises(PortBusy, match=f"port {settings.prometheus_port} is held by .*RANKLOOP_PROMETHEUS_PORT"):
            assert_free(settings)
        assert_free(settings.model_copy(update={"watchers": "none"}))


def test_tokens_of_the_watchers_close_nothing_and_stay_good_once_there_are_others(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path)
    credentials.issue(settings)
    shown = {name: credentials.token_file(settings, name).read_text() for name in NAMES}
    assert not Tokens.read(settings).enforced
    tokens = Tokens.read(Settings.read(home=tmp_path, tokens_sha256=f"shop:read:{'0' * 64}"))
    assert tokens.enforced
    allowed = {name: {scope for scope in Scope if tokens.allows(token, scope)} for name, token in shown.items()}
    assert allowed == {"prometheus": {Scope.READ}, "alertmanager": {Scope.ADMIN}}
    files = [settings.watcher_tokens_path, *(credentials.token_file(settings, name) for name in NAMES)]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(token not in settings.watcher_tokens_path.read_text() for token in shown.values())
    credentials.forget(settings)
    assert list(settings.watcher_tokens_path.parent.iterdir()) == []


def test_a_url_stands_in_the_configuration_only_where_alertmanager_reads_no_file(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("https://hooks.example.org/s3cret\n")
    settings = Settings.read(home=tmp_path, page_webhook_file=str(file), heartbeat_url_file=str(file))
    old = receivers(settings, pager_token_file="", reads_url_files=False)
    new = receivers(settings, pager_token_file="", reads_url_files=True)
    assert (old.webhook_url, old.heartbeat_url) == ("https://hooks.example.org/s3cret",) * 2
    assert (new.webhook_url_file, new.heartbeat_url_file) == (str(file),) * 2
    assert "s3cret" not in str(new)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pagerduty_key_file": "nowhere"}, "RANKLOOP_PAGERDUTY_KEY_FILE is 'nowhere', which cannot be read"),
        ({"slack_url_file": "/dev/null"}, "RANKLOOP_SLACK_URL_FILE is '/dev/null', which is empty"),
        ({"mail_to": "ada@example.org"}, "RANKLOOP_MAIL_TO needs RANKLOOP_MAIL_FROM and RANKLOOP_MAIL_SERVER"),
    ],
)
def test_a_receiver_that_cannot_work_is_refused_by_its_variable(tmp_path: Path, given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Watchers(Settings.read(home=tmp_path, **given), INSTALLED).prepare()
    assert says in str(caught.value)


def test_rules_that_promtool_refuses_leave_the_stack_unwatched_and_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if FOUND.promtool is None:
        pytest.skip("promtool is not installed")
    broken = "groups: [{name: a, rules: [{alert: B, expr: 'rate('}]}]"
    monkeypatch.setattr("services.stack.watchers.rule_texts", lambda: {"broken.yaml": broken})
    watchers = Watchers(Settings.read(home=tmp_path), Binaries(**(vars(INSTALLED) | {"promtool": FOUND.promtool})))
    watchers.prepare()
    assert watchers.commands() == {}
    assert watchers.why_not.startswith("promtool refuses ")
    assert "unclosed left parenthesis" in watchers.why_not


def test_it_is_said_plainly_who_watches() -> None:
    settings, run = Settings(prometheus_port=9190), dict.fromkeys(NAMES, "RUNNING")
    assert in_words(settings, run, "") == "watched by Prometheus on 9190 and Alertmanager on 9093"
    assert in_words(settings, {}, "install it") == "not watched: install it, then `rankloop down` and `rankloop up`"
    assert in_words(settings, run | {"alertmanager": "FATAL"}, "").startswith("not watched: alertmanager is FATAL")


class Toys:
    """What a watched stack answers: series at every port, the list of replicas, and the pager; with the token of each asker."""

    def __init__(self, settings: Settings, replica: int) -> None:
        toys, self.replica = self, replica
        self.heard, self.asked, self.alive = list[dict[str, Any]](), dict[str, set[str]](), True

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(toys.says(self.path), self.headers.get("authorization", ""))

            def do_POST(self) -> None:
                toys.heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self._say("{}", self.headers.get("authorization", ""))

            def _say(self, text: str, token: str) -> None:
                toys.asked.setdefault(self.path, set()).add(token)
                self.send_response(200)
                self.send_header("Content-Type", "application/json" if text[:1] in "[{" else "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        ports = (settings.edge_metrics_port, settings.control_port, settings.tally_port, settings.curator_port, replica)
        self._servers = {port: ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in (*ports, *settings.collector_ports)}
        for server in self._servers.values():
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def says(self, path: str) -> str:
        if path == "/v1/targets":
            labels = {"__metrics_path__": "/blue/metrics", "slot": "blue", "replica": "replica-1"}
            return json.dumps([{"targets": [f"127.0.0.1:{self.replica}"], "labels": labels}])
        return "toy_series 1\n"

    def stop(self, *ports: int) -> None:
        for port in ports or list(self._servers):
            server = self._servers.pop(port)
            server.shutdown()
            server.server_close()


@pytest.fixture
def watched(free_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Toys]]:
    """Both of them, started by the very commands of the supervisor, with one rule that is quick."""
    settings = free_settings(tmp_path, scrape_seconds=0.5)
    quick = "groups: [{name: quick, rules: [{alert: EdgeDown, expr: 'up{job=\"edge\"} == 0', labels: %s}]}]"
    labels = "{severity: page, cause: edge-down, component: edge, surface: all}"
    monkeypatch.setattr("services.stack.watchers.rule_texts", lambda: {"quick.yaml": quick % labels})
    with ExitStack() as leaving:
        toys = Toys(settings, settings.replica_ports[0])
        leaving.callback(toys.stop)
        watchers = Watchers(settings, FOUND)
        watchers.prepare()
        assert watchers.why_not == ""
        log = leaving.enter_context((tmp_path / "log").open("wb"))
        for command in watchers.commands().values():
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
            leaving.callback(process.wait, 20)
            leaving.callback(process.terminate)
        yield settings, toys


@needs_both
@pytest.mark.slow
def test_a_dead_edge_is_scraped_judged_and_told_to_the_pager(watched: tuple[Settings, Toys]) -> None:
    settings, toys = watched
    url = f"http://127.0.0.1:{settings.prometheus_port}"

    def up() -> dict[str, str]:
        try:
            answer = httpx.get(f"{url}/api/v1/query", params={"query": "up"})
        except httpx.TransportError:
            return {}
        if answer.status_code != 200:  # it listens before it is ready
            return {}
        return {own["metric"]["job"]: own["value"][1] for own in answer.json()["data"]["result"]}

    until(lambda: up() == dict.fromkeys(set(JOBS) - {"shadow"}, "1"), "every job answers", 60)
    (replica,) = httpx.get(f"{url}/api/v1/query", params={"query": 'up{job="replicas"}'}).json()["data"]["result"]
    assert (replica["metric"]["slot"], replica["metric"]["replica"]) == ("blue", "replica-1")
    prometheus, alertmanager = (f"Bearer {credentials.token_file(settings, name).read_text()}" for name in NAMES)
    assert toys.asked["/v1/targets"] == toys.asked["/blue/metrics"] == {prometheus}
    assert toys.asked["/metrics"] == {"", prometheus}
    toys.stop(settings.edge_metrics_port)
    until(lambda: bool(toys.heard), "the pager hears of it", 60)
    (alert,) = toys.heard[0]["alerts"]
    assert (alert["status"], alert["labels"]["alertname"], alert["labels"]["cause"]) == ("firing", "EdgeDown", "edge-down")
    assert toys.asked["/v1/alerts"] == {alertmanager}


@needs_both
def test_the_rules_that_are_shipped_are_accepted_by_promtool(free_settings: Make, tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    settings = free_settings(tmp_path)
    watchers = Watchers(settings, FOUND)
    watchers.prepare()
    assert watchers.why_not == ""
    copied = {file.name: file.read_text() for file in (tmp_path / "prometheus" / "rules").iterdir()}
    assert copied == rule_texts() != {}
    config = yaml.safe_load((tmp_path / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules/*.yaml"]
    assert stat.S_IMODE((tmp_path / "alertmanager" / "alertmanager.yml").stat().st_mode) == 0o600

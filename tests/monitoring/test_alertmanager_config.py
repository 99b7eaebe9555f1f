"""Alertmanager's configuration: routes tested with amtool, inhibition with a real Alertmanager."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import jsonschema
import pytest
import yaml

from monitoring.alertmanager_config import GROUPED_BY, HEARTBEAT, INHIBITIONS, PAST_THE_PAGER, Receivers, alertmanager_config
from tests.monitoring.alertmanager_world import ALERTMANAGER, Heard, Running, alert, rules, until
from tests.services.control.mailbox import mailbox
from tests.services.control.pager_world import EVENT_SCHEMA

AMTOOL = shutil.which("amtool")
needs_amtool = pytest.mark.skipif(AMTOOL is None, reason="amtool is not installed")


def all_receivers(folder: Path) -> Receivers:
    secret = folder / "secret"
    secret.write_text("s3cret-of-a-receiver")
    return Receivers(
        "http://127.0.0.1:8002/v1/alerts",
        pager_token_file=str(secret),
        pagerduty_key_file=str(secret),
        slack_url_file=str(secret),
        webhook_url="https://hooks.example.org/a",
        mail_to="ada@example.org,mira@example.org",
        mail_from="rankloop@example.org",
        mail_server="mail.example.org:587",
        mail_password_file=str(secret),
        heartbeat_url="https://beat.example.org/b",
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The configuration with every receiver."""
    file = tmp_path / "alertmanager.yml"
    file.write_text(alertmanager_config(all_receivers(tmp_path)))
    return file


@needs_amtool
@pytest.mark.parametrize("which", ["none", "all"])
def test_amtool_finds_no_fault_in_it(tmp_path: Path, which: str) -> None:
    receivers = all_receivers(tmp_path) if which == "all" else Receivers("http://127.0.0.1:8002/v1/alerts")
    file = tmp_path / "alertmanager.yml"
    file.write_text(alertmanager_config(receivers))
    done = subprocess.run([str(AMTOOL), "check-config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "s3cret" not in file.read_text()


@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=EdgeDown severity=page component=edge", "pager"),
        ("alertname=PipelineLate severity=ticket", "pager"),
        ("alertname=ControlDown severity=page component=control", "past-the-pager"),
        ("alertname=PagerUnreached severity=page component=control", "past-the-pager"),
        ("alertname=Watchdog severity=info", "heartbeat"),
        ("alertname=Anything severity=info", "nobody"),
    ],
)
def test_an_alert_reaches_its_receiver(written: Path, labels: str, receiver: str) -> None:
    command = [str(AMTOOL), "config", "routes", "test", f"--config.file={written}", f"--verify.receivers={receiver}"]
    done = subprocess.run([*command, *labels.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr


def test_where_nobody_is_named_the_pager_hears_that_it_was_dead_and_no_heartbeat_is_sent() -> None:
    config = yaml.safe_load(alertmanager_config(Receivers("http://127.0.0.1:8002/v1/alerts")))
    assert [route["receiver"] for route in config["route"]["routes"]] == ["nobody", "pager", "pager", "pager"]
    assert [own["name"] for own in config["receivers"]] == ["nobody", "pager"]


def test_secrets_are_paths_and_a_webhook_of_a_later_alertmanager_too() -> None:
    given = Receivers("http://p", webhook_url_file="/run/hook", heartbeat_url_file="/run/beat", pager_token_file="/run/token")
    config = yaml.safe_load(alertmanager_config(given))
    hooks = {own["name"]: own["webhook_configs"][0] for own in config["receivers"] if "webhook_configs" in own}
    assert hooks["past-the-pager"] == {"url_file": "/run/hook", "send_resolved": True}
    assert hooks["heartbeat"] == {"url_file": "/run/beat", "send_resolved": False}
    assert hooks["pager"]["http_config"] == {"authorization": {"credentials_file": "/run/token"}}


@pytest.mark.parametrize(
    ("server", "encrypted"), [("mail.example.org:587", True), ("127.0.0.1:25", False), ("localhost:25", False)]
)
def test_mail_is_encrypted_unless_the_relay_is_this_machine(server: str, encrypted: bool) -> None:
    given = Receivers("http://p", mail_to="a@b.c", mail_from="d@e.f", mail_server=server)
    (mail,) = given.by_themselves()["email_configs"]
    assert (mail["require_tls"], "auth_username" in mail) == (encrypted, False)


def test_every_alert_that_is_named_is_a_rule() -> None:
    named = {name for own in INHIBITIONS for name in (*own.source, *own.silences)} | {HEARTBEAT, *PAST_THE_PAGER}
    assert named - rules().keys() == set()


def test_nothing_silences_itself_or_what_silences_it() -> None:
    pairs = {(source, silenced) for own in INHIBITIONS for source in own.source for silenced in own.silences}
    assert [pair for pair in pairs if (pair[1], pair[0]) in pairs] == []


def test_of_tickets_only_a_worker_that_is_down_silences_a_page() -> None:
    plain = {name: rule["labels"].get("severity") for name, rule in rules().items()}
    assert {source for own in INHIBITIONS for source in own.source if plain[source] == "ticket"} == {"WorkerDown"}


@pytest.fixture
def heard() -> Iterator[Heard]:
    one = Heard()
    yield one
    one.stop()


@pytest.fixture
def running(tmp_path: Path, heard: Heard) -> Iterator[Running]:
    if ALERTMANAGER is None:
        pytest.skip("Alertmanager is not installed")
    one = Running(tmp_path, Receivers(heard.url))
    yield one
    one.stop()


def test_a_dead_edge_is_one_message_and_what_follows_from_it_is_none(running: Running, heard: Heard) -> None:
    running.post(alert("EdgeDown"), alert("ErrorBurst"), alert("SlowAnswers"), alert("ClicksVanished"), alert("PipelineLate"))
    until(lambda: len(heard.messages) == 2, "the edge's page and the pipeline's ticket")
    running.post(alert("NoReplica"), alert("EmptyLists", surface="job_feed"))
    running.post(alert("SpoolFull"))
    until(lambda: "SpoolFull" in heard.names(), "what does not follow from it arrives, so the others would have")
    assert heard.names() == ["EdgeDown", "PipelineLate", "SpoolFull"]


def test_a_page_silences_the_ticket_of_its_cause_alone_and_its_end_is_told(running: Running, heard: Heard) -> None:
    running.post(alert("ErrorBudgetBurning"))
    until(lambda: heard.names() == ["ErrorBudgetBurning"], "the page")
    running.post(alert("ErrorBudgetLeaking"), alert("LatencyBudgetLeaking"))
    until(lambda: "LatencyBudgetLeaking" in heard.names(), "a ticket of another cause")
    running.post(alert("ErrorBudgetBurning"), ended=True)
    until(lambda: heard.names("resolved") == ["ErrorBudgetBurning"], "its end")
    assert "ErrorBudgetLeaking" not in heard.names()


def test_alerts_of_one_cause_are_one_message_and_of_two_surfaces_two(running: Running, heard: Heard) -> None:
    running.post(alert("ErrorBurst"), alert("ErrorBudgetBurning"))
    running.post(*(alert("EmptyLists", surface=surface) for surface in ("job_feed", "job_search")))
    until(lambda: len(heard.messages) >= 3, "one for the errors, two for the empty lists")
    assert sorted(tuple(said["groupLabels"][name] for name in GROUPED_BY) for said in heard.messages) == [
        ("empty-lists", "job_feed", "release"),
        ("empty-lists", "job_search", "release"),
        ("errors", "all", "edge"),
    ]
    assert heard.names() == ["EmptyLists", "EmptyLists", "ErrorBudgetBurning", "ErrorBurst"]


def test_that_the_control_plane_is_dead_is_told_past_it_and_the_heartbeat_goes_on(tmp_path: Path) -> None:
    if ALERTMANAGER is None:
        pytest.skip("Alertmanager is not installed")
    names = ("pager", "pagerduty", "slack", "hook", "beat")
    said = {"summary": "No control plane answers", "description": "Nobody is told.", "command": "rankloop logs --only control"}
    with ExitStack() as leaving, mailbox() as (mail_server, letters):
        heard = {name: Heard() for name in names}
        for one in heard.values():
            leaving.callback(one.stop)
        (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
        (tmp_path / "slack").write_text(heard["slack"].url)
        receivers = Receivers(
            heard["pager"].url,
            pagerduty_key_file=str(tmp_path / "key"),
            pagerduty_url=heard["pagerduty"].url,
            slack_url_file=str(tmp_path / "slack"),
            webhook_url=heard["hook"].url,
            mail_to="ada@example.org",
            mail_from="rankloop@example.org",
            mail_server=mail_server,
            heartbeat_url=heard["beat"].url,
        )
        running = Running(tmp_path, receivers)
        leaving.callback(running.stop)
        running.post(alert("ControlDown"), alert("Watchdog"), alert("PagerUnreached"), annotations=said)
        until(lambda: bool(letters) and all(heard[name].messages for name in names[1:]), "each is told")
    assert heard["pager"].messages == []
    assert (heard["hook"].names(), heard["beat"].names()) == (["ControlDown"], ["Watchdog"])
    event = heard["pagerduty"].messages[0]
    faults = [fault.message for fault in jsonschema.Draft202012Validator(EVENT_SCHEMA).iter_errors(event)]
    assert faults == []
    assert event["payload"]["summary"] == "ControlDown: No control plane answers"
    assert event["payload"]["custom_details"]["command"] == said["command"]
    shown = heard["slack"].messages[0]["attachments"][0]
    assert shown["title"] == "[FIRING] ControlDown: No control plane answers"
    for text in (shown["text"], letters[0]):
        assert f"Command: {said['command']}" in text

"""The outbox and the receivers: retries, order, what a kill leaves, what each receiver is sent, and no key anywhere."""

import email
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from email import policy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from rankloop.errors import SettingsError
from services.control.database import Database, notice_counts, open_database, tables
from services.control.pager import open_receivers
from services.control.pager.receivers import mail
from services.control.pager.receivers.pagerduty import event
from services.control.pager.receivers.slack import blocks
from services.control.pager.writing import Line, Message, plain
from services.settings import Settings
from tests.services.certificates import self_signed
from tests.services.control.conftest import NOW
from tests.services.control.mailbox import mailbox
from tests.services.control.pager_world import KEY, Listener, PagerWorld, listening


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as own:
        yield own


@pytest.fixture
def place(database: Database, tmp_path: Path, listener: Listener) -> PagerWorld:
    return PagerWorld(database, tmp_path, listener)


def states(place: PagerWorld, own: str) -> dict[str, tuple[str, int]]:
    return {one.receiver: (one.state, one.attempts) for one in place.shown.incident(own).notices}


@pytest.mark.parametrize("status", [429, 500, 503, 400, 403])
def test_what_a_receiver_does_not_take_is_sent_again_until_it_does(place: PagerWorld, listener: Listener, status: int) -> None:
    place.more = {"slack_url_file": "", "page_webhook_file": ""}
    place.settings = place.settings.model_copy(update=place.more)
    place.restart()
    listener.answers = [status, status]
    (own,) = place.hear(place.alert())
    place.tick()
    assert states(place, own) == {"pagerduty": ("waiting", 1)}
    (fault,) = place.pager.faults().values()
    assert f"PagerDuty answered {status}: it is broken" in fault
    place.tick(1)
    assert listener.asked == 1
    for _ in range(2):
        place.tick(301)
    assert states(place, own) == {"pagerduty": ("sent", 3)}
    assert (len(place.pages()), place.pager.faults()) == (1, {})


def test_a_receiver_that_says_when_is_not_asked_before(place: PagerWorld, listener: Listener) -> None:
    listener.answers = [429] * 3
    place.hear(place.alert())
    place.tick()
    place.tick(50)
    assert listener.asked == 3
    place.tick(11)
    assert listener.asked == 6


def test_a_receiver_that_is_away_keeps_no_other_from_its_notice(place: PagerWorld, listener: Listener) -> None:
    place.settings = place.settings.model_copy(update={"pagerduty_url": "http://127.0.0.1:9/nobody"})
    place.restart()
    (own,) = place.hear(place.alert())
    place.tick()
    assert states(place, own) == {"pagerduty": ("waiting", 1), "slack": ("sent", 1), "webhook": ("sent", 1)}


def test_what_is_over_before_it_could_be_told_wakes_nobody(place: PagerWorld, listener: Listener) -> None:
    listener.answers = [500] * 3
    (own,) = place.hear(place.alert())
    place.tick()
    place.pager.resolve(own, who="ada", why="over")
    place.tick(400)
    assert (place.pages(), len(place.pages("resolve"))) == ([], 1)


def test_a_message_that_cannot_be_made_keeps_no_other_from_its_receiver(place: PagerWorld) -> None:
    (bad,) = place.hear(place.alert())
    (good,) = place.hear(place.alert(cause="slow-answers"))
    with place.database.begin() as session:
        session.execute(update(tables.notices).where(tables.notices.c.incident_id == bad).values(payload={"of": "long ago"}))
    place.tick()
    assert {state for state, _ in states(place, bad).values()} == {"waiting"}
    assert {state for state, _ in states(place, good).values()} == {"sent"}


def test_after_a_day_it_is_given_up_and_the_timeline_says_so(place: PagerWorld, listener: Listener) -> None:
    listener.answers = [500] * 9
    (own,) = place.hear(place.alert())
    place.tick()
    place.tick(86_500)
    assert set(states(place, own).values()) == {("failed", 2)}
    assert place.kinds(own).count("not_notified") == 6
    with place.database.read() as session:
        assert notice_counts(session)["pagerduty", "failed"] == 1


def test_an_update_never_overtakes_the_page(place: PagerWorld, listener: Listener) -> None:
    listener.answers = [500] * 3
    (own,) = place.hear(place.alert())
    place.tick()
    place.pager.acknowledge(own, who="ada", why="mine")
    place.tick(1)
    assert listener.got == []
    place.tick(10)
    place.tick(1)
    assert [one["event_action"] for one in listener.bodies("/pagerduty")] == ["trigger", "acknowledge"]


@pytest.mark.parametrize("transition", ["before received", "within received", "after received", "before send", "after send"])
def test_a_kill_anywhere_leads_to_one_incident_and_one_page(place: PagerWorld, listener: Listener, transition: str) -> None:
    def kill(name: str) -> None:
        if name == transition:
            raise Killed

    place.passed = kill
    with suppress(Killed):
        place.hear(place.alert())
        place.tick()
        pytest.fail(f"nothing passed {transition}")
    place.passed = lambda _: None
    place.restart()
    (own,) = place.hear(place.alert())  # Alertmanager had no answer, or repeats it
    for _ in range(3):
        place.tick(10)
    assert len(place.shown.incidents().incidents) == 1
    assert {one["dedup_key"] for one in place.pages()} == {own}
    assert len(place.pages()) == (2 if transition == "after send" else 1)
    assert {state for state, _ in states(place, own).values()} == {"sent"}


def test_a_page_in_doubt_is_resolved_where_the_incident_ended_meanwhile(place: PagerWorld) -> None:
    def kill(name: str) -> None:
        if name == "after send":
            raise Killed

    place.passed = kill
    (own,) = place.hear(place.alert())
    with pytest.raises(Killed):
        place.tick()
    place.passed = lambda _: None
    place.pager.resolve(own, who="ada", why="over")
    place.tick()
    assert {one["dedup_key"] for one in place.pages()} == {own} == {one["dedup_key"] for one in place.pages("resolve")}


_CHILD = """
import os, signal, sys
from pathlib import Path
from services.control.database import open_database
from tests.services.control.pager_world import Listener, PagerWorld
place = PagerWorld(open_database(sys.argv[1]), Path(sys.argv[2]), Listener(url=sys.argv[3]))
def passed(name):
    if name == sys.argv[4]:
        os.kill(os.getpid(), signal.SIGKILL)
place.passed = passed
place.hear(place.alert())
place.tick()
"""


@pytest.mark.slow
@pytest.mark.parametrize("transition", ["within received", "after send"])
def test_a_process_killed_with_sigkill_leaves_one_incident_and_one_alert_at_pagerduty(
    tmp_path: Path, listener: Listener, transition: str
) -> None:
    url = f"sqlite:///{tmp_path / 'record.db'}"
    with open_database(url) as database:
        given = [url, str(tmp_path), listener.url, transition]
        assert subprocess.run([sys.executable, "-c", _CHILD, *given], check=False, timeout=60).returncode == -9
        place = PagerWorld(database, tmp_path, listener)
        (own,) = place.hear(place.alert())
        for _ in range(3):
            place.tick(10)
        assert len(place.shown.incidents().incidents) == 1
        assert {one["dedup_key"] for one in place.pages()} == {own}
        assert {state for state, _ in states(place, own).values()} == {"sent"}


def test_a_mail_says_it_all_in_text_that_can_be_read(place: PagerWorld) -> None:
    with mailbox() as (server, letters):
        place.settings = place.settings.model_copy(
            update={"mail_to": "oncall@example.org, b@example.org", "mail_from": "rankloop@example.org", "mail_server": server}
        )
        place.restart()
        (own,) = place.hear(place.alert())
        place.tick()
    (letter,) = [email.message_from_string(one, policy=policy.default) for one in letters]
    assert letter["Subject"] == "[page] job_feed answers 14 % with errors"
    assert letter["Message-ID"].startswith(f"<{own}-")
    text = letter.get_body().get_content()  # type: ignore[union-attr]
    for needed in ("since:", "17 Nov 14:05 UTC", "14.2 % of 5,120", "rankloop status", f"/v1/incidents/{own}/page"):
        assert needed in text


@pytest.mark.parametrize("code", [451, 550])
def test_a_letter_that_is_refused_is_sent_again(place: PagerWorld, code: int) -> None:
    with mailbox(refuses=code) as (server, _):
        update = {"mail_to": "a@b.c", "mail_from": "r@b.c", "mail_server": server}
        place.settings = place.settings.model_copy(update=update)
        place.restart()
        (own,) = place.hear(place.alert())
        place.tick()
        assert states(place, own)["mail"] == ("waiting", 1)
        assert f"answered {code}" in place.pager.faults()["notices to mail"]


def with_password(place: PagerWorld, folder: Path, server: str) -> None:
    (folder / "mail.key").write_text("never-to-be-seen")
    update = {"mail_to": "a@b.c", "mail_from": "r@b.c", "mail_server": server, "mail_password_file": str(folder / "mail.key")}
    place.settings = place.settings.model_copy(update=update)
    place.restart()


def test_a_password_is_never_sent_in_the_clear(place: PagerWorld, tmp_path: Path) -> None:
    with mailbox(password="never-to-be-seen") as (server, letters):
        with_password(place, tmp_path, server)
        place.hear(place.alert())
        place.tick()
        assert letters == []
    assert "offers no STARTTLS" in place.pager.faults()["notices to mail"]


@pytest.mark.parametrize("from_the_start", [False, True])
def test_a_server_with_a_certificate_that_is_known_is_given_the_password(
    place: PagerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_the_start: bool
) -> None:
    key, certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    talks = {"password": "never-to-be-seen", "certificate": (key, certificate), "from_the_start": from_the_start}
    with mailbox(**talks) as (server, letters):
        if from_the_start:
            monkeypatch.setattr(mail, "_TLS_PORT", int(server.rpartition(":")[2]))
        with_password(place, tmp_path, server)
        (own,) = place.hear(place.alert())
        place.tick()
        assert states(place, own)["mail"] == ("sent", 1)
    (letter,) = letters
    assert "never-to-be-seen" not in letter


def test_a_password_that_the_server_refuses_is_said_without_it(
    place: PagerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mailbox(password="another", certificate=(key, certificate)) as (server, letters):
        with_password(place, tmp_path, server)
        place.hear(place.alert())
        place.tick()
    fault = place.pager.faults()["notices to mail"]
    assert "refuses the password of r@b.c: 535" in fault
    assert "never-to-be-seen" not in fault
    assert letters == []


def test_a_server_with_a_certificate_that_nobody_knows_is_told_nothing(place: PagerWorld, tmp_path: Path) -> None:
    with mailbox(password="never-to-be-seen", certificate=self_signed(tmp_path)) as (server, letters):
        with_password(place, tmp_path, server)
        (own,) = place.hear(place.alert())
        place.tick()
        assert states(place, own)["mail"] == ("waiting", 1)
    assert "SSLCertVerificationError" in place.pager.faults()["notices to mail"]
    assert letters == []


@pytest.mark.parametrize(("sender", "server"), [("", "a:25"), ("r@b.c", ""), ("r@b.c", "a"), ("r@b.c", "a:x")])
def test_mail_without_a_server_is_refused_at_the_start(sender: str, server: str) -> None:
    settings = Settings.read(mail_to="a@b.c", mail_from=sender, mail_server=server)
    with pytest.raises(SettingsError, match="give both, the server as host:port"):
        open_receivers(settings)


@pytest.mark.parametrize("content", [None, "", "\xff"])
def test_a_key_that_cannot_be_read_is_a_fault_that_names_the_setting(place: PagerWorld, content: str | None) -> None:
    file = Path(place.settings.pagerduty_key_file)
    file.unlink() if content is None else file.write_bytes(content.encode("latin-1"))
    (own,) = place.hear(place.alert())
    place.tick()
    assert "RANKLOOP_PAGERDUTY_KEY_FILE" in place.pager.faults()["notices to pagerduty"]
    file.write_text(KEY)
    place.tick(301)
    assert states(place, own)["pagerduty"] == ("sent", 2)


def test_no_key_is_in_the_record_in_errors_or_in_the_log(
    place: PagerWorld, listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    listener.answers, listener.says = [400] * 3, "the key SECRET is not known"
    (own,) = place.hear(place.alert())
    place.tick()
    shown = msgspec.json.encode(place.shown.incident(own)).decode()
    everything = (
        shown
        + str(place.pager.faults())
        + "\n".join(one.message for one in caplog.records if not one.name.startswith("httpcore"))
    )
    with place.database.read() as session:
        everything += json.dumps([list(map(str, row)) for row in session.connection().exec_driver_sql("SELECT * FROM notices")])
    assert "***" in shown
    assert KEY not in everything
    assert f"{listener.url}/slack" not in everything


MESSAGE = Message(
    incident_id="inc-20261117-140500-3fa9c1",
    fingerprint="f",
    kind="trigger",
    severity="page",
    title="t" * 3000,
    state="firing",
    cause="error-burst",
    component="",
    surface="all",
    release_id="none",
    owner="",
    since=NOW,
    at=NOW,
    lines=[Line("numbers", "<b> & " + "x" * 9000)] * 9,
    command="rankloop status",
    links=[],
)


def test_texts_too_long_for_a_receiver_are_cut_and_marks_are_escaped(listener: Listener) -> None:
    from services.control.pager.writing import Link

    long = msgspec.structs.replace(
        MESSAGE, links=[Link("incident", "http://127.0.0.1:8002/x"), Link("runbook", "docs/runbook.md")]
    )
    body: dict[str, Any] = event(long) | {"routing_key": KEY}
    assert listener.take("/pagerduty", body, {})[0] == 202
    assert body["payload"]["summary"].endswith("…")
    assert [own["text"] for own in body["links"]] == ["incident"]
    told = blocks(long)["blocks"]
    assert len(told[0]["text"]["text"]) == 150
    assert all(len(own["text"]["text"]) <= 3000 for own in told if "text" in own)
    assert "&lt;b&gt; &amp;" in told[2]["text"]["text"]
    assert "rankloop status" in plain(long)

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import httpx
import msgspec
import pytest

from monitoring.charts import Chart, Line
from monitoring.metrics import SERIES
from rankloop.drift.report import Cause, ColumnDrift, DriftReport, Shares
from rankloop.errors import DataError, Missing
from services.control.database import change_incident, new_incident
from services.control.incident import Act, AlertKept, Change, Context, Example
from services.control.pager import Incidents
from services.control.pager.asking import Prometheus
from services.control.pager.charting import Charts, charts_of, marks_of, span
from services.control.pager.page import incident_page
from services.control.pager.wanted import WANTED
from services.control.pager.writing import Link
from services.control.wire import EventShown
from services.control.wire_incidents import IncidentShown, NoticeShown
from services.settings import Settings
from tests.services.control.recorded_series import AFTER, installed, openmetrics, prometheus

SINCE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(seconds=AFTER)
NOW = SINCE + timedelta(seconds=AFTER)
NOWHERE = "http://127.0.0.1:9"
BAD = '<script>alert("x")</script>'

needs_prometheus = pytest.mark.skipif(not installed(), reason="prometheus and promtool are not installed")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), openmetrics(SINCE.timestamp())) as address:
        yield address


def alert(name: str = "ErrorBurst", **given: object) -> AlertKept:
    known = {
        "fingerprint": name,
        "name": name,
        "status": "firing",
        "severity": "page",
        "since": SINCE,
        "summary": f"{name} is so",
    }
    return msgspec.convert({**known, **given}, AlertKept)


def shown(**given: object) -> IncidentShown:
    known = {
        "incident_id": "inc-1",
        "cause": "errors",
        "component": "edge",
        "surface": "job_feed",
        "release_id": "r-20261122-2",
        "owner": "platform",
        "severity": "page",
        "title": "10 % of requests fail",
        "status": "firing",
        "since": SINCE,
        "opened_at": SINCE + timedelta(minutes=2),
        "changed_at": NOW,
        "alerts": [alert()],
        "context": Context(),
    }
    return IncidentShown(**{**known, **given})


class Read(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page(own: IncidentShown | None = None, charts: Charts = Charts(()), **given: object) -> str:  # noqa: B008
    return incident_page(own or shown(), charts, at=NOW, **given)


def a_chart(name: str = "failed") -> Chart:
    at = [SINCE.timestamp() + 60 * minute for minute in range(-30, 30)]
    line = Line("5xx at the edge", at, [0.0] * 30 + [0.1] * 30)
    return Chart(name, "Share of requests that failed", "share", (line,), at[0], at[-1], marks_of(shown()))


@needs_prometheus
def test_the_charts_of_an_incident_have_the_values_that_were_recorded(url):
    drawn = {chart.name: chart for chart in charts_of(shown(), url, NOW.timestamp()).drawn}
    assert list(drawn) == ["requests", "failed", "latency", "whole", "people"]
    lines = {line.label: line for line in drawn["failed"].lines}
    assert set(lines) == {"5xx at the edge", "failed in a replica"}
    for line in lines.values():
        assert line.values[-1] == pytest.approx(0.1, rel=0.02)
        assert next(value for value in line.values if value == value) == 0.0
    share, before = 0.12, 0.3
    clicks = {line.label: [value for value in line.values if value == value] for line in drawn["people"].lines}
    assert clicks["r-20261121-1"][1] == pytest.approx(before, rel=0.02)
    assert min(clicks["r-20261122-2"]) == pytest.approx(share, rel=0.1)
    assert [line.label for line in drawn["latency"].lines] == ["p50", "p95", "p99"]


@needs_prometheus
def test_what_prometheus_has_no_values_of_is_named(url):
    found = charts_of(shown(component="canary", cause="canary-stuck"), url, NOW.timestamp())
    assert "share" not in [chart.name for chart in found.drawn]
    assert found.missing == ("Prometheus has no values in this time of: the canary's share.",)


@needs_prometheus
def test_an_incident_of_another_surface_has_none_of_these_series(url):
    drawn = [chart.name for chart in charts_of(shown(surface='other"surface'), url, NOW.timestamp()).drawn]
    assert drawn == ["failed"]


@needs_prometheus
def test_every_query_of_a_chart_is_promql_on_declared_series(url):
    with Prometheus(url) as asked:
        for wanted in WANTED:
            for query in wanted.queries:
                for selector in ("", 'surface="job_feed"'):
                    expr = query.expr.replace("WINDOW", "60s").replace("LONG", "1800s").replace("SURFACE", selector)
                    asked.ranges(expr.replace("{,", "{"), SINCE.timestamp(), NOW.timestamp(), 60)
                names = set(re.findall(r"\brankloop_\w+", query.expr))
                known = {*SERIES, *(f"{name}_bucket" for name in SERIES if SERIES[name].kind == "histogram")}
                assert names <= known
                assert names or re.search(r"\b(up|haproxy_\w+)\b", query.expr)


@needs_prometheus
def test_a_query_that_prometheus_refuses_is_a_sentence(url):
    with Prometheus(url) as asked, pytest.raises(DataError, match=r"refused sum\("):
        asked.ranges("sum(", SINCE.timestamp(), NOW.timestamp(), 60)


@needs_prometheus
def test_the_page_of_the_record_has_the_charts_in_it(url, database):
    with database.begin() as session:
        known = new_incident(
            session,
            who="alertmanager",
            why="it fires",
            at=SINCE + timedelta(minutes=1),
            fingerprint="f",
            cause="errors",
            component="edge",
            surface="job_feed",
            release_id="r-20261122-2",
            owner="platform",
            severity="page",
            title="10 % of requests fail",
            status="firing",
            alerts=[alert(runbook_url="docs/runbook.md#errorburst")],
            context=Context(command="rankloop rollback"),
            since=SINCE,
        )
        change_incident(session, known, kind="noted", who="ada", why="I look at it", at=SINCE + timedelta(minutes=3))
    settings = Settings(prometheus_url=url, docs_url="https://docs.example")
    made = Incidents(database, settings, clock=lambda: NOW).page(known.incident_id)
    read = Read(made)
    assert read.tags.count("svg") == 5
    assert "https://docs.example/docs/runbook.md#errorburst" in read.links
    assert "I look at it" in read.text
    assert Incidents(database, settings, clock=lambda: NOW).chart(known.incident_id, "latency").startswith(b"\x89PNG")
    with pytest.raises(Missing, match="Prometheus has no values in this time of: the canary's share"):
        Incidents(database, settings, clock=lambda: NOW).chart(known.incident_id, "share")
    with pytest.raises(Missing, match="there is no chart 'nothing'; there are replicas, "):
        Incidents(database, settings).chart(known.incident_id, "nothing")
    with pytest.raises(Missing):
        Incidents(database, settings).page("inc-none")


def test_without_prometheus_the_page_says_that_nothing_is_watched():
    for charts in (charts_of(shown(), NOWHERE, NOW.timestamp()), charts_of(shown(), "", NOW.timestamp())):
        assert charts.drawn == ()
        read = Read(page(charts=charts))
        assert "Not watched: " in read.text
        assert "svg" not in read.tags


def test_what_is_no_prometheus_is_said_so():
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>hello</html>"))
    asked = Prometheus("http://elsewhere")
    asked._client = httpx.Client(transport=transport)
    with pytest.raises(DataError, match="what answers at http://elsewhere is no Prometheus"):
        asked.ranges("up", 0, 60, 60)


def test_the_span_is_as_long_before_as_the_incident_lasted_from_an_hour_to_twelve():
    since = SINCE.timestamp()
    assert span(shown(), since + 600) == (since - 3600, since + 600)
    assert span(shown(), since + 4 * 3600) == (since - 4 * 3600, since + 4 * 3600)
    assert span(shown(), since + 48 * 3600) == (since - 12 * 3600, since + 48 * 3600)
    ended = shown(resolved_at=SINCE + timedelta(hours=2))
    assert span(ended, since + 48 * 3600) == (since - 2.25 * 3600, since + 2.25 * 3600)
    assert span(shown(), since - 5)[1] > since


def test_releases_that_were_changed_are_marked_the_newest_three():
    moved = [Change(SINCE - timedelta(minutes=at), "release.served", f"r-{at}", "ada", "") for at in range(1, 6)]
    other = [Change(SINCE, "run.succeeded", "run-1", "cron", "")]
    marks = marks_of(shown(context=Context(changes=[*other, *moved])))
    assert [mark.says for mark in marks if mark.kind == "release"] == ["r-1 served", "r-2 served", "r-3 served"]
    assert [mark.kind for mark in marks[:2]] == ["since", "opened"]


def test_the_page_says_what_broke_since_when_and_what_to_run():
    context = Context(
        serving="r-20261122-2",
        serving_since=SINCE - timedelta(minutes=5),
        released="release r-20261122-2 began to serve 5 min before (ada: the new ranker)",
        changes=[Change(SINCE - timedelta(minutes=5), "release.served", "r-20261122-2", "ada", "the new ranker")],
        slice="country=IN",
        examples=[Example("req-1", SINCE, "r-20261122-2", "job_feed: an empty list")],
        command='rankloop rollback --why "errors"',
        because="it began to serve 5 min before",
        acts=[Act(NOW, "roll back", "r-20261121-1 serves again")],
        missing=["example requests: the edge's log could not be read"],
    )
    text = Read(page(shown(context=context, alerts=[alert(description="14 of 100 answers were 5xx.")]))).text
    for expected in (
        "10 % of requests fail",
        "Firing · page",
        "14 of 100 answers were 5xx.",
        "country=IN",
        'rankloop rollback --why "errors"',
        "it began to serve 5 min before",
        "the new ranker",
        "req-1",
        "r-20261121-1 serves again",
        "Not known: example requests: the edge's log could not be read",
        "nobody yet",
        "rankloop incidents ack inc-1",
    ):
        assert expected in text
    assert f"{SINCE:%H:%M} UTC" in text


def test_the_page_is_one_file_without_script_that_fetches_nothing():
    read = Read(page(charts=Charts((a_chart(),)), links=[Link("runbook", "https://docs.example/#errorburst")]))
    assert not {"script", "link", "img", "iframe", "form"} & set(read.tags)
    assert [link for link in read.links if not link.startswith("#")] == ["https://docs.example/#errorburst"]
    assert "@import" not in page()
    assert read.tags.count("svg") == 1


def test_what_alerts_and_people_write_is_text():
    context = Context(
        serving=BAD,
        slice=BAD,
        drift=BAD,
        upstream=[BAD],
        command=BAD,
        because=BAD,
        changes=[Change(SINCE, BAD, BAD, BAD, BAD)],
        examples=[Example(BAD, SINCE, BAD, BAD)],
        acts=[Act(SINCE, BAD, BAD)],
        missing=[BAD],
    )
    event = EventShown(id=1, at=SINCE, who=BAD, kind=BAD, subject=BAD, why=BAD, facts={})
    notice = NoticeShown(number=1, receiver=BAD, kind=BAD, state=BAD, attempts=1, at=SINCE, sent_at=None, error=BAD)
    names = ("incident_id", "cause", "component", "surface", "release_id", "owner", "title")
    own = shown(
        **dict.fromkeys(names, BAD),
        context=context,
        alerts=[alert(BAD, summary=BAD, description=BAD, command=BAD)],
        timeline=[event],
        notices=[notice],
    )
    made = page(own, Charts((a_chart(),), (BAD,)), links=[Link(BAD, f"https://{BAD}")])
    assert "script" not in Read(made).tags
    assert made.count("&lt;script&gt;") > 20


def test_an_address_that_is_not_of_the_web_is_text():
    links = [
        Link("rule", "javascript:alert(1)"),
        Link("runbook", "docs/runbook.md#errorburst"),
        Link("dashboard", "http://g/d/x"),
    ]
    read = Read(page(links=links))
    assert [link for link in read.links if not link.startswith("#")] == ["http://g/d/x"]
    assert "docs/runbook.md#errorburst" in read.text
    assert "javascript:alert(1)" in read.text


def test_a_resolved_incident_says_how_long_it_lasted_and_who_had_it():
    ended = shown(
        status="resolved", resolved_at=SINCE + timedelta(minutes=42), acknowledged_at=SINCE, acknowledged_by="ada", alerts=[]
    )
    text = Read(page(ended)).text
    assert "Resolved · page" in text
    assert "42 min" in text
    assert "ada" in text
    assert "nobody yet" not in text


def test_an_incident_that_was_not_looked_into_yet_is_shown_all_the_same():
    text = Read(page(shown(context=None, alerts=[]))).text
    assert "not looked up yet" in text
    assert "nothing that the record knows of" in text


def a_report() -> DriftReport:
    bins = Shares(labels=("0–10", "10–100"), reference=(0.9, 0.1), window=(0.1, 0.9))
    budget = ColumnDrift(
        name="items.budget", kind="numeric", table="items", verdict="broken", bins=bins, says="100 times as large."
    )
    feature = ColumnDrift(name="log_budget", kind="numeric", table="features", verdict="drifted", says="shifted.")
    own = Cause(
        cause="unit-change",
        component="items.budget",
        columns=("log_budget",),
        impact=0.4,
        says="items.budget is 100 times what it was.",
    )
    other = Cause(cause="taste-shift", component="outcomes", impact=0.9, says="people like other things.")
    return DriftReport(
        report_id="d1",
        surface="job_feed",
        release_id="r",
        at=NOW,
        window_from=SINCE,
        window_until=NOW,
        verdict="broken",
        rows=1000,
        reference_rows=5000,
        columns=(budget, feature),
        causes=(other, own),
    )


def test_of_drift_the_cause_is_shown_with_the_bins_of_its_columns():
    drifted = shown(cause="unit-change", component="items.budget", context=Context(drift="items.budget is 100 times"))
    made = page(drifted, drift=a_report())
    read = Read(made)
    assert read.tags.count("svg") == 1
    for expected in (
        "items.budget is 100 times what it was.",
        "Impact 0.40 of 1",
        "1,000 rows against 5,000",
        "0–10",
        "no bins to draw",
    ):
        assert expected in read.text
    assert "people like other things" not in read.text


def test_a_report_without_the_cause_is_not_shown():
    assert 'id="drift"' not in page(shown(cause="errors", component="edge"), drift=a_report())


def test_the_same_incident_makes_the_same_page():
    charts = Charts((a_chart("failed"), a_chart("latency")))
    made = [page(shown(), charts) for _ in range(2)]
    assert made[0] == made[1]
    ids = re.findall(r' id="([^"]+)"', made[0])
    assert len(set(ids)) == len(ids)


def test_of_a_long_timeline_the_newest_are_shown_and_the_rest_is_counted():
    events = [
        EventShown(id=at, at=SINCE, who="ada", kind="incident.noted", subject="inc-1", why=f"note {at}.", facts={})
        for at in range(230)
    ]
    text = Read(page(shown(timeline=events))).text
    assert "30 earlier entries are left out" in text
    assert "note 229." in text
    assert "note 29." not in text

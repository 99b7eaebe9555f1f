"""The control plane's API, on a real record and a real edge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from services.control.openapi import OPERATIONS
from services.edge import Slots
from tests.services.both import TOKENS, guarded
from tests.services.control.control_world import POLICY, World, world
from tests.services.edge.conftest import Rig, shared_rig, start_rig

__all__ = ["shared_rig", "start_rig"]

OLD, NEW = "r20261116-00000001", "r20261117-00000002"
WHY = {"why": "a test asks for it"}


@pytest.fixture
def place(shared_rig: Rig, tmp_path: Path) -> Iterator[World]:
    shared_rig.edge.set_slots(Slots())
    with world(shared_rig, tmp_path) as own:
        yield own


@pytest.fixture
def ask(place: World) -> Iterator[TestClient[Any]]:
    with TestClient(place.app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def canary(place: World, ask: TestClient[Any]) -> str:
    """A canary that has its first share, and of which nothing was seen yet; its name."""
    place.seen = False
    place.serving(OLD)
    place.register(NEW)
    started = ask.post("/v1/canaries", json={"release_id": NEW, "policy": POLICY, **WHY})
    assert started.status_code == 200, started.text
    place.tick(2)
    name: str = started.json()["canary_id"]
    assert ask.get(f"/v1/canaries/{name}").json()["status"] == "running"
    return name


def edge(place: World) -> Slots:
    (own,) = place.edges.read().values()
    assert own is not None
    return own


def test_the_document_has_every_route_and_no_other(place: World) -> None:
    own = {(method.lower(), route.path_format) for route in place.app.routes for method in route.methods - {"OPTIONS"}}
    assert own == {(one.method, one.path) for one in OPERATIONS}


def test_a_fresh_control_plane_has_nothing_and_says_so(ask: TestClient[Any]) -> None:
    assert ask.get("/v1/releases").json() == {"releases": []}
    assert ask.get("/v1/canaries").json() == {"canaries": []}
    assert ask.get("/v1/serving").json()["slots"] == []
    assert ask.get("/v1/runs").json() == {"runs": [], "next": None}
    assert ask.get("/v1/schedules").json() == {"schedules": []}


def test_readyz_says_who_leads_and_what_is_not_well(place: World, ask: TestClient[Any]) -> None:
    assert ask.get("/readyz").json()["role"] == "follower"
    place.tick()
    said = ask.get("/readyz").json()
    assert (said["status"], said["role"], said["database"], said["faults"]) == ("ready", "leader", "sqlite", {})
    place.serving(OLD)
    place.serve.serving.clear()
    place.serve.answers = False
    place.tick()
    assert "does not answer" in ask.get("/readyz").json()["faults"]["slot blue"]


def test_the_first_release_serves_at_once_and_the_slots_agree(place: World, ask: TestClient[Any]) -> None:
    place.register(OLD)
    told = ask.post("/v1/serve", json={"release_id": OLD, **WHY}).json()
    assert "being loaded" in told["said"]
    place.tick(3)
    shown = ask.get("/v1/slots").json()
    assert shown["agrees"] is True
    assert shown["server"] == {"blue": OLD, "green": None}
    assert ask.get("/v1/serving").json()["slots"] == [
        {"slot": "blue", "release_id": OLD, "share_bp": 10_000, "stable": True, "interleaved_bp": 0}
    ]
    assert ask.get(f"/v1/releases/{OLD}").json()["state"] == "serving"


def test_a_canary_is_promoted_step_by_step_and_every_decision_is_in_the_record(
    place: World, ask: TestClient[Any], canary: str
) -> None:
    shown = ask.get(f"/v1/canaries/{canary}").json()
    assert (shown["weight_bp"], shown["against"], shown["policy"]["steps"]) == (500, OLD, POLICY["steps"])
    assert edge(place).canary_bp == 500
    place.seen = True
    place.tick(3)
    decisions = ask.get(f"/v1/canaries/{canary}/decisions").json()
    actions = [own["decision"]["action"] for own in decisions["decisions"]]
    assert actions[:2] == ["hold", "advance"]
    assert edge(place).canary_bp == 5000
    first = ask.get(f"/v1/canaries/{canary}/decisions", params={"limit": 1}).json()
    assert first["decisions"] == decisions["decisions"][:1]
    rest = ask.get(f"/v1/canaries/{canary}/decisions", params={"after": first["next"]}).json()
    assert rest["decisions"] == decisions["decisions"][1:]
    latest = ask.get(f"/v1/canaries/{canary}").json()["latest"]
    assert latest == decisions["decisions"][-1]


def test_a_canary_whose_requests_fail_is_rolled_back_and_the_edge_has_it(place: World, ask: TestClient[Any], canary: str) -> None:
    place.failed, place.seen = 500, True
    place.tick()
    shown = ask.get(f"/v1/canaries/{canary}").json()
    assert shown["status"] == "rolled back"
    assert shown["weight_bp"] == 0
    assert any(row["outcome"] == "worse" for row in shown["latest"]["decision"]["evidence"])
    assert edge(place) == Slots("blue")


@pytest.mark.parametrize(
    ("acts", "status", "stable", "bp"),
    [
        (("pause",), "paused", "blue", 500),
        (("pause", "resume"), "running", "blue", 500),
        (("promote",), "promoted", "green", 0),
        (("abort",), "aborted", "blue", 0),
    ],
)
def test_people_may_pause_resume_promote_and_abort(
    place: World, ask: TestClient[Any], canary: str, acts: tuple[str, ...], status: str, stable: str, bp: int
) -> None:
    for act in acts:
        said = ask.post(f"/v1/canaries/{canary}/{act}", json=WHY)
        assert said.status_code == 200, said.text
    assert said.json()["status"] == status
    assert edge(place) == Slots(stable, canary_bp=bp)


def test_what_a_state_does_not_allow_is_a_conflict(ask: TestClient[Any], canary: str) -> None:
    assert ask.post(f"/v1/canaries/{canary}/resume", json=WHY).status_code == 409
    again = ask.post("/v1/canaries", json={"release_id": NEW, **WHY})
    assert again.status_code == 409
    assert canary in again.json()["detail"]
    assert ask.post(f"/v1/canaries/{canary}/abort", json=WHY).status_code == 200
    assert ask.post(f"/v1/canaries/{canary}/abort", json=WHY).status_code == 409


def test_a_rollback_ends_a_canary_and_then_goes_back_a_release(place: World, ask: TestClient[Any], canary: str) -> None:
    ended = ask.post("/v1/rollback", json=WHY).json()
    assert OLD in ended["said"]
    assert edge(place) == Slots("blue")
    place.register("r20261118-00000003")
    ask.post("/v1/serve", json={"release_id": "r20261118-00000003", **WHY})
    place.tick(3)
    assert edge(place).stable == "green"
    back = ask.post("/v1/rollback", json=WHY).json()
    assert back["desired"]["stable"] == "blue"
    assert edge(place).stable == "blue"
    assert ask.get("/v1/releases/r20261118-00000003").json()["state"] == "rolled back"


def test_slots_are_filled_weighed_interleaved_swapped_and_cleared_by_hand(place: World, ask: TestClient[Any]) -> None:
    place.serving(OLD)
    place.register(NEW)

    def told(act: str, **more: Any) -> str:
        said = ask.post(f"/v1/slots/{act}", json={**more, **WHY}, headers={"X-Rankloop-Who": "Ada"})
        assert said.status_code == 200, said.text
        return str(said.json()["said"])

    assert told("fill", release_id=NEW) == f"{NEW} is being loaded into slot green, where nobody gets it"
    early = ask.post("/v1/slots/weight", json={"share_bp": 1, **WHY})
    assert (early.status_code, f"{NEW} is being loaded" in early.json()["detail"]) == (409, True)
    place.tick()
    told("weight", share_bp=300)
    told("interleave", share_bp=70)
    assert edge(place) == Slots(canary_bp=300, interleave_bp=70)
    assert ask.post("/v1/slots/clear", json=WHY).status_code == 409
    assert NEW in told("swap")
    assert edge(place) == Slots("green")
    told("clear")
    place.tick(2)
    assert ask.get("/v1/slots").json()["server"] == {"blue": None, "green": NEW}
    kinds = ("slots.filled", "slots.weighted", "slots.interleaved", "slots.swapped", "slots.emptied")
    found = [own for own in ask.get("/v1/events").json()["events"] if own["kind"] in kinds]
    assert [own["kind"] for own in reversed(found)] == list(kinds)
    assert {(own["who"], own["why"]) for own in found} == {("Ada", WHY["why"])}


def test_while_a_canary_runs_slots_are_not_changed_by_hand(ask: TestClient[Any], canary: str) -> None:
    bodies: dict[str, Any] = {"fill": {"release_id": NEW}, "weight": {"share_bp": 0}, "interleave": {"share_bp": 9}}
    for act in ("fill", "weight", "interleave", "swap", "clear"):
        said = ask.post(f"/v1/slots/{act}", json={**bodies.get(act, {}), **WHY})
        assert (said.status_code, canary in said.json()["detail"]) == (409, True), act


def test_the_history_says_who_when_and_why_and_what_was_serving_then(place: World, ask: TestClient[Any], canary: str) -> None:
    then = place.now
    promoted = ask.post(f"/v1/canaries/{canary}/promote", json={"why": "it is good"}, headers={"X-Rankloop-Who": "Zo%C3%AB"})
    assert promoted.status_code == 200
    (own,) = ask.get("/v1/events", params={"kind": "canary.promoted"}).json()["events"]
    assert (own["who"], own["why"], own["subject"]) == ("Zoë", "it is good", canary)
    place.tick(5)
    before = ask.get("/v1/serving", params={"at": "2026-11-17T14:00:00"}).json()
    assert before["slots"] == []
    during = ask.get("/v1/serving", params={"at": then.isoformat()}).json()["slots"]
    assert {own["release_id"] for own in during if own["stable"]} == {NEW}


def test_pages_of_the_history_follow_each_other_both_ways(place: World, ask: TestClient[Any]) -> None:
    place.register(*(f"r{n}" for n in range(7)))
    whole = ask.get("/v1/events").json()
    assert (len(whole["events"]), whole["next"]) == (7, None)
    found: list[Any] = []
    page = ask.get("/v1/events", params={"limit": 3}).json()
    while page["events"]:
        found += page["events"]
        if page["next"] is None:
            break
        page = ask.get("/v1/events", params={"limit": 3, "before": page["next"]}).json()
    assert found == whole["events"]
    later = ask.get("/v1/events", params={"after": found[-1]["id"]}).json()["events"]
    assert later == found[-2::-1]


def test_what_is_not_there_is_404_and_says_where_to_look(ask: TestClient[Any]) -> None:
    for path in ("releases/x", "canaries/x", "canaries/x/decisions", "runs/x", "runs/x/steps/ingest/log", "schedules/x"):
        said = ask.get(f"/v1/{path}")
        assert said.status_code == 404, path
        assert "'x'" in said.json()["detail"]
    assert ask.post("/v1/canaries/x/abort", json=WHY).status_code == 404
    for path, body in (("canaries", {"release_id": "x"}), ("serve", {"release_id": "x"}), ("slots/fill", {"release_id": "x"})):
        assert ask.post(f"/v1/{path}", json={**body, **WHY}).status_code == 404, path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("rollback", {}),
        ("rollback", {"why": " "}),
        ("rollback", {"why": "x" * 501}),
        ("rollback", {"why": "x", "more": 1}),
        ("serve", {"release_id": "no/such", "why": "x"}),
        ("slots/fill", {"release_id": "no/such", "why": "x"}),
        ("slots/weight", {"share_bp": 10_001, "why": "x"}),
        ("slots/interleave", {"share_bp": -1, "why": "x"}),
        ("slots/weight", {"share_bp": 5}),
        ("slots/swap", {"why": "x", "release_id": "x"}),
        ("releases", {"why": "x"}),
        ("releases", {"bundle": "/etc", "why": "x"}),
        ("releases", {"bundle": "../..", "why": "x"}),
        ("releases", {"bento": "rankloop-ranking:../../../../etc", "why": "x"}),
        ("releases", {"bundle": "nowhere", "why": "x"}),
        ("runs", {"order": {"source": "contract"}, "why": "x"}),
        ("runs", {"order": {"source": "none such", "path": "/data"}, "why": "x"}),
    ],
)
def test_a_body_that_breaks_a_rule_is_422_and_changes_nothing(ask: TestClient[Any], path: str, body: dict[str, Any]) -> None:
    said = ask.post(f"/v1/{path}", json=body)
    assert said.status_code == 422, said.text
    assert said.headers["content-type"].startswith("application/problem+json")
    assert ask.get("/v1/events").json()["events"] == []


@pytest.mark.parametrize(
    "query",
    ["events?limit=0", "events?limit=x", "events?since=yesterday", "serving?at=14:05", "events?after=-1", "runs?state=lazy"],
)
def test_a_query_that_breaks_a_rule_is_422(ask: TestClient[Any], query: str) -> None:
    assert ask.get(f"/v1/{query}").status_code == 422


def test_a_policy_that_cannot_work_is_refused_before_anything_is_recorded(place: World, ask: TestClient[Any]) -> None:
    place.serving(OLD)
    place.register(NEW)
    said = ask.post("/v1/canaries", json={"release_id": NEW, "policy": {"steps": [5, 1]}, **WHY})
    assert said.status_code == 422
    assert "steps" in said.json()["detail"]
    assert ask.get("/v1/canaries").json() == {"canaries": []}


def test_a_body_that_does_not_say_it_is_json_is_refused_as_a_page_of_another_site_could_send_it(ask: TestClient[Any]) -> None:
    said = ask.post("/v1/rollback", content=b'{"why": "x"}', headers={"content-type": "text/plain"})
    assert said.status_code == 415


def test_an_edge_that_does_not_take_a_change_is_503_and_the_change_stands(shared_rig: Rig, tmp_path: Path) -> None:
    with world(shared_rig, tmp_path, more_edges=("/nowhere.sock",)) as place, TestClient(place.app) as ask:
        place.register(OLD)
        said = ask.post("/v1/serve", json={"release_id": OLD, **WHY})
        assert said.status_code == 503
        assert said.headers["retry-after"]
        assert "/nowhere.sock" in said.json()["detail"]
        slots = ask.get("/v1/slots").json()
        assert (slots["desired"]["blue"], slots["agrees"], slots["edges"]["/nowhere.sock"]) == (OLD, False, None)


def test_with_tokens_reading_needs_read_changing_needs_admin_and_the_history_names_the_token(
    shared_rig: Rig, tmp_path: Path
) -> None:
    text = guarded(home=tmp_path).tokens_sha256
    with world(shared_rig, tmp_path, tokens_sha256=text) as place, TestClient(place.app) as ask:

        def status(method: str, path: str, token: str | None, **more: Any) -> int:
            headers = {"Authorization": f"Bearer {TOKENS[token]}"} if token else {}
            return ask.request(method, path, headers={**headers, "X-Rankloop-Who": "somebody"}, **more).status_code

        order = {"source": "contract", "path": str(tmp_path)}
        schedule = {"json": {"order": order, "cron": "30 2 * * *", **WHY}}
        assert [status("GET", "/v1/releases", token) for token in (None, "events", "admin", "read")] == [401, 403, 403, 200]
        put = [status("PUT", "/v1/schedules/nightly", token, **schedule) for token in (None, "read", "events", "admin")]
        assert put == [401, 403, 403, 200]
        assert status("GET", "/readyz", None) == 200
        (event,) = place.views.events().events
        assert event.who == "admin"


def test_schedules_are_put_shown_and_removed(ask: TestClient[Any], tmp_path: Path) -> None:
    order = {"source": "contract", "path": str(tmp_path)}
    put = ask.put("/v1/schedules/nightly", json={"order": order, "cron": "30 2 * * *", **WHY}).json()
    assert (put["cron"], put["next_at"]) == ("30 2 * * *", "2026-11-18T02:30:00Z")
    assert ask.get("/v1/schedules/nightly").json() == put
    assert ask.get("/v1/schedules").json() == {"schedules": [put]}
    assert ask.put("/v1/schedules/nightly", json={"order": order, "cron": "soon", **WHY}).status_code == 422
    assert ask.delete("/v1/schedules/nightly").json() == {"name": "nightly"}
    assert ask.delete("/v1/schedules/nightly").status_code == 404


def test_a_run_is_queued_shown_and_cancelled(ask: TestClient[Any], tmp_path: Path) -> None:
    order = {"source": "contract", "path": str(tmp_path)}
    run = ask.post("/v1/runs", json={"order": order, **WHY}).json()
    assert (run["state"], run["trigger"], run["surface"]) == ("queued", "api", "job_feed")
    assert [own["run_id"] for own in ask.get("/v1/runs", params={"state": "queued"}).json()["runs"]] == [run["run_id"]]
    shown = ask.get(f"/v1/runs/{run['run_id']}").json()
    assert {own["state"] for own in shown["steps"]} == {"waiting"}
    log = ask.get(f"/v1/runs/{run['run_id']}/steps/{shown['steps'][0]['name']}/log").json()
    assert log == {"text": "", "next": 0}
    assert ask.get(f"/v1/runs/{run['run_id']}/steps/dance/log").status_code == 404
    assert ask.post(f"/v1/runs/{run['run_id']}/cancel", json=WHY).json()["state"] == "cancelled"
    assert ask.post(f"/v1/runs/{run['run_id']}/cancel", json=WHY).status_code == 409
    assert ask.post(f"/v1/runs/{run['run_id']}/retry", json=WHY).json()["retry_of"] == run["run_id"]


def test_an_alert_starts_the_run_that_the_policy_names_once(place: World, ask: TestClient[Any], tmp_path: Path) -> None:
    (place.settings.home / "alerts.yaml").write_text(
        f"rules:\n  - alerts: [FeatureDrift]\n    order: {{source: contract, path: {tmp_path}}}\n"
    )
    webhook = {
        "version": "4",
        "receiver": "rankloop",
        "alerts": [
            {"status": "firing", "labels": {"alertname": "FeatureDrift"}, "fingerprint": "ab", "generatorURL": "http://x"},
            {"status": "firing", "labels": {"alertname": "Other"}},
        ],
    }
    (run,) = ask.post("/v1/alerts", json=webhook).json()["runs"]
    assert run["trigger"] == "alert"
    again = ask.post("/v1/alerts", json=webhook).json()
    assert (again["runs"], again["rolled_back"], len(again["incidents"])) == ([], "", 2)


def test_a_page_that_is_marked_so_takes_the_canary_back_once(place: World, ask: TestClient[Any], canary: str) -> None:
    place.tick()
    place.tick()
    assert ask.get(f"/v1/canaries/{canary}").json()["status"] == "running"
    (place.settings.home / "alerts.yaml").write_text(
        "rules:\n  - alerts: [CheckoutBroken]\n    labels: {rollback: 'yes'}\n    act: roll back\n"
    )

    def page(fingerprint: str, **labels: str) -> dict[str, Any]:
        named = {"alertname": "CheckoutBroken", "rollback": "yes", **labels}
        return {"status": "firing", "labels": named, "fingerprint": fingerprint, "annotations": {"summary": "nobody can pay"}}

    def answered(*alerts: dict[str, Any]) -> dict[str, Any]:
        return ask.post("/v1/alerts", json={"version": "4", "alerts": list(alerts)}).json()

    assert answered(page("a", release_id="r-long-gone"))["rolled_back"] == ""
    assert answered(page("b", rollback="no"))["rolled_back"] == ""
    both = (page("c", release_id=NEW), page("d", release_id=NEW))
    assert NEW in answered(*both)["rolled_back"]
    shown = ask.get(f"/v1/canaries/{canary}").json()
    assert shown["status"] == "rolled back"
    assert ask.get("/v1/slots").json()["desired"]["canary_bp"] == 0
    assert answered(*both)["rolled_back"] == ""
    (event,) = ask.get("/v1/events", params={"kind": "rollback"}).json()["events"]
    assert event["why"] == "alert CheckoutBroken fires: nobody can pay"


def test_the_series_say_what_the_record_says(place: World, ask: TestClient[Any], canary: str) -> None:
    place.tick()
    place.counting.update(place.controller.status())
    text = ask.get("/metrics").text
    assert "rankloop_control_leader_info 1.0" in text
    assert f'rankloop_canary_info{{release_id="{NEW}",status="' in text
    assert "rankloop_canary_decisions_total{action=" in text


def test_two_releases_are_compared_and_the_scoreboard_is_empty_at_first(place: World, ask: TestClient[Any]) -> None:
    place.register(OLD, NEW)
    found = ask.get(f"/v1/releases/{OLD}/diff/{NEW}").json()
    assert (found["before"], found["after"]) == (OLD, NEW)
    assert found["differences"]["files"]["changed"] == ["ranker/model.txt"]
    assert found["differences"]["rankings"] is None
    assert ask.get(f"/v1/releases/{OLD}/diff/{NEW}", params={"requests": 3}).status_code == 422
    assert ask.get(f"/v1/releases/{OLD}/diff/none").status_code == 404
    assert ask.get("/v1/scoreboard").json()["scoreboard"]["trials"] == []

"""The routes of the control plane, as its OpenAPI document has them."""
# over budget: every route of one API, with its problems and examples

from typing import Any, Final

from msgspec import Struct

from services.auth import Scope
from services.control import wire, wire_changes
from services.control.describing import LIMIT, MOMENT, NUMBER, changes, in_path, in_query, shows
from services.control.moments import moment
from services.control.openapi_drift import DRIFT
from services.control.openapi_experiments import EXPERIMENTS
from services.control.openapi_incidents import INCIDENTS
from services.control.openapi_runs import RUNS
from services.control.targets import Target
from services.openapi import Operation, written
from services.ranking.schemas import Health

__all__ = ["OPERATIONS", "document"]

_RELEASE: Final = "r20260304-a67b2c06"
_NOW: Final = moment("2026-11-17 14:05")
_SHOWN: Final = wire.ReleaseShown(
    release_id=_RELEASE,
    state="registered",
    registered_at=_NOW,
    changed_at=_NOW,
    created_at=_NOW,
    as_of=moment("2026-03-04 00:00"),
    surfaces=["job_feed"],
    verdict="pass",
    numbers={"ndcg@10": 0.41},
    run_id="run-20261117-140200-3fa9c1",
    bundle=f"/srv/rankloop/bundles/{_RELEASE}",
    bento=f"/srv/rankloop/bento/bentos/rankloop-ranking/{_RELEASE}",
    ranker="lambdamart",
    retrievers=["als", "bm25", "popular"],
)
_CANARY: Final = wire.CanaryShown(
    canary_id="canary-20261117-140500-3fa9c1",
    release_id=_RELEASE,
    against="r20260225-01c4d9aa",
    slot="green",
    status="running",
    late=False,
    step=0,
    steps=5,
    weight_bp=100,
    policy={},
    created_at=_NOW,
    who="ada",
    why="the new ranker",
)
_TOLD: Final = wire.Told(
    f"{_RELEASE} serves everybody",
    wire.DesiredShown(version=8, stable="blue", canary_bp=0, interleave_bp=0, blue=_RELEASE, green="r20260225-01c4d9aa"),
)
_AFTER: Final = in_query("after", NUMBER, "Only those with a larger number, oldest first.")
_BEFORE: Final = in_query("before", NUMBER, "Only those with a smaller number: the `next` of the answer before.")
_SAMPLE: Final = in_query(
    "requests", {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 0}, "Compare rankings of so many real requests."
)
_WHY: Final = wire.Why("applications fall since noon")


def _acts() -> tuple[Operation, ...]:
    says = {
        "pause": "Holds a canary's share where it is; guardrails go on.",
        "resume": "Lets a paused canary go on.",
        "promote": "Makes a canary's release serve everybody now.",
        "abort": "Ends a canary; the stable release has everybody.",
    }
    return tuple(
        changes(
            f"/v1/canaries/{{canary_id}}/{act}",
            summary,
            wire.CanaryShown,
            wire.Why,
            f"{act}_canary",
            _WHY,
            _CANARY,
            parameters=in_path("canary_id"),
            problems={404: "There is no such canary."},
        )
        for act, summary in says.items()
    )


_RELEASES: Final = (
    shows("/v1/releases", "Every release, the newest first.", wire.ReleaseList, "releases"),
    changes(
        "/v1/releases",
        "Registers a release from its own files, and starts a canary of it, or makes it serve, where that is asked.",
        wire.Registered,
        wire.NewRelease,
        "register_release",
        wire.NewRelease(bento=f"rankloop-ranking:{_RELEASE}", then="canary", why="the nightly run"),
        wire.Registered(_SHOWN, f"canary {_CANARY.canary_id} begins as soon as {_RELEASE} answers", _CANARY),
    ),
    shows("/v1/releases/{release_id}", "One release.", wire.ReleaseShown, "release", parameters=in_path("release_id")),
    shows(
        "/v1/releases/{before_id}/diff/{after_id}",
        "How a release differs from another: models, features, importance, metrics, rankings.",
        wire.Diff,
        "diff_releases",
        parameters=(*in_path("before_id", "after_id"), _SAMPLE),
    ),
    shows(
        "/v1/serving",
        "Who got which release at a moment.",
        wire.ServingShown,
        "serving",
        parameters=(in_query("at", MOMENT, "ISO 8601; without an offset it is UTC; now where it is left out."),),
    ),
)
_CANARIES: Final = (
    shows("/v1/canaries", "Every canary, the newest first.", wire.CanaryList, "canaries"),
    changes(
        "/v1/canaries",
        "Tries a release beside the one that serves.",
        wire.CanaryShown,
        wire_changes.NewCanary,
        "start_canary",
        wire_changes.NewCanary(_RELEASE, "the new ranker"),
        _CANARY,
        problems={404: "There is no such release."},
    ),
    shows(
        "/v1/canaries/{canary_id}",
        "One canary, with its newest decision.",
        wire.CanaryShown,
        "canary",
        parameters=in_path("canary_id"),
    ),
    shows(
        "/v1/canaries/{canary_id}/decisions",
        "What a canary saw and decided, oldest first: the record its decisions can be replayed from.",
        wire.DecisionList,
        "decisions",
        parameters=(*in_path("canary_id"), _AFTER, LIMIT),
    ),
    *_acts(),
)
_SERVING: Final = (
    changes(
        "/v1/rollback",
        "Goes back to the release that served before, from any state.",
        wire.Told,
        wire.Why,
        "rollback",
        _WHY,
        _TOLD,
    ),
    changes(
        "/v1/serve",
        "Makes a release serve everybody at once, without a canary.",
        wire.Told,
        wire_changes.ServeRelease,
        "serve_release",
        wire_changes.ServeRelease(_RELEASE, "the first one"),
        _TOLD,
        problems={404: "There is no such release."},
    ),
    shows(
        "/v1/events",
        "What was changed, by whom and why, the newest first.",
        wire.EventList,
        "events",
        parameters=(
            in_query("kind", {"type": "string", "maxLength": 128}, "Only this kind; `canary.*` for every kind of that noun."),
            in_query("subject", {"type": "string", "maxLength": 256}, "Only what was done to this."),
            in_query("since", MOMENT, "From this moment on."),
            in_query("until", MOMENT, "Before this moment."),
            _BEFORE,
            _AFTER,
            LIMIT,
        ),
    ),
    shows("/v1/scoreboard", "What was measured offline beside what was measured online.", wire.Scores, "scoreboard"),
)
_GIVE: Final = wire_changes.GiveShare(500, "a look at both")


def _by_hand(act: str, summary: str, body: type[Struct], name: str, asks: Struct, **more: Any) -> Operation:
    return changes(f"/v1/slots/{act}", summary, wire.Told, body, name, asks, _TOLD, **more)


_SLOTS: Final = (
    shows("/v1/slots", "What should be, beside what edges and Serve say.", wire.SlotsShown, "slots"),
    _by_hand(
        "fill",
        "Puts a release into the idle slot, where nobody gets it.",
        wire_changes.FillSlot,
        "fill_slot",
        wire_changes.FillSlot(_RELEASE, "to compare with"),
        problems={404: "There is no such release."},
    ),
    _by_hand(
        "weight",
        "Gives the idle slot a share of the units, with no canary to judge it; 0 takes it away.",
        wire_changes.GiveShare,
        "weigh_slot",
        _GIVE,
    ),
    _by_hand(
        "interleave",
        "Gives a share of the units both slots' lists, interleaved; 0 takes it away.",
        wire_changes.GiveShare,
        "interleave_slots",
        _GIVE,
    ),
    _by_hand("swap", "Makes the idle slot the stable one; the other one stays warm.", wire.Why, "swap_slots", _WHY),
    _by_hand("clear", "Ends what the idle slot holds.", wire.Why, "clear_slot", _WHY),
)
_TARGETS: Final = shows(
    "/v1/targets",
    "The replicas that live, for Prometheus' HTTP service discovery.",
    list[Target],
    "targets",
)
_OPEN: Final = (
    Operation("get", "/healthz", "The process is alive.", Health, name="healthz"),
    Operation("get", "/readyz", "Who leads, and what the last round could not do.", wire.ControlReadiness, name="readyz"),
    Operation("get", "/metrics", "Every series, in Prometheus' text format.", None, scope=Scope.READ, name="metrics"),
    Operation("get", "/schema/openapi.json", "This document.", None, media="application/vnd.oai.openapi+json"),
)

OPERATIONS: Final = (*_RELEASES, *_CANARIES, *EXPERIMENTS, *_SERVING, *_SLOTS, *RUNS, *INCIDENTS, *DRIFT, _TARGETS, *_OPEN)
"""Every route of the application; a test holds them equal."""


def document() -> bytes:
    """The whole document as JSON, OpenAPI 3.1."""
    return written(OPERATIONS, "Releases, canaries decided by statistics, rollback, and a history of every change.")

"""What goes over the wire to and from the control plane: releases, canaries, slots and the history."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

__all__ = [
    "Alert",
    "Alerts",
    "CanaryList",
    "CanaryShown",
    "ControlReadiness",
    "DecisionList",
    "DecisionShown",
    "DesiredShown",
    "Diff",
    "EventList",
    "EventShown",
    "NewRelease",
    "Registered",
    "ReleaseList",
    "ReleaseShown",
    "Scores",
    "ServingShown",
    "ServingSlot",
    "SlotsShown",
    "Split",
    "Told",
    "Why",
]

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Text = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]
Force = Annotated[str, Meta(max_length=500)]
Where = Annotated[str, Meta(min_length=1, max_length=4096)]
Moment = Annotated[datetime, Meta(tz=True)]
Then = Literal["register", "canary", "serve"]


class Why(Struct, forbid_unknown_fields=True):
    """Changes something, and says why.

    Attributes:
        why: for whoever reads the history.
    """

    why: Text


class NewRelease(Struct, forbid_unknown_fields=True, kw_only=True):
    """Registers a release; its facts are read from its own files. Registered again, it changes nothing.

    Attributes:
        bundle: the bundle's folder, below the home folder; null: the one in the Bento.
        bento: the Bento's folder, or its address `rankloop-ranking:RELEASE`; null: there is none yet, so it cannot serve.
        evaluation: the folder that the step `evaluate` wrote, below the home folder; null: the gate was not asked.
        run_id: the run that made it; null: not known.
        then: `canary` starts one, `serve` makes it serve everybody at once; `register` does nothing more.
        policy: fields of the canary's policy that differ from the default.
        force: why the gate's verdict is passed over by the canary, or by serving at once; empty: it is not.
        why: for whoever reads the history.
    """

    bundle: Where | None = None
    bento: Where | None = None
    evaluation: Where | None = None
    run_id: Id | None = None
    then: Then = "register"
    policy: dict[str, Any] = {}
    force: Force = ""
    why: Text


class ReleaseShown(Struct, kw_only=True):
    """One release.

    Attributes:
        release_id: names its content.
        state: registered, warming, canary, serving, kept warm, retired or rolled back.
        registered_at: when it was registered first.
        changed_at: when its state or its facts changed last.
        created_at: when it was packed.
        as_of: the newest moment it knows.
        surfaces: the product places it is for.
        verdict: the gate's outcome; null where no evaluation came with it.
        numbers: the offline metrics it was released with.
        run_id: the run that made it; null where that is not known.
        bundle: the bundle's folder.
        bento: the Bento's folder; empty: there is none, so it cannot serve.
        ranker: its class's name.
        retrievers: their names, in the order of the blend.
        features: the ranker's; left out of lists, as what follows.
        importance: share of the ranker's gain by feature.
        lineage: of the data, the features, the code and the run.
        files: SHA-256 of the bundle's files, by path.
        reasons: the gate's, in sentences.
    """

    release_id: str
    state: str
    registered_at: Moment
    changed_at: Moment
    created_at: Moment
    as_of: Moment
    surfaces: list[str]
    verdict: str | None
    numbers: dict[str, float]
    run_id: str | None
    bundle: str
    bento: str
    ranker: str
    retrievers: list[str]
    features: list[str] = []
    importance: dict[str, float] | None = None
    lineage: dict[str, Any] = {}
    files: dict[str, str] = {}
    reasons: list[str] = []


class ReleaseList(Struct):
    """Releases, the newest first."""

    releases: list[ReleaseShown]


class DesiredShown(Struct, kw_only=True):
    """Who should get which release: the record that edges and Serve are made equal to.

    Attributes:
        version: one more with each change.
        stable: the slot that serves.
        canary_bp: units that get the idle slot, basis points.
        interleave_bp: units that get both slots' lists, interleaved, basis points.
        blue: the release in slot blue; null: none.
        green: the release in slot green; null: none.
        kept_until: until when the idle slot stays warm; null: it does not end by itself.
        changed_at: when the last change was; null: there was none.
    """

    version: int
    stable: str
    canary_bp: int
    interleave_bp: int
    blue: str | None
    green: str | None
    kept_until: Moment | None = None
    changed_at: Moment | None = None


class Told(Struct):
    """What a change of who serves came to.

    Attributes:
        said: in a sentence, what follows: at once, or as soon as a release answers.
        desired: who should get what now.
    """

    said: str
    desired: DesiredShown


class CanaryShown(Struct, kw_only=True):
    """One canary.

    Attributes:
        canary_id: names it.
        release_id: what is tried.
        against: the stable release, which it is compared with.
        slot: where it is.
        status: `warming` until the release answers, then running or paused; it ends promoted, rolled back, aborted or failed.
        late: it took its policy's longest time, and waits for evidence.
        step: which of the policy's steps it is at, from 0.
        steps: how many there are.
        weight_bp: its share now, basis points of the units.
        policy: what decides.
        warmth: what was measured before the first unit; null: not yet.
        created_at: when it was asked for.
        began: when its first unit came; null: not yet.
        step_began: since when the share holds; null: it has none.
        ended_at: null: not yet.
        who: asked for it.
        why: in their words.
        reasons: for its state, in sentences.
        latest: the newest decision, with its evidence; null before the first, and in lists.
    """

    canary_id: str
    release_id: str
    against: str
    slot: str
    status: str
    late: bool
    step: int
    steps: int
    weight_bp: int
    policy: dict[str, Any]
    created_at: Moment
    who: str
    why: str
    warmth: dict[str, Any] | None = None
    began: Moment | None = None
    step_began: Moment | None = None
    ended_at: Moment | None = None
    reasons: list[str] = []
    latest: "DecisionShown | None" = None


class DecisionShown(Struct):
    """One look at a canary; with the policy and the state before it, the decision can be made again.

    Attributes:
        number: larger for later ones.
        at: when.
        observation: `rankloop.canary.Observation`; null: nothing could be observed.
        decision: `rankloop.canary.Decision`: action, reasons, evidence by rule, and the state after it.
    """

    number: int
    at: Moment
    observation: dict[str, Any] | None
    decision: dict[str, Any]


class CanaryList(Struct):
    """Canaries, the newest first."""

    canaries: list[CanaryShown]


class DecisionList(Struct):
    """Every observation and decision of a canary, oldest first.

    Attributes:
        canary_id: the canary.
        policy: what decided.
        decisions: at most `limit` of them.
        next: of a full page, the last one's number: send it as `after`; else null.
    """

    canary_id: str
    policy: dict[str, Any]
    decisions: list[DecisionShown]
    next: int | None = None


class Registered(Struct):
    """What came of a registration.

    Attributes:
        release: as it is known now.
        said: what follows, in a sentence.
        canary: the one that was started; null: none was asked for.
    """

    release: ReleaseShown
    said: str
    canary: CanaryShown | None = None


class ServingSlot(Struct):
    """One slot at one moment.

    Attributes:
        slot: blue or green.
        release_id: in it.
        share_bp: units that got it, basis points.
        stable: whether it served.
        interleaved_bp: units whose lists were drawn from both slots instead, basis points.
    """

    slot: str
    release_id: str
    share_bp: int
    stable: bool
    interleaved_bp: int = 0


class ServingShown(Struct):
    """Who got which release at a moment; no slots: nothing served.

    Attributes:
        at: the moment.
        slots: those that held a release, the stable one first.
    """

    at: Moment
    slots: list[ServingSlot]


class Split(Struct):
    """What one edge does.

    Attributes:
        stable: the slot that serves.
        canary_bp: units that get the other one, basis points.
        interleave_bp: units that get both slots' lists, interleaved, basis points.
    """

    stable: str
    canary_bp: int
    interleave_bp: int


class Diff(Struct):
    """How a release differs from another.

    Attributes:
        before: the release that is compared with.
        after: the release that is asked about.
        differences: by part: models, features, importance, metrics, lineage, files and, where asked for, rankings.
    """

    before: str
    after: str
    differences: dict[str, Any]


class Scores(Struct):
    """What was measured offline beside what was measured online.

    Attributes:
        scoreboard: trials, one for each canary that was judged, and agreements, one for each pair of metrics.
    """

    scoreboard: dict[str, Any]


class SlotsShown(Struct, kw_only=True):
    """What should be, beside what is.

    Attributes:
        desired: the record.
        edges: by name, what each edge does; null where it does not answer.
        server: by slot, the release that answers there; null: none.
        agrees: whether every edge and slot is as the record says.
        faults: what could not be asked, in sentences.
    """

    desired: DesiredShown
    edges: dict[str, Split | None]
    server: dict[str, str | None]
    agrees: bool
    faults: list[str] = []


class EventShown(Struct, kw_only=True):
    """One change, as the append-only history has it.

    Attributes:
        id: larger for later ones.
        at: when.
        who: a token's name, a person at a terminal, or the control plane itself.
        kind: a noun and what happened to it, such as `canary.created`.
        subject: what it happened to: a release, a canary, a run, a schedule.
        why: a sentence.
        facts: numbers and names.
        version: of who should get what, where it changed that; else null.
    """

    id: int
    at: Moment
    who: str
    kind: str
    subject: str
    why: str
    facts: dict[str, Any]
    version: int | None = None


class EventList(Struct):
    """Changes, the newest first; after a number, the oldest first.

    Attributes:
        events: at most `limit` of them.
        next: of a full page, the last one's number: send it as `before`, or as `after` where that was asked; else null.
    """

    events: list[EventShown]
    next: int | None = None


class ControlReadiness(Struct, kw_only=True):
    """The control plane answers; a follower answers, too.

    Attributes:
        status: always `ready`.
        role: `leader` or `follower`.
        holder: who holds the lease, whose loop runs; null: nobody.
        database: the kind of database that answered.
        last_tick: when this process's loop ended a round last; null: not yet.
        faults: by part, what its last round could not do; empty: it did everything.
        waiting: the release that serves everybody as soon as it answers; null: there is none.
    """

    status: str
    role: Literal["leader", "follower"]
    holder: str | None
    database: str
    last_tick: Moment | None
    faults: dict[str, str] = {}
    waiting: str | None = None


class Alert(Struct):
    """One alert of Alertmanager's webhook; further fields are passed over.

    Attributes:
        status: firing or resolved.
        labels: `alertname`, `surface` and others.
        annotations: sentences.
        startsAt: ISO 8601.
        endsAt: ISO 8601; of one that fires, a moment that says nothing.
        fingerprint: names it.
        generatorURL: its rule, in Prometheus.
    """

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: str | None = None  # noqa: N815
    endsAt: str | None = None  # noqa: N815
    fingerprint: str = ""
    generatorURL: str = ""  # noqa: N815


class Alerts(Struct):
    """The body of Alertmanager's webhook, version 4; further fields are passed over.

    Attributes:
        alerts: all of one group.
        truncatedAlerts: how many more the group has, which Alertmanager's `max_alerts` left out.
    """

    alerts: list[Alert]
    truncatedAlerts: int = 0  # noqa: N815

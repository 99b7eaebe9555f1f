"""What goes over the wire about pipeline runs and what starts them."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from services.control.wire import Id, Moment, Text, Where

__all__ = [
    "LogShown",
    "NewRun",
    "NewSchedule",
    "Removed",
    "RunList",
    "RunOrderGiven",
    "RunShown",
    "ScheduleList",
    "ScheduleShown",
    "StepShown",
]

Surface = Literal["job_feed", "job_search", "talent_search"]
Pipeline = Literal["release", "drift_watch"]


class RunOrderGiven(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a run is to do.

    Attributes:
        source: the log's format, an adapter's name.
        path: the log, as the machine sees it that runs the pipeline.
        mapping: the YAML of the `mapping` source; empty for the others.
        recipe: fields of the recipe that differ from their defaults.
        alone: compare with the popular baseline alone, as for a first release.
        at_once: let the release serve everybody without a canary.
        policy: fields that differ from the default, of the canary's policy, or of the drift policy in a drift watch.
        pipeline: `release`, or `drift_watch`, which takes no recipe and leads to no canary.
        hours: the length of the window that a drift watch looks at; it ends when the run begins.
    """

    source: Annotated[str, Meta(min_length=1, max_length=64)]
    path: Where
    mapping: str = ""
    recipe: dict[str, Any] = {}
    alone: bool = False
    at_once: bool = False
    policy: dict[str, Any] = {}
    pipeline: Pipeline = "release"
    hours: Annotated[float, Meta(gt=0, le=24 * 366)] = 24.0


class NewRun(Struct, forbid_unknown_fields=True):
    """Queues a run; one of the same order that waits already is not queued twice.

    Attributes:
        order: what it is to do.
        why: for whoever reads the history.
        surface: the product place it is for; one run of each pipeline is under way for it at a time.
    """

    order: RunOrderGiven
    why: Text
    surface: Surface = "job_feed"


class StepShown(Struct):
    """How one step goes.

    Attributes:
        name: the step.
        state: waiting, running, done, cached, failed, skipped, or stopped where the run ended under it.
        seconds: how long it took.
        peak_mb: the most memory its processes took together, MiB.
        said: its lines of progress.
        facts: what it told with them, the latest of each name.
    """

    name: str
    state: str
    seconds: float
    peak_mb: float
    said: list[str]
    facts: dict[str, Any] = {}


class RunShown(Struct, kw_only=True):
    """One run of a pipeline.

    Attributes:
        run_id: names it.
        surface: the product place it is for.
        pipeline: `release` or `drift_watch`.
        order: what was asked for.
        trigger: api, cli, schedule, new data or alert.
        state: queued, running, succeeded, failed, cancelled, or lost: it vanished without a word.
        where: `local`, or on a cluster's `kfp`.
        pid: its process on this machine; null: it has none.
        external_id: its name in KFP; null: it has none.
        release_id: what it released; null: nothing.
        verdict: the gate's outcome, or the watch's; null: not yet.
        error: why it failed; null: it did not.
        retry_of: the run it goes on from; null: none.
        created_at: when it was asked for.
        started_at: null: not yet.
        ended_at: null: not yet.
        who: asked for it.
        why: in their words.
        steps: as they are now; left out of lists.
    """

    run_id: str
    surface: str
    pipeline: str
    order: dict[str, Any]
    trigger: str
    state: str
    where: str
    pid: int | None
    external_id: str | None
    release_id: str | None
    verdict: str | None
    error: str | None
    retry_of: str | None
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    who: str
    why: str
    steps: list[StepShown] = []


class RunList(Struct):
    """Runs, those asked for last first.

    Attributes:
        runs: at most `limit` of them.
        next: of a full page, when its last one was asked for: send it as `before`; else null.
    """

    runs: list[RunShown]
    next: Moment | None = None


class LogShown(Struct):
    """A piece of a log.

    Attributes:
        text: whole lines.
        next: send it as `after` to go on from there.
    """

    text: str
    next: int


class NewSchedule(Struct, forbid_unknown_fields=True):
    """When to start a run by itself: by time, or by new data.

    Attributes:
        order: what the run is to do.
        why: for whoever reads the history.
        surface: the product place it is for.
        cron: five fields, UTC, such as `30 2 * * *`; null: it is not by time.
        watch: a path that is watched for new data; null: none is.
        enabled: whether it starts anything.
    """

    order: RunOrderGiven
    why: Text
    surface: Surface = "job_feed"
    cron: Annotated[str, Meta(max_length=128)] | None = None
    watch: Where | None = None
    enabled: bool = True


class ScheduleShown(Struct, kw_only=True):
    """What starts runs by itself.

    Attributes:
        name: what people call it.
        surface: the product place its runs are for.
        order: what they are to do.
        cron: five fields, UTC; null: it is not by time.
        watch: the path that is watched for new data; null: none is.
        enabled: whether it starts anything.
        next_at: when it is due, or looks again.
        last_at: when it started a run last; null: not yet.
    """

    name: str
    surface: str
    order: dict[str, Any]
    cron: str | None
    watch: str | None
    enabled: bool
    next_at: Moment | None
    last_at: Moment | None


class ScheduleList(Struct):
    """Every schedule, by name."""

    schedules: list[ScheduleShown]


class Removed(Struct):
    """What is no more."""

    name: Id

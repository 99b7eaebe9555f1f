"""Releases: what each is made of, what the gate said of it, and where it stands."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import msgspec
from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from rankloop.errors import Conflict, ControlError, DataError
from services.control.database import tables
from services.control.database.events import record
from services.control.database.rows import all_of, one, one_or_none
from services.control.database.types import utc

__all__ = ["STATES", "Release", "ReleaseFacts", "ReleaseState", "move_release", "register", "release", "releases"]

ReleaseState = Literal["registered", "warming", "canary", "serving", "kept warm", "retired", "rolled back"]

STATES: Final[tuple[str, ...]] = get_args(ReleaseState)
"""Where a release can stand."""


class ReleaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a release when it is registered.

    Attributes:
        release_id: names its content.
        bento: the Bento's address: a folder, or a tag.
        bundle: the bundle's folder.
        as_of: the newest moment its models and features know.
        created_at: when it was packed.
        surfaces: the product places it was trained for.
        retrievers: their names, in the order of the blend.
        ranker: its class's name.
        features: the ranker's features, in column order.
        numbers: the offline metrics it carries.
        lineage: fingerprints of what it was made from: data, features, code, run.
        files: path within the bundle to SHA-256, in hexadecimal.
        verdict: the gate's; None where none was asked.
        evaluation: what the gate was told: means and intervals.
        importance: share of the ranker's gain by feature.
        run_id: the run that made it.
    """

    release_id: str
    bento: str
    bundle: str
    as_of: datetime
    created_at: datetime
    surfaces: tuple[str, ...]
    retrievers: tuple[str, ...]
    ranker: str
    features: tuple[str, ...]
    numbers: dict[str, float]
    lineage: dict[str, Any]
    files: dict[str, str]
    verdict: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    importance: dict[str, float] | None = None
    run_id: str | None = None

    @classmethod
    def of_bundle(
        cls,
        folder: str | Path,
        *,
        bento: str,
        evaluation: str | Path | Mapping[str, Any] | None = None,
        run_id: str | None = None,
    ) -> Self:
        """What a bundle's manifest and ranker say, beside what the gate said.

        Args:
            folder: the bundle's.
            bento: the Bento's address.
            evaluation: the folder that the step `evaluate` wrote, or the content of its `evaluation.json`.
            run_id: the run that made it.

        Raises:
            BundleError: the folder holds no bundle of this version.
            ModelError: its ranker cannot be read.
            DataError: the evaluation cannot be read.
        """
        from rankloop.bundle import Manifest  # with every model, which whoever only reads the record never loads

        root = Path(folder).absolute()
        manifest = Manifest.read(root)
        numbers = _evaluation(evaluation)
        return cls(
            release_id=manifest.release_id,
            bento=bento,
            bundle=str(root),
            as_of=utc(datetime.fromisoformat(manifest.as_of)),
            created_at=utc(datetime.fromisoformat(manifest.created_at)),
            surfaces=manifest.surfaces,
            retrievers=manifest.retrievers,
            ranker=manifest.ranker,
            features=manifest.features,
            numbers=manifest.numbers,
            lineage=manifest.lineage,
            files=manifest.files,
            verdict=numbers.get("verdict") if numbers else None,
            evaluation=numbers,
            importance=_importance(root / "ranker", manifest.ranker),
            run_id=run_id,
        )


class Release(ReleaseFacts, frozen=True, kw_only=True):
    """A registered release.

    Attributes:
        state: where it stands.
        registered_at: when it was registered first.
        changed_at: when its state or its facts changed last.
    """

    state: ReleaseState
    registered_at: datetime
    changed_at: datetime


def register(session: Session, facts: ReleaseFacts, *, who: str, why: str, at: datetime) -> Release:
    """Makes a release known; the same facts again change nothing, newer facts of the same files take their place.

    Raises:
        Conflict: a release of this id has other files.
    """
    known = one_or_none(session, Release, _named(facts.release_id))
    values = {name: getattr(facts, name) for name in ReleaseFacts.__struct_fields__}
    if known is None:
        moments = {"registered_at": utc(at), "changed_at": utc(at)}
        session.execute(insert(tables.releases).values(**values, **moments, state="registered"))
        told = {"bento": facts.bento, "run_id": facts.run_id, "verdict": (facts.verdict or {}).get("outcome")}
        record(session, kind="release.registered", subject=facts.release_id, who=who, why=why, at=at, facts=told)
        return release(session, facts.release_id)
    if known.files != facts.files:
        raise Conflict(f"release {facts.release_id} is registered with other files; a release never changes: package it again")
    changed = {name: value for name, value in values.items() if _plain(value) != _plain(getattr(known, name))}
    if changed:
        own = tables.releases.c.release_id == facts.release_id
        session.execute(update(tables.releases).where(own).values(**changed, changed_at=utc(at)))
        told = {"changed": sorted(changed)}
        record(session, kind="release.updated", subject=facts.release_id, who=who, why=why, at=at, facts=told)
    return release(session, facts.release_id)


def release(session: Session, release_id: str) -> Release:
    """One release.

    Raises:
        Missing: it is not registered.
    """
    return one(session, Release, _named(release_id), f"release {release_id!r} is not registered; see rankloop releases list")


def releases(
    session: Session, *, state: ReleaseState | None = None, before: datetime | None = None, limit: int = 100
) -> list[Release]:
    """Releases, those registered last first.

    Args:
        session: of `Database.read` or `Database.begin`.
        state: only those that stand there.
        before: only those registered before this moment: that of the last one of the page before.
        limit: the most a page holds.
    """
    own = tables.releases.c
    query = select(tables.releases).order_by(own.registered_at.desc(), own.release_id.desc()).limit(limit)
    if state is not None:
        query = query.where(own.state == state)
    if before is not None:
        query = query.where(own.registered_at < utc(before))
    return all_of(session, Release, query)


def move_release(
    session: Session,
    release_id: str,
    state: ReleaseState,
    *,
    who: str,
    why: str,
    at: datetime,
    facts: Mapping[str, Any] | None = None,
) -> Release:
    """A release stands elsewhere from now on; where it stands there already nothing is recorded.

    Raises:
        Missing: it is not registered.
        ControlError: there is no such state.
    """
    if state not in STATES:
        raise ControlError(f"{state!r} is no state of a release; it is one of {', '.join(STATES)}")
    known = release(session, release_id)
    if known.state == state:
        return known
    own = tables.releases.c.release_id == release_id
    session.execute(update(tables.releases).where(own).values(state=state, changed_at=utc(at)))
    told = {"from": known.state, "to": state, **(facts or {})}
    record(session, kind="release.moved", subject=release_id, who=who, why=why, at=at, facts=told)
    return msgspec.structs.replace(known, state=state, changed_at=utc(at))


def _named(release_id: str) -> Select[Any]:
    return select(tables.releases).where(tables.releases.c.release_id == release_id)


def _plain(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _evaluation(given: str | Path | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None or isinstance(given, Mapping):
        return None if given is None else dict(given)
    file = Path(given) / "evaluation.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file} cannot be read: {error}; give the folder that the step evaluate wrote") from error


def _importance(folder: Path, ranker: str) -> dict[str, float] | None:
    from rankloop.ranking import RANKERS

    kind = RANKERS.get(ranker)
    return kind.load(folder).importance() if kind else None

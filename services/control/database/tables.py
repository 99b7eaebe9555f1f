"""The tables of the record; the fields of each struct are the columns of its table."""
# over budget: every table of one record, which refer to each other

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.control.database.types import Moment

__all__ = [
    "APPEND_ONLY",
    "METADATA",
    "canaries",
    "desired",
    "drift_reports",
    "events",
    "experiments",
    "incidents",
    "leases",
    "notices",
    "observations",
    "releases",
    "runs",
    "schedules",
]

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table, with names that migrations can refer to."""

APPEND_ONLY: Final = ("events", "observations")
"""Tables of which the database itself refuses to change or delete a row."""

_Number = BigInteger().with_variant(Integer(), "sqlite")

events = Table(
    "events",
    METADATA,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("version", Integer, nullable=True),  # of the desired state that it brought about; null where it changed none
    UniqueConstraint("version"),
    Index("ix_events_at", "at"),
    Index("ix_events_kind", "kind", "id"),
    Index("ix_events_subject", "subject", "id"),
    sqlite_autoincrement=True,
)

releases = Table(
    "releases",
    METADATA,
    Column("release_id", Text, primary_key=True),
    Column("bento", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("as_of", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("surfaces", JSON, nullable=False),
    Column("retrievers", JSON, nullable=False),
    Column("ranker", Text, nullable=False),
    Column("features", JSON, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("lineage", JSON, nullable=False),
    Column("files", JSON, nullable=False),
    Column("verdict", JSON(none_as_null=True), nullable=True),
    Column("evaluation", JSON(none_as_null=True), nullable=True),
    Column("importance", JSON(none_as_null=True), nullable=True),
    Column("run_id", Text, nullable=True),
    Column("state", Text, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Index("ix_releases_registered_at", "registered_at"),
)

desired = Table(
    "desired",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("stable", Text, nullable=False),
    Column("canary_bp", Integer, nullable=False),
    Column("interleave_bp", Integer, nullable=False),
    Column("split_seed", BigInteger, nullable=False),
    Column("interleave_seed", BigInteger, nullable=False),
    Column("blue", Text, ForeignKey("releases.release_id"), nullable=True),
    Column("green", Text, ForeignKey("releases.release_id"), nullable=True),
    Column("kept_until", Moment, nullable=True),
    Column("changed_at", Moment, nullable=True),
    CheckConstraint("id = 1", name="one_row"),
)

canaries = Table(
    "canaries",
    METADATA,
    Column("canary_id", Text, primary_key=True),
    Column("release_id", Text, ForeignKey("releases.release_id"), nullable=False),
    Column("against", Text, ForeignKey("releases.release_id"), nullable=False),
    Column("slot", Text, nullable=False),
    Column("policy", JSON, nullable=False),
    Column("state", JSON, nullable=False),
    Column("status", Text, nullable=False),
    Column("warmth", JSON(none_as_null=True), nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=True),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("active", Boolean, nullable=True),  # true or null, so that a unique index allows one
    Index("ix_canaries_active", "active", unique=True),
    Index("ix_canaries_created_at", "created_at"),
)

observations = Table(
    "observations",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("canary_id", Text, ForeignKey("canaries.canary_id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("observation", JSON(none_as_null=True), nullable=True),
    Column("decision", JSON, nullable=False),
    Index("ix_observations_canary_id", "canary_id", "number"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("surface", Text, nullable=False),
    Column("pipeline", Text, nullable=False, server_default="release"),
    Column("order", JSON, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("where", Text, nullable=False),
    Column("pid", Integer, nullable=True),
    Column("external_id", Text, nullable=True),
    Column("folder", Text, nullable=True),
    Column("release_id", Text, nullable=True),
    Column("verdict", Text, nullable=True),
    Column("error", Text, nullable=True),
    Column("retry_of", Text, ForeignKey("runs.run_id"), nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment, nullable=True),
    Column("ended_at", Moment, nullable=True),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Index(
        "ix_runs_running",
        "surface",
        "pipeline",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index("ix_runs_created_at", "created_at"),
)

schedules = Table(
    "schedules",
    METADATA,
    Column("schedule_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("cron", Text, nullable=True),
    Column("watch", Text, nullable=True),
    Column("watched_version", Text, nullable=True),
    Column("order", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("next_at", Moment, nullable=True),
    Column("last_at", Moment, nullable=True),
    UniqueConstraint("name"),
)

experiments = Table(
    "experiments",
    METADATA,
    Column("experiment_id", Text, primary_key=True),
    Column("release_id", Text, ForeignKey("releases.release_id"), nullable=False),
    Column("against", Text, ForeignKey("releases.release_id"), nullable=False),
    Column("share_bp", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("design", JSON, nullable=False),
    Column("readout", JSON(none_as_null=True), nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=True),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("active", Boolean, nullable=True),  # true or null, so that a unique index allows one
    Index("ix_experiments_active", "active", unique=True),
    Index("ix_experiments_created_at", "created_at"),
)

incidents = Table(
    "incidents",
    METADATA,
    Column("incident_id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("release_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("alerts", JSON, nullable=False),
    Column("context", JSON, nullable=False),
    Column("since", Moment, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("acknowledged_at", Moment, nullable=True),
    Column("acknowledged_by", Text, nullable=True),
    Column("silenced_until", Moment, nullable=True),
    Column("quiet_since", Moment, nullable=True),
    Column("looked_at", Moment, nullable=True),
    Column("resolved_at", Moment, nullable=True),
    Column("told", Text, nullable=False),
    Column("open", Boolean, nullable=True),  # true or null, so that a unique index allows one for each cause
    UniqueConstraint("fingerprint", "open"),
    Index("ix_incidents_opened_at", "opened_at"),
)

notices = Table(
    "notices",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("incident_id", Text, ForeignKey("incidents.incident_id"), nullable=False),
    Column("receiver", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=True),
    Column("at", Moment, nullable=False),
    Column("sent_at", Moment, nullable=True),
    Column("error", Text, nullable=True),
    Index("ix_notices_state", "state", "next_at"),
    sqlite_autoincrement=True,
)

drift_reports = Table(
    "drift_reports",
    METADATA,
    Column("report_id", Text, primary_key=True),
    Column("surface", Text, nullable=False),
    Column("release_id", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("window_from", Moment, nullable=False),
    Column("window_until", Moment, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("report", JSON, nullable=False),
    Column("folder", Text, nullable=False),
    Column("run_id", Text, nullable=True),
    Index("ix_drift_reports_at", "surface", "at"),
)

leases = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

"""The history, releases, canaries, what should be, and the lease."""

import sqlalchemy as sa
from alembic import op

from services.control.database.types import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MAYBE = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _history()
    _releases()
    _desired()
    _canaries()
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _history() -> None:
    op.create_table(
        "events",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("version", name="uq_events_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_index("ix_events_kind", "events", ["kind", "id"])
    op.create_index("ix_events_subject", "events", ["subject", "id"])


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("bento", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("as_of", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("surfaces", sa.JSON(), nullable=False),
        sa.Column("retrievers", sa.JSON(), nullable=False),
        sa.Column("ranker", sa.Text(), nullable=False),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("lineage", sa.JSON(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("verdict", _MAYBE, nullable=True),
        sa.Column("evaluation", _MAYBE, nullable=True),
        sa.Column("importance", _MAYBE, nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("registered_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("release_id", name="pk_releases"),
    )
    op.create_index("ix_releases_registered_at", "releases", ["registered_at"])


def _desired() -> None:
    op.create_table(
        "desired",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("stable", sa.Text(), nullable=False),
        sa.Column("canary_bp", sa.Integer(), nullable=False),
        sa.Column("interleave_bp", sa.Integer(), nullable=False),
        sa.Column("split_seed", sa.BigInteger(), nullable=False),
        sa.Column("interleave_seed", sa.BigInteger(), nullable=False),
        sa.Column("blue", sa.Text(), nullable=True),
        sa.Column("green", sa.Text(), nullable=True),
        sa.Column("kept_until", Moment(), nullable=True),
        sa.Column("changed_at", Moment(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_desired_one_row")),
        sa.ForeignKeyConstraint(["blue"], ["releases.release_id"], name="fk_desired_blue"),
        sa.ForeignKeyConstraint(["green"], ["releases.release_id"], name="fk_desired_green"),
        sa.PrimaryKeyConstraint("id", name="pk_desired"),
    )


def _canaries() -> None:
    op.create_table(
        "canaries",
        sa.Column("canary_id", sa.Text(), nullable=False),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("against", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("warmth", _MAYBE, nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["release_id"], ["releases.release_id"], name="fk_canaries_release_id"),
        sa.ForeignKeyConstraint(["against"], ["releases.release_id"], name="fk_canaries_against"),
        sa.PrimaryKeyConstraint("canary_id", name="pk_canaries"),
    )
    op.create_index("ix_canaries_active", "canaries", ["active"], unique=True)
    op.create_index("ix_canaries_created_at", "canaries", ["created_at"])
    op.create_table(
        "observations",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("canary_id", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("observation", _MAYBE, nullable=True),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["canary_id"], ["canaries.canary_id"], name="fk_observations_canary_id"),
        sa.PrimaryKeyConstraint("number", name="pk_observations"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_observations_canary_id", "observations", ["canary_id", "number"])

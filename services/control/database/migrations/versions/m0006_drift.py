"""Reports of drift, and runs of a second pipeline beside those of the first."""

import sqlalchemy as sa
from alembic import op

from services.control.database.types import Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_reports",
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("window_from", Moment(), nullable=False),
        sa.Column("window_until", Moment(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("report_id", name="pk_drift_reports"),
    )
    op.create_index("ix_drift_reports_at", "drift_reports", ["surface", "at"])
    op.add_column("runs", sa.Column("pipeline", sa.Text(), nullable=False, server_default="release"))
    op.drop_index("ix_runs_running", "runs")
    running = sa.text("state = 'running'")
    op.create_index(
        "ix_runs_running", "runs", ["surface", "pipeline"], unique=True, sqlite_where=running, postgresql_where=running
    )

"""The database itself refuses to change or delete what was recorded."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("events", "observations")

_REFUSAL = """
CREATE FUNCTION rankloop_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME; END $$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in _TABLES:
            for change in ("UPDATE", "DELETE"):
                refusal = f"SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted')"
                op.execute(f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} BEGIN {refusal}; END")
        return
    op.execute(_REFUSAL)
    for table in _TABLES:
        run = "EXECUTE FUNCTION rankloop_append_only()"
        op.execute(f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {run}")
        op.execute(f"CREATE TRIGGER {table}_all BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {run}")

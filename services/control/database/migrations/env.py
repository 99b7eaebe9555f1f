"""What Alembic runs: the connection is given by `services.control.database.migrating.upgrade`."""

from alembic import context

from services.control.database.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

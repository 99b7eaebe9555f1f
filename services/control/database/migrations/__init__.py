"""How the record's tables became what they are: one file a revision, in `versions`, which Alembic runs."""

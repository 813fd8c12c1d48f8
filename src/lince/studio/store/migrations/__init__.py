"""The migrations of a project's tables, for Alembic."""

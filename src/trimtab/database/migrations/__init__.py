"""Alembic's migrations of the registry's database, applied by `database.migrate`."""

"""Bring a database to the tables this release of trimtab works with."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from trimtab.database.engine import Database
from trimtab.errors import ConfigError

# The newest migration; a test holds it against the scripts.
HEAD = "0001"
SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Apply the migrations that are missing, in one transaction; none missing costs one query.

    Raises:
        ConfigError: The database was written by a newer trimtab.
    """
    with database.read() as connection:
        found = _revision(connection)
    if found == HEAD:
        return
    with database.write() as connection:
        _refuse_newer(database, found=_revision(connection))
        _run(connection)


def _revision(connection: Connection) -> str | None:
    """The migration the database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _refuse_newer(database: Database, *, found: str | None) -> None:
    """Stop before a database whose migration we do not know."""
    if found is not None and found > HEAD:
        raise ConfigError(
            f"database {str(database.path)!r} is at migration {found}, this trimtab knows "
            f"{HEAD}; install the trimtab that wrote it, or a newer one"
        )


def _run(connection: Connection) -> None:
    """Let Alembic do it; imported here because an upgraded database never needs it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

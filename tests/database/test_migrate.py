from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from trimtab.database.engine import Database, open_database
from trimtab.database.migrate import HEAD, SCRIPTS, upgrade
from trimtab.database.tables import metadata
from trimtab.errors import ConfigError


def test_the_migrations_lead_to_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )

        assert compare_metadata(context, metadata) == []


def test_constraints_are_migrated_too(database: Database) -> None:
    with database.read() as connection:
        found = inspect(connection)
        for table in metadata.tables.values():
            foreign = {key["name"] for key in found.get_foreign_keys(table.name)}
            unique = {key["name"] for key in found.get_unique_constraints(table.name)}
            wanted = {constraint.name for constraint in table.constraints}

            assert foreign | unique | {f"pk_{table.name}"} == wanted


def test_the_known_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))

    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    upgrade(database)

    with database.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [
            (HEAD,)
        ]


def test_a_database_of_a_newer_trimtab_is_left_alone(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigError, match=f"migration 9999, this trimtab knows {HEAD}"):
        upgrade(database)


def test_an_empty_file_becomes_a_whole_database(tmp_path: Path) -> None:
    with open_database(tmp_path / "new.db") as fresh:
        upgrade(fresh)

        with fresh.read() as connection:
            names = set(inspect(connection).get_table_names())
    assert names == {*metadata.tables, "alembic_version"}

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from trimtab.database import tables
from trimtab.database.engine import Database, open_database
from trimtab.database.migrate import upgrade
from trimtab.errors import ConfigError


def _put(database: Database, name: str, value: str = "x") -> None:
    with database.write() as connection:
        connection.execute(insert(tables.meta).values(name=name, value=value))


def _put_many(database: Database, part: int) -> None:
    for n in range(20):
        _put(database, f"{part}-{n}")


def _names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(tables.meta.c.name)).scalars())


def test_connections_are_durable_checked_and_journaled_ahead(database: Database) -> None:
    with database.write() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


def test_the_file_can_be_read_by_its_owner_only(database: Database) -> None:
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    twice = insert(tables.meta).values(name="half", value="done")

    with pytest.raises(IntegrityError), database.write() as connection:  # noqa: PT012
        connection.execute(twice)
        connection.execute(twice)

    assert _names(database) == []


def test_a_reader_keeps_its_state_while_a_writer_commits(database: Database) -> None:
    with database.read() as connection:
        before = connection.execute(select(tables.meta)).all()
        _put(database, "lineage")
        after = connection.execute(select(tables.meta)).all()

    assert before == after == []
    assert _names(database) == ["lineage"]


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"), database.read() as connection:
        connection.execute(insert(tables.meta).values(name="a", value="b"))


def test_writers_in_many_threads_all_commit(database: Database) -> None:
    threads = [threading.Thread(target=_put_many, args=(database, part)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(_names(database)) == 80


def test_two_openings_of_one_file_take_turns(tmp_path: Path, database: Database) -> None:
    with open_database(f"sqlite:///{tmp_path / 'registry.db'}") as other:
        _put(database, "first")
        _put(other, "second")

        assert sorted(_names(database)) == ["first", "second"]


def test_what_was_committed_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    with open_database(tmp_path / "registry.db") as database:
        upgrade(database)
        _put(database, "lineage")

    with open_database(tmp_path / "registry.db") as database:
        assert _names(database) == ["lineage"]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("postgresql://localhost/trimtab", "not a SQLite file"),
        ("sqlite://", "not a SQLite file"),
        ("://", "cannot read database URL"),
    ],
)
def test_another_kind_of_database_is_refused_by_name(where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_database(where)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere"):
        open_database(tmp_path / "nowhere" / "registry.db")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes and no database at all. " * 100)

    with pytest.raises(ConfigError, match=r"notes\.txt.*not a database"):
        open_database(path)

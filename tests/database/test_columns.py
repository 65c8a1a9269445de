from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from trimtab.database.columns import Json, Time
from trimtab.database.engine import Database

things = Table("things", MetaData(), Column("at", Time), Column("what", Json))


@pytest.fixture(autouse=True)
def _table(database: Database) -> None:
    with database.write() as connection:
        things.create(connection)


def _stored(database: Database, **values: object) -> tuple[object, object]:
    with database.write() as connection:
        connection.execute(insert(things).values(**values))
        row = connection.execute(select(things)).one()
    return row.at, row.what


def test_a_time_comes_back_in_utc_to_the_microsecond(database: Database) -> None:
    tokyo = timezone(timedelta(hours=9))
    at = datetime(2026, 3, 1, 8, 30, 0, 123_456, tzinfo=tokyo)

    found, _ = _stored(database, at=at)

    assert found == at
    assert isinstance(found, datetime)
    assert found.tzinfo is UTC


def test_a_time_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="no zone"):
        _stored(database, at=datetime(2026, 3, 1))  # noqa: DTZ001


@pytest.mark.parametrize("value", [{"b": [1, 2.5, "é"], "a": None}, [], "text", 0, False])
def test_json_comes_back_as_it_was(database: Database, value: object) -> None:
    assert _stored(database, what=value)[1] == value


def test_no_json_and_no_time_are_null(database: Database) -> None:
    assert _stored(database, at=None, what=None) == (None, None)

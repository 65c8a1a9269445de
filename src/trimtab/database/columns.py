"""Column types of our own: times that keep their zone, JSON that keeps its bytes."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import DateTime, Dialect, Text, TypeDecorator


class Time(TypeDecorator[datetime]):
    """An aware time, stored as UTC with microseconds; naive ones are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What goes into the row."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time {value!r} has no zone; use timezone-aware UTC")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What comes out of the row."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):  # a JSON value of any shape; the reader knows which
    """A JSON value as text, its keys sorted."""

    impl = Text
    cache_ok = True

    # TypeDecorator's own signature takes Any for a JSON value of any shape.
    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ANN401
        """What goes into the row; Python's None is SQL's NULL."""
        del dialect
        return None if value is None else msgspec.json.encode(value, order="sorted").decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """What comes out of the row."""
        del dialect
        return None if value is None else msgspec.json.decode(value)

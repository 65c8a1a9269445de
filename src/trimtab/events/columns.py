"""Columns of the lake: each event column's type in DuckDB and Parquet, read off the schema."""

import msgspec
from msgspec import inspect

from trimtab.events.schema import Event

_SQL_TYPES: dict[type[inspect.Type], str] = {
    inspect.StrType: "VARCHAR",
    inspect.LiteralType: "VARCHAR",
    inspect.IntType: "BIGINT",
    inspect.FloatType: "DOUBLE",
    inspect.BoolType: "BOOLEAN",
    inspect.ListType: "VARCHAR[]",
    inspect.DictType: "JSON",
}


def _sql_type(type_: inspect.Type) -> str:
    if isinstance(type_, inspect.Metadata):
        return _sql_type(type_.type)
    if isinstance(type_, inspect.UnionType):
        return next(_sql_type(t) for t in type_.types if not isinstance(t, inspect.NoneType))
    return _SQL_TYPES[type(type_)]


def _columns() -> dict[str, str]:
    events = inspect.type_info(Event)
    if not isinstance(events, inspect.UnionType):
        raise TypeError(f"Event must be a union of records, not {events}")
    columns = {"kind": "VARCHAR"}
    for record in events.types:
        if isinstance(record, inspect.StructType):
            columns |= {field.encode_name: _sql_type(field.type) for field in record.fields}
    del columns["unit_id"]  # raw ids stay outside
    return columns | {"occurred_at": "TIMESTAMP", "received_at": "TIMESTAMP", "mark": "VARCHAR"}


COLUMNS = _columns()
"""Every column of a journal line, by name; times are UTC."""

PLACE = {"journal": "VARCHAR", "offset": "BIGINT"}
"""Where a row came from: it orders what the fold replays."""


def number_lines(data: bytes, *, start: int) -> bytes:
    """Journal lines with their offset as first field, for DuckDB to read; `data` is whole lines."""
    numbered = []
    offset = start
    for line in data.split(b"\n")[:-1]:
        if line[:2] == b'{"':
            numbered.append(b'{"offset":%d,%b\n' % (offset, line[1:]))
        offset += len(line) + 1
    return b"".join(numbered)


def json_columns() -> str:
    """The `columns` argument of `read_json` for numbered lines."""
    types = {"offset": "BIGINT", **COLUMNS}
    return msgspec.json.encode(types).decode().replace('"', "'")


# The 48 bits of ms before the version; NULL if the id is none that the door lets in.
DAY = "CAST(epoch_ms(TRY_CAST('0x' || event_id[1:8] || event_id[10:13] AS BIGINT)) AS DATE)"

"""Replaying: rows of Parquet as the entries the fold once read from a journal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from trimtab.events.evidence import CommitRange
from trimtab.events.fold import EVENTS_A_COMMIT, Piece
from trimtab.events.tally import Entry
from trimtab.events.view import connect

_TIME = "strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}"
_FIELDS = ", ".join(
    _TIME.format(name=name) if name in {"occurred_at", "received_at"} else f'"{name}"'
    for name in Entry.__struct_fields__
)
_SELECT = (
    f'SELECT "offset", {_FIELDS} FROM read_parquet($files, hive_partitioning = true,'  # noqa: S608 - our own names
    " hive_types = {'kind': VARCHAR, 'day': DATE})"
    ' WHERE "offset" >= $start AND "offset" < $end ORDER BY "offset"'
)


def replay(files: Sequence[Path], one: CommitRange) -> Iterator[Piece]:
    """A folded range of a journal from its Parquet files, in pieces of at most 1,000 events."""
    rows = _rows(files, one)
    start = one.start
    while rows:
        some, rows = rows[:EVENTS_A_COMMIT], rows[EVENTS_A_COMMIT:]
        end = rows[0][0] if rows else one.end
        entries = [entry for _, entry in some]
        yield Piece(journal=one.journal, start=start, end=end, entries=[*entries], seq=one.seq)
        start = end
    if start < one.end:
        yield Piece(journal=one.journal, start=start, end=one.end, entries=[], seq=one.seq)


def _rows(files: Sequence[Path], one: CommitRange) -> list[tuple[int, Entry]]:
    if not files:
        return []
    connection = connect(threads=1)
    try:
        values = {"files": [str(path) for path in files], "start": one.start, "end": one.end}
        found = connection.execute(_SELECT, values).fetchall()
    finally:
        connection.close()
    names = Entry.__struct_fields__
    return [(row[0], Entry(**dict(zip(names, row[1:], strict=True)))) for row in found]

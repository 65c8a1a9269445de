"""Compaction: sealed journals become Parquet, and a crash at any step loses and doubles nothing."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import msgspec

from trimtab.events.columns import COLUMNS, PLACE
from trimtab.events.evidence import Evidence
from trimtab.events.journal import SEALED, list_journals, read_from, seal_abandoned
from trimtab.events.manifest import Compacted, LakeFile, Manifest
from trimtab.events.view import CHUNK_BYTES, connect, create_recent, load_numbered

Step = Callable[[str], None]

_KEPT = ", ".join(f'"{name}"' for name in (*COLUMNS, *PLACE) if name != "kind")


class CompactReport(msgspec.Struct, kw_only=True):
    """What one run did."""

    journals: int = 0
    files: int = 0
    rows: int = 0
    busy: bool = False


def compact(
    lake: Path, journals: Path, evidence: Evidence, *, step: Step = lambda _: None
) -> CompactReport:
    """Move every sealed journal that is folded to its end into Parquet.

    Another run at the same time is left alone (`busy`).

    Args:
        lake: Folder of the manifest and of `kind=/day=`.
        journals: Folder of the journals.
        evidence: Says how far journals are folded, and in which order they were.
        step: Called after each step with its name (written, renamed, listed, deleted), so that a
            test can die there.
    """
    lake.mkdir(parents=True, exist_ok=True)
    report = CompactReport()
    with _lease(lake / ".lease") as held:
        if not held:
            report.busy = True
            return report
        _remove_leftovers(lake)
        seal_abandoned(journals)
        manifest = Manifest(lake / "manifest.jsonl")
        for journal in list_journals(journals):
            if journal.name in manifest.read():
                _delete(journals, journal.name)
            elif journal.sealed and _is_folded(journals, journal.name, evidence):
                evidence.sync()
                _compact_one(_Place(lake, journals, journal.name), evidence, manifest, step)
                entry = manifest.read()[journal.name]
                report.journals += 1
                report.files += len(entry.files)
                report.rows += entry.rows
    return report


class _Place(msgspec.Struct, frozen=True):
    lake: Path
    journals: Path
    journal: str


def _is_folded(journals: Path, name: str, evidence: Evidence) -> bool:
    rest = read_from(journals, name, offset=evidence.offsets().get(name, 0))
    return rest is not None and not rest.data


def _compact_one(place: _Place, evidence: Evidence, manifest: Manifest, step: Step) -> None:
    connection = connect(threads=1)  # for one file quicker than two, and it leaves room to serve
    try:
        create_recent(connection)
        size = _load(connection, place)
        written = _write(connection, place)
    finally:
        connection.close()
    step("written")
    for temporary, file in written:
        final = place.lake / file.path
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(final)
        _sync_path(final.parent)
        _sync_path(final.parent.parent)
    _sync_path(place.lake)
    step("renamed")
    files = [file for _, file in written]
    manifest.append(
        Compacted(
            journal=place.journal,
            bytes=size,
            rows=sum(file.rows for file in files),
            files=files,
            commits=[one for one in evidence.commits() if one.journal == place.journal],
        )
    )
    _sync_path(place.lake)
    step("listed")
    _delete(place.journals, place.journal)
    step("deleted")


def _load(connection: duckdb.DuckDBPyConnection, place: _Place) -> int:
    """Read the journal into `recent`; the bytes of its whole lines."""
    offset = 0
    while True:
        chunk = read_from(place.journals, place.journal, offset=offset, limit=CHUNK_BYTES)
        if chunk is None or not chunk.data:
            return offset
        load_numbered(connection, chunk.data, journal=place.journal, start=offset)
        offset = chunk.end


def _write(connection: duckdb.DuckDBPyConnection, place: _Place) -> list[tuple[Path, LakeFile]]:
    """Temporary Parquet files on disk, one for each kind and day, in the journal's order."""
    groups = connection.execute(
        "SELECT kind, day, CAST(day AS VARCHAR), count(*) FROM recent GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    written = []
    for number, (kind, day, day_text, rows) in enumerate(groups):
        name = f"{place.journal}-{number}.parquet"
        temporary = place.lake / f".{name}.tmp"
        connection.execute(
            f'COPY (SELECT {_KEPT} FROM recent WHERE kind = $kind AND day = $day ORDER BY "offset")'  # noqa: S608 - our own names
            " TO $path (FORMAT parquet, COMPRESSION zstd)",
            {"kind": kind, "day": day, "path": str(temporary)},
        )
        _sync_path(temporary)
        path = f"kind={kind}/day={day_text}/{name}"
        written.append((temporary, LakeFile(path=path, kind=kind, day=day_text, rows=rows)))
    return written


def _remove_leftovers(lake: Path) -> None:
    for leftover in lake.glob(".*.parquet.tmp"):
        leftover.unlink()


def _delete(journals: Path, name: str) -> None:
    (journals / (name + SEALED)).unlink(missing_ok=True)
    _sync_path(journals)


def _sync_path(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _lease(path: Path) -> Iterator[bool]:
    """Whether nobody else compacts; released when this process ends, however it ends."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(fd)

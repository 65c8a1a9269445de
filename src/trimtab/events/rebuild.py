"""Rebuilding: the evidence, made again from the events in the order they were folded."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from trimtab.errors import ConfigError
from trimtab.events.evidence import CommitRange, Evidence
from trimtab.events.fold import Fold, FoldReport, Piece, Plans, pieces_of
from trimtab.events.journal import read_from
from trimtab.events.lake import Lake


def rebuild(
    evidence: Path, journals: Path, lake: Lake, *, plans: Plans, count_late: bool = True
) -> FoldReport:
    """Fold every event again into a new file that then takes the old one's place.

    What came first decides which variant and epoch a unit counts for. So compacted journals are
    replayed in the order of the manifest, others in that of the old evidence as far as it can be
    read, and then the rest. Nobody may have the evidence open meanwhile.

    Args:
        evidence: File of the evidence; it need not exist or be readable.
        journals: Folder of the journals.
        lake: Holds the compacted ones.
        plans: As for `Fold`.
        count_late: Count events that came more than 8 days late, which the live totals leave out.
    """
    fresh = evidence.with_name(evidence.name + ".rebuild")
    _remove(fresh)
    compacted = lake.commits()
    names = {one.journal for one in compacted}
    known = [one for one in _old_commits(evidence) if one.journal not in names]
    report = FoldReport()
    store = Evidence(fresh)
    try:
        fold = Fold(store, journals, plans=plans, count_late=count_late)
        for one in sorted([*compacted, *known], key=lambda one: one.seq):
            found = lake.pieces(one) if one.journal in names else _pieces(journals, one)
            for piece in found:
                report.add(fold.commit(piece))
        while (rest := fold.step()).commits:
            report.add(rest)
        store.sync()
    finally:
        store.close()
    _remove(evidence)
    fresh.replace(evidence)
    return report


def _old_commits(path: Path) -> list[CommitRange]:
    if not path.exists():
        return []
    try:
        old = Evidence(path)
    except (ConfigError, sqlite3.DatabaseError):
        return []  # damaged: what it alone knew was the order of the newest events
    try:
        return old.commits()
    except sqlite3.DatabaseError:
        return []
    finally:
        old.close()


def _pieces(journals: Path, one: CommitRange) -> Iterator[Piece]:
    start = one.start
    while start < one.end:
        chunk = read_from(journals, one.journal, offset=start)
        if chunk is None or not chunk.data:
            return
        for piece in pieces_of(
            one.journal, chunk.data[: one.end - start], start=start, seq=one.seq
        ):
            yield piece
            start = piece.end


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

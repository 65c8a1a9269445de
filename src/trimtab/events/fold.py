"""The fold: journals become evidence, each event once."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from pathlib import Path

import msgspec

from trimtab.events.evidence import Evidence
from trimtab.events.journal import list_journals, read_from
from trimtab.events.rows import MinuteKey, Rows, id_bytes
from trimtab.events.tally import COUNTED, Entry, count, first_exposure, is_placed
from trimtab.events.totals import FoldPlan

Plans = Callable[[Collection[str]], Mapping[str, FoldPlan]]

# About 15 ms of work: nobody who reads or writes the evidence waits longer than that.
EVENTS_A_COMMIT = 1_000
CHUNKS_A_STEP = 100
PURGE_EVERY = timedelta(minutes=1)
COUNTERS = ("events", "duplicates", "late", "clock", "unknown_plan", "outcomes", "unreadable")

_decode = msgspec.json.Decoder(Entry).decode


class FoldReport(msgspec.Struct, kw_only=True):
    """What one step folded; each field counts journal lines, but for `commits`.

    Attributes:
        events: All lines, those below included.
        duplicates: Ids that were folded before.
        late: Dated more than 8 days before they came; kept out of the totals.
        clock: Dated more than 10 minutes after they came; kept out of the totals.
        unknown_plan: Of a plan that is of another environment or does not know the event's epoch,
            side or unit; kept out of
            the tests.
        outcomes: Outcomes, feedback and evaluations, now looking for their variant.
        unreadable: Lines that are no event; only foreign writers leave such.
        commits: Transactions.
    """

    events: int = 0
    duplicates: int = 0
    late: int = 0
    clock: int = 0
    unknown_plan: int = 0
    outcomes: int = 0
    unreadable: int = 0
    commits: int = 0

    def add(self, other: "FoldReport") -> None:
        """Add another report to this one."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a journal that go into one commit; `seq` is given when an order is replayed."""

    journal: str
    start: int
    end: int
    entries: list[Entry | None]
    seq: int | None = None


class Fold:
    """Reads all journals of a folder into the evidence.

    Args:
        evidence: What it writes.
        journals: The folder it reads.
        plans: What to count for these plans; called before each commit, so that it must know a
            plan and an epoch before the first decision they make.
        count_late: Whether late events count; a rebuild may want them.
        most: Events a commit.
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        evidence: Evidence,
        journals: Path,
        *,
        plans: Plans,
        count_late: bool = False,
        most: int = EVENTS_A_COMMIT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._evidence = evidence
        self._journals = journals
        self._plans = plans
        self._count_late = count_late
        self._most = most
        self._monotonic = monotonic
        self._purged_at: datetime | None = None
        self._caught_up_at: float | None = None

    def step(self) -> FoldReport:
        """Fold what was appended since the last step, at most 100 chunks of 1 MiB a journal."""
        began = self._monotonic()
        report = FoldReport()
        offsets = self._evidence.offsets()
        at_end = [
            self._fold_journal(journal.name, offsets.get(journal.name, 0), report)
            for journal in list_journals(self._journals)
        ]
        if all(at_end):
            self._caught_up_at = began
        return report

    def behind_s(self) -> float:
        """How long ago the evidence last held every event that had been appended; inf = never."""
        if self._caught_up_at is None:
            return inf
        return self._monotonic() - self._caught_up_at

    def _fold_journal(self, name: str, offset: int, report: FoldReport) -> bool:
        """Fold one journal from an offset on; whether its end was reached."""
        for _ in range(CHUNKS_A_STEP):
            chunk = read_from(self._journals, name, offset=offset)
            if chunk is None or not chunk.data:
                return True
            for piece in pieces_of(name, chunk.data, start=offset, most=self._most):
                report.add(self.commit(piece))
            offset = chunk.end
        return False

    def lag_bytes(self) -> int:
        """Bytes that are in journals and not in the evidence yet."""
        offsets = self._evidence.offsets()
        lag = 0
        for journal in list_journals(self._journals):
            offset = offsets.get(journal.name, 0)
            chunk = read_from(self._journals, journal.name, offset=offset)
            lag += 0 if chunk is None else chunk.end - chunk.start
        return lag

    def commit(self, piece: Piece) -> FoldReport:
        """Fold one piece in one transaction with the journal's offset.

        A piece that does not begin where the last one ended was folded by somebody else
        meanwhile: nothing happens.
        """
        entries = [entry for entry in piece.entries if entry is not None]
        named = {entry.plan_id for entry in entries if entry.plan_id is not None}
        plans = self._plans(named) if named else {}
        report = FoldReport(events=len(piece.entries), commits=1)
        report.unreadable = len(piece.entries) - len(entries)
        with self._evidence.rows() as rows:
            if rows.folded(piece.journal) != piece.start:
                return FoldReport()
            for entry in entries:
                self._fold(entry, plans, rows, report)
            for name in COUNTERS:
                rows.count(name, times=getattr(report, name))
            rows.advance(piece.journal, start=piece.start, end=piece.end, seq=piece.seq)
        if entries and piece.seq is None:
            self._purge(entries[-1].received_at)
        return report

    def _fold(
        self, entry: Entry, plans: Mapping[str, FoldPlan], rows: Rows, report: FoldReport
    ) -> None:
        if not rows.is_first(entry.event_id):
            report.duplicates += 1
        elif entry.mark == "clock":
            report.clock += 1
        elif entry.mark == "late" and not self._count_late:
            report.late += 1
        elif entry.kind in {"outcome", "feedback", "evaluation"}:
            report.outcomes += 1
            rows.wait(entry)
        elif entry.kind in {"exposure", "generation"}:
            _count_call(entry, rows)
            if entry.plan_id is not None:
                report.unknown_plan += not _count_plan(entry, plans.get(entry.plan_id), rows)

    def _purge(self, received_at: str) -> None:
        newest = datetime.fromisoformat(received_at)
        due = self._purged_at is None or newest - self._purged_at >= PURGE_EVERY
        if due and not self._evidence.forget_ids(newest):
            self._purged_at = newest


def pieces_of(
    journal: str,
    data: bytes,
    *,
    start: int,
    seq: int | None = None,
    most: int = EVENTS_A_COMMIT,
) -> Sequence[Piece]:
    """Whole lines of a journal cut into pieces of at most so many."""
    lines = data.split(b"\n")
    lines.pop()  # the empty rest after the last line end
    pieces = []
    for first in range(0, len(lines), most):
        some = lines[first : first + most]
        end = start + sum(map(len, some)) + len(some)
        entries = [_entry(line) for line in some]
        pieces.append(Piece(journal=journal, start=start, end=end, entries=entries, seq=seq))
        start = end
    return pieces


def _entry(line: bytes) -> Entry | None:
    try:
        entry = _decode(line)
        _check_form(entry)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return entry


def _check_form(entry: Entry) -> None:
    """Raise ValueError where an id is not hex or a time is none.

    Patterns in the record would say the same and cost 3 µs a line, twice what decoding does.
    """
    id_bytes(entry.event_id)
    datetime.fromisoformat(entry.occurred_at)
    datetime.fromisoformat(entry.received_at)
    if entry.unit_key is not None:
        id_bytes(entry.unit_key)


def _count_plan(entry: Entry, plan: FoldPlan | None, rows: Rows) -> bool:
    if plan is None or not is_placed(entry, plan) or entry.unit_key is None:
        return False
    unit = rows.unit(plan.plan_id, entry.unit_key)
    if unit is None:
        unit = rows.open_unit(plan.plan_id, entry.unit_key, first_exposure(entry))
    count(entry, plan, unit, rows)
    return True


def _count_call(entry: Entry, rows: Rows) -> None:
    if entry.kind != "generation":
        return
    at = entry.at
    key = MinuteKey(
        entry.environment,
        entry.prompt or "",
        at[:16],
        entry.plan_id or "",
        entry.epoch or 0,
        entry.variant or "",
        entry.sha or "",
        entry.model_answered or entry.model_asked or "",
    )
    rows.minute(key).add(entry)
    if entry.status in COUNTED and entry.latency_ms is not None:
        rows.hour(MinuteKey(key[0], key[1], at[:13], *key[3:])).add(entry.latency_ms)

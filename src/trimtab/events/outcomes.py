"""Outcomes: what became known later finds the variant it belongs to."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from trimtab.events.evidence import Evidence
from trimtab.events.lake import Lake, RequestFacts
from trimtab.events.rows import OutcomeKey, id_bytes
from trimtab.events.tally import CONTROL, TREATMENT, Entry

RETRY_FOR = timedelta(hours=24)
FIRST_RETRY = timedelta(seconds=10)
LAST_RETRY = timedelta(hours=1)
AT_ONCE = 2_000

# Until metrics bring their own: how long after a unit's first exposure an outcome is the plan's.
WINDOW = timedelta(days=7)

_entry = msgspec.json.Decoder(Entry).decode


class OutcomeReport(msgspec.Struct, kw_only=True):
    """What one step did with the outcomes that were due.

    Attributes:
        joined: Counted for at least one side of a plan.
        unjoined: Given up, see `Evidence.unjoined` for the reasons.
        waiting: Not found yet; tried again later.
    """

    joined: int = 0
    unjoined: int = 0
    waiting: int = 0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Where an outcome belongs: sides of plans, or a reason why to none.

    A reason without `final` may still change, when the exposure is read later.
    """

    sides: tuple[tuple[str, int, str], ...] = ()
    reason: str = ""
    final: bool = True


class _Waiting(msgspec.Struct, frozen=True):
    id: bytes
    tries: int
    entry: Entry


class Outcomes:
    """Joins outcomes that the fold has left waiting; each is counted once.

    Args:
        evidence: Holds those that wait, the units, and the totals.
        lake: Knows the requests.
    """

    def __init__(self, evidence: Evidence, lake: Lake) -> None:
        self._evidence = evidence
        self._lake = lake

    def step(self, now: datetime) -> OutcomeReport:
        """Try all that are due, in batches; to be called every ten seconds or more often."""
        report = OutcomeReport()
        while waiting := self._due(now):
            requests = self._requests(waiting, now)
            with self._evidence.transaction() as cursor:
                for one in waiting:
                    _settle(cursor, one, _find(cursor, one.entry, requests), now, report)
            if len(waiting) < AT_ONCE:
                break
        return report

    def _due(self, now: datetime) -> list[_Waiting]:
        with self._evidence.transaction() as cursor:
            rows = cursor.execute(
                "SELECT id, tries, entry FROM pending WHERE due_ms <= ? ORDER BY due_ms, id"
                " LIMIT ?",
                (_ms(now), AT_ONCE),
            ).fetchall()
        return [_Waiting(id_, tries, _entry(entry)) for id_, tries, entry in rows]

    def _requests(self, waiting: Sequence[_Waiting], now: datetime) -> dict[str, RequestFacts]:
        ids = {one.entry.request_id for one in waiting if _needs_request(one.entry)}
        known = sorted(one for one in ids if one is not None)
        if not known:
            return {}
        return self._lake.find_requests(known, since=(now.astimezone(UTC) - RETRY_FOR).date())


def _needs_request(entry: Entry) -> bool:
    return entry.request_id is not None


def _find(cursor: sqlite3.Cursor, entry: Entry, requests: Mapping[str, RequestFacts]) -> Found:
    """Where an outcome belongs by what the server knows; a plan named by its sender is no proof."""
    if entry.request_id is not None:
        return _by_request(entry, requests.get(entry.request_id))
    if entry.unit_key is not None:
        return _by_unit(cursor, entry, entry.unit_key)
    return Found(reason="names_nothing")


def _by_request(entry: Entry, facts: RequestFacts | None) -> Found:
    if facts is None:
        return Found(reason="request_not_found", final=False)
    if facts.environment != entry.environment:
        return Found(reason="other_environment")
    if facts.plan_id is None or facts.epoch is None or facts.variant not in {CONTROL, TREATMENT}:
        return Found(reason="no_plan")
    return Found(sides=((facts.plan_id, facts.epoch, facts.variant),))


def _by_unit(cursor: sqlite3.Cursor, entry: Entry, unit_key: str) -> Found:
    """The plans that the unit had met within the window before; its first exposure decides."""
    at = datetime.fromisoformat(entry.at)
    rows = cursor.execute(
        "SELECT plan_id, epoch, variant, first_at FROM unit_totals WHERE unit = ?"
        " AND environment = ? AND (? IS NULL OR prompt = ?) ORDER BY plan_id",
        (id_bytes(unit_key), entry.environment, entry.prompt, entry.prompt),
    ).fetchall()
    if not rows:
        return Found(reason=f"unit_not_found:{entry.unit_kind}", final=False)
    sides = tuple(
        (plan_id, epoch, variant)
        for plan_id, epoch, variant, first_at in rows
        if timedelta(0) <= at - datetime.fromisoformat(first_at) <= WINDOW
    )
    return Found(sides=sides) if sides else Found(reason="outside_window")


def _settle(
    cursor: sqlite3.Cursor, one: _Waiting, found: Found, now: datetime, report: OutcomeReport
) -> None:
    waited = now - datetime.fromisoformat(one.entry.received_at)
    if not (found.sides or found.final or waited >= RETRY_FOR):
        report.waiting += 1
        delay = min(FIRST_RETRY * 2 ** min(one.tries, 20), LAST_RETRY)
        cursor.execute(
            "UPDATE pending SET tries = tries + 1, due_ms = ? WHERE id = ?",
            (_ms(now + delay), one.id),
        )
    elif cursor.execute("DELETE FROM pending WHERE id = ?", (one.id,)).rowcount == 0:
        return  # settled by another process meanwhile
    elif found.sides:
        report.joined += 1
        for side in found.sides:
            _count(cursor, OutcomeKey(*side, one.entry.name or ""), one.entry.value)
    else:
        report.unjoined += 1
        cursor.execute(
            "INSERT INTO unjoined VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1",
            (one.entry.environment, found.reason),
        )


def _count(cursor: sqlite3.Cursor, key: OutcomeKey, value: float | None) -> None:
    cursor.execute(
        "INSERT INTO outcome_totals VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET"
        " n = n + 1, n_value = n_value + excluded.n_value, total = total + excluded.total",
        (*key, int(value is not None), value or 0.0),
    )


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)

"""Events as senders make them, with ids and times that depend on a seed alone."""

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from trimtab.events.door import admit, make_unit_key, utc_text
from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold
from trimtab.events.ids import uuid7
from trimtab.events.journal import OPEN
from trimtab.events.totals import FoldPlan, Series, SideTotals

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
UNIT_KEY = make_unit_key(b"installation secret")
PLAN_ID = "plan-1"
PLAN = FoldPlan(
    plan_id=PLAN_ID,
    environment="prod",
    unit="user",
    epochs={1: 1000, 2: 2500, 3: 5000},
    series=[
        Series(name="flagged", kind="flagged"),
        Series(name="failed", kind="failed"),
        Series(name="slow", kind="latency_ms", treatment_over=1250.0, control_over=1000.0),
    ],
)

# A busy machine is no failure.
calm = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))

Sent = dict[str, Any]


class Sender:
    """Makes events one second apart."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._at = NOW - timedelta(hours=1)

    def event_id(self, at: datetime | None = None) -> str:
        at = at or self._at
        return uuid7(int(at.timestamp() * 1000) * 1_000_000, self._random.randbytes(8))

    def event(self, kind: str, **columns: Any) -> Sent:
        self._at += timedelta(seconds=1)
        fixed = {"prompt": "support.reply", "version": "1.0.0", "sha": "a" * 64}
        return {
            "kind": kind,
            "event_id": self.event_id(),
            "occurred_at": utc_text(self._at),
            **fixed,
            **columns,
        }

    def exposure(self, unit: str, variant: str, epoch: int = 1, **columns: Any) -> Sent:
        return self.event("exposure", **_placed(unit, variant, epoch), **columns)

    def generation(self, unit: str, variant: str, epoch: int = 1, **columns: Any) -> Sent:
        call: Sent = {"status": "ok", "flagged": False, "latency_ms": 400.0}
        return self.event("generation", **_placed(unit, variant, epoch), **{**call, **columns})

    def traffic(self, n: int, *, n_units: int = 40) -> list[Sent]:
        """Exposures and generations of a ramp; each unit keeps to its place on the line."""
        draw = self._random
        events = []
        for i in range(n):
            epoch = 1 + 3 * i // n
            unit = draw.randrange(n_units)
            treated = unit * 10_000 // n_units < PLAN.epochs[epoch]
            variant = "treatment" if treated else "control"
            request = {"request_id": self.event_id(), "thread_id": f"t{unit}"}
            if draw.random() < 0.7:
                events.append(self.exposure(f"u{unit}", variant, epoch, **request))
            call = {
                "status": draw.choice(["ok", "ok", "ok", "timeout", "client_abort"]),
                "flagged": draw.choice([None, False, True]),
                "latency_ms": draw.lognormvariate(6.5, 0.6),
                "input_tokens": draw.randrange(1000),
                "output_tokens": draw.randrange(500),
                "cost_usd": draw.choice([None, draw.random() / 100]),
            }
            events.append(self.generation(f"u{unit}", variant, epoch, **request, **call))
        return events


def _placed(unit: str, variant: str, epoch: int) -> Sent:
    plan = {"plan_id": PLAN_ID, "epoch": epoch, "variant": variant, "reason": "plan"}
    return {**plan, "unit_kind": "user", "unit_id": unit}


def lines_of(events: Sequence[Mapping[str, Any]], *, environment: str = "prod") -> list[bytes]:
    """Journal lines of events that the door must take."""
    batch = admit(list(events), environment=environment, received_at=NOW, unit_key=UNIT_KEY)
    assert batch.rejected == []
    return batch.lines


def write_journal(folder: Path, lines: Sequence[bytes], *, name: str = "host-1-1") -> None:
    """Append lines to a journal as its process would."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / (name + OPEN)).open("ab") as file:
        file.writelines(line + b"\n" for line in lines)


def plans(ids: Collection[str]) -> dict[str, FoldPlan]:
    """The registry's answer."""
    return {PLAN_ID: PLAN} if PLAN_ID in ids else {}


def fold_of(folder: Path, events: Sequence[Mapping[str, Any]]) -> Evidence:
    """The evidence of these events, from a journal of their own."""
    write_journal(folder / "journals", lines_of(events))
    evidence = Evidence(folder / "evidence.db")
    Fold(evidence, folder / "journals", plans=plans).step()
    return evidence


def side(evidence: Evidence, variant: str, epoch: int = 1) -> SideTotals:
    """Totals of one side; empty ones if it has none."""
    for totals in evidence.totals([PLAN_ID])[PLAN_ID]:
        if totals.epoch == epoch:
            return totals.sides.get(variant, SideTotals())
    return SideTotals()


def dump(evidence: Evidence) -> dict[str, list[tuple[Any, ...]]]:
    """Everything the fold has counted, table by table, in an order of its own."""
    tables = (
        "unit_totals",
        "epoch_totals",
        "minute_totals",
        "hour_histograms",
        "outcome_totals",
        "seen",
        "counters",
        "offsets",
    )
    return {name: evidence._read(f"SELECT * FROM {name}") for name in tables}  # noqa: S608

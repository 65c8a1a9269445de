"""What an event costs from the door to Parquet, each against the bare work of the same run."""

import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from trimtab.events.door import admit, make_unit_key
from trimtab.events.evidence import Evidence
from trimtab.events.fold import EVENTS_A_COMMIT, Fold
from trimtab.events.ids import uuid7
from trimtab.events.journal import Journal
from trimtab.events.lake import Lake
from trimtab.events.totals import FoldPlan, Series

EVENTS = 40_000
A_BATCH = 200
UNITS = 3_000
PLAN = FoldPlan(
    environment="prod",
    plan_id="01990000-0000-7000-8000-000000000000",
    unit="thread",
    epochs={1: 1000},
    series=[
        Series(name="flagged", kind="flagged"),
        Series(name="failed", kind="failed"),
        Series(name="slow", kind="latency_ms", treatment_over=1250.0, control_over=1000.0),
        Series(name="slow_harm", kind="latency_ms", treatment_over=1000.0, control_over=1000.0),
    ],
)


def bodies() -> list[bytes]:
    """Posted bodies of exposures and generations as the gateway would describe them."""
    draw = random.Random(1)
    now = datetime.now(UTC)
    now_ns = int(now.timestamp() * 1000) * 1_000_000
    events: list[dict[str, object]] = []
    for i in range(EVENTS // 2):
        unit = draw.randrange(UNITS)
        shared = {
            "occurred_at": now.isoformat(),
            "prompt": "support.reply",
            "version": "1.0.0",
            "sha": "ab" * 32,
            "reason": "plan",
            "source": "live",
            "lineage": "demo",
            "revision": 17,
            "plan_id": PLAN.plan_id,
            "epoch": 1,
            "variant": "treatment" if unit % 10 == 0 else "control",
            "bucket": unit,
            "unit_kind": "thread",
            "unit_id": f"thread-{unit}",
            "thread_id": f"thread-{unit}",
            "request_id": uuid7(now_ns, draw.randbytes(8)),
            "attributes": {"tier": "vip"},
        }
        call = {
            "status": "ok",
            "flagged": draw.random() < 0.08,
            "latency_ms": draw.lognormvariate(6.0, 0.5),
            "input_tokens": 300,
            "output_tokens": 200,
            "cost_usd": 0.001,
            "model_answered": "sim-1",
            "finish_reasons": ["stop"],
        }
        for kind, more in (("exposure", {}), ("generation", call)):
            event_id = uuid7(now_ns + i * 1000, draw.randbytes(8))
            events.append({"kind": kind, "event_id": event_id, **shared, **more})
    return [msgspec.json.encode(events[i : i + A_BATCH]) for i in range(0, EVENTS, A_BATCH)]


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one run, all threads: what a busy machine cannot distort much."""
    start = time.process_time()
    work()
    return time.process_time() - start


def bare_decode(raws: Sequence[bytes]) -> None:
    """Read the bodies and write them back, unchecked."""
    for raw in raws:
        for event in msgspec.json.decode(raw):
            msgspec.json.encode(event)


def bare_append(path: Path, pieces: Sequence[bytes]) -> None:
    """Append the same bytes, a write a batch."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for piece in pieces:
        os.write(fd, piece)
    os.close(fd)


def bare_insert(path: Path) -> None:
    """Enter as many ids and rows of the size of a unit, a commit as often as the fold's."""
    draw = random.Random(2)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE seen (id BLOB PRIMARY KEY) WITHOUT ROWID")
    db.execute("CREATE TABLE units (id INTEGER PRIMARY KEY, state TEXT)")
    for _ in range(0, EVENTS, EVENTS_A_COMMIT):
        db.execute("BEGIN IMMEDIATE")
        ids = ((i.to_bytes(6, "big") + draw.randbytes(10),) for i in range(EVENTS_A_COMMIT))
        db.executemany("INSERT INTO seen VALUES (?)", ids)
        rows = ((draw.randrange(UNITS), "x" * 120) for _ in range(EVENTS_A_COMMIT))
        db.executemany("INSERT OR REPLACE INTO units VALUES (?, ?)", rows)
        db.execute("COMMIT")
    db.close()


def report(name: str, ours: float, bare: float, limit: str) -> None:
    """One line: events a second, µs an event, ratio to the bare work."""
    print(
        f"{name:<12} {EVENTS / ours:>9,.0f} events/s {ours / EVENTS * 1e6:6.1f} µs"
        f"   {ours / bare:5.1f} x {limit} ({bare / EVENTS * 1e6:.1f} µs)"
    )


def measure(data: Path, raws: Sequence[bytes]) -> None:
    """Run all stations once over the same events, in a data folder."""
    key = make_unit_key(b"secret" * 6)
    now = datetime.now(UTC)
    batches: list[list[bytes]] = []

    def door() -> None:
        admitted = (admit(raw, environment="prod", received_at=now, unit_key=key) for raw in raws)
        batches.extend(batch.lines for batch in admitted)

    def append() -> None:
        for lines in batches:
            journal.append(lines)

    journal = Journal(data / "journals")
    evidence = Evidence(data / "evidence.db")
    fold = Fold(evidence, data / "journals", plans=lambda _: {PLAN.plan_id: PLAN})
    lake = Lake(data / "lake", journals=data / "journals")
    report("admitted", seconds(door), seconds(lambda: bare_decode(raws)), "decode + encode")
    pieces = [b"\n".join(lines) + b"\n" for lines in batches]
    bare = seconds(lambda: bare_append(data / "bare", pieces))
    report("appended", seconds(append), bare, "bare append")
    folding = seconds(fold.step)
    report("folded", folding, seconds(lambda: bare_insert(data / "bare.db")), "bare inserts")
    journal.close()
    report("compacted", seconds(lambda: lake.compact(evidence)), bare, "bare append")
    rollup = seconds(lambda: lake.rollup_by_version("prod"))
    tick = min(seconds(lambda: evidence.totals([PLAN.plan_id])) for _ in range(20))
    print(f"rollup of Parquet {rollup * 1e3:.0f} ms, totals of a plan {tick * 1e3:.2f} ms")


def main() -> None:
    """Prints one line a station."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), bodies())


if __name__ == "__main__":
    main()

import math
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold, FoldReport, pieces_of
from trimtab.events.journal import Journal
from trimtab.events.lake import Lake
from trimtab.stats.quantiles import BucketHistogram

from .samples import (
    NOW,
    PLAN,
    PLAN_ID,
    Sender,
    calm,
    dump,
    fold_of,
    lines_of,
    plans,
    side,
    write_journal,
)


def fold(folder: Path) -> Fold:
    return Fold(Evidence(folder / "evidence.db"), folder / "journals", plans=plans)


def test_an_exposure_and_its_generation_are_one_unit_and_one_request(tmp_path: Path) -> None:
    sender = Sender()

    evidence = fold_of(
        tmp_path, [sender.exposure("u", "treatment"), sender.generation("u", "treatment")]
    )

    found = side(evidence, "treatment")
    assert (found.n_units, found.new_units, found.n_requests) == (1, 1, 1)


def test_a_generation_that_comes_before_its_exposure_opens_the_unit(tmp_path: Path) -> None:
    sender = Sender()
    exposure = sender.exposure("u", "control")

    evidence = fold_of(tmp_path, [sender.generation("u", "control"), exposure])

    assert side(evidence, "control").n_units == 1


def test_totals_hold_counts_sums_and_the_histogram_of_a_side(tmp_path: Path) -> None:
    sender = Sender()
    latencies = [500.0, 1500.0, 2500.0]

    evidence = fold_of(
        tmp_path,
        [
            sender.generation("u", "control", latency_ms=ms, status=status, flagged=flagged)
            for ms, status, flagged in zip(
                latencies, ["ok", "timeout", "cut_stream"], [True, None, False], strict=True
            )
        ],
    )

    found = side(evidence, "control")
    assert found.k == {"flagged": 1, "failed": 2, "slow": 2}
    assert found.n == {"flagged": 2, "failed": 3, "slow": 3}
    assert found.sums["latency_ms"] == (3, 1500.0, 500.0**2 * 2 + 1500.0**2, 1000.0)
    assert BucketHistogram.decode(found.histograms["latency_ms"]) == BucketHistogram.of(latencies)


def test_what_a_client_broke_off_counts_for_neither_errors_nor_latency(tmp_path: Path) -> None:
    sender = Sender()

    evidence = fold_of(
        tmp_path,
        [sender.generation("u", "control", status=s) for s in ("client_abort", "rejected")],
    )

    found = side(evidence, "control")
    assert (found.n_requests, found.n) == (2, {"flagged": 2})
    assert "latency_ms" not in found.sums


def test_the_same_event_counts_once_wherever_it_stands(tmp_path: Path) -> None:
    events = Sender().traffic(30)
    lines = lines_of(events)
    write_journal(tmp_path / "once" / "journals", lines)
    for name in ("host-1-1", "host-2-2"):
        write_journal(tmp_path / "often" / "journals", [*lines, *lines], name=name)

    once, often = fold(tmp_path / "once"), fold(tmp_path / "often")
    once.step()
    report = often.step()

    assert report.duplicates == 3 * len(lines)
    mine, theirs = dump(once._evidence), dump(often._evidence)
    for table in ("unit_totals", "epoch_totals", "minute_totals", "hour_histograms", "seen"):
        assert mine[table] == theirs[table]


def test_a_step_folds_only_what_is_new(tmp_path: Path) -> None:
    lines = lines_of(Sender().traffic(20))
    write_journal(tmp_path / "journals", lines[:10])
    one = fold(tmp_path)

    reports = [one.step()]
    write_journal(tmp_path / "journals", lines[10:])
    reports += [one.step(), one.step()]

    assert [report.events for report in reports] == [10, len(lines) - 10, 0]
    assert one.lag_bytes() == 0


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    (line,) = lines_of([Sender().generation("u", "control")])
    journal = tmp_path / "journals" / "host-1-1.jsonl"
    journal.parent.mkdir()
    journal.write_bytes(line[:40])
    one = fold(tmp_path)

    torn = one.step()
    journal.write_bytes(line + b"\n")

    assert (torn.events, one.step().events) == (0, 1)


def test_a_commit_holds_at_most_a_thousand_events(tmp_path: Path) -> None:
    write_journal(tmp_path / "journals", [b"{}"] * 4_500)

    report = fold(tmp_path).step()

    assert report == FoldReport(events=4_500, unreadable=4_500, commits=5)


@pytest.mark.parametrize(
    "damage",
    [
        {"event_id": "zz"},
        {"unit_key": "nobody"},
        {"occurred_at": "today"},
        {"received_at": "yesterday"},
        {"latency_ms": 1e300},
        {"cost_usd": 1e300},
        {"input_tokens": 2**70},
        {"epoch": 2**70},
        {"value": 1e300},
    ],
)
def test_a_damaged_line_is_left_out_and_stops_nothing(
    tmp_path: Path, damage: dict[str, object]
) -> None:
    first, second = lines_of([Sender().generation(unit, "control") for unit in ("u", "v")])
    spoilt = msgspec.json.encode({**msgspec.json.decode(first), **damage})
    write_journal(tmp_path / "journals", [spoilt, second])
    one = fold(tmp_path)

    report = one.step()

    assert (report.events, report.unreadable) == (2, 1)
    assert side(one._evidence, "control").n_units == 1


def test_evidence_is_behind_until_every_journal_was_read_to_its_end(tmp_path: Path) -> None:
    now = 100.0
    journals = tmp_path / "journals"
    one = Fold(Evidence(tmp_path / "e.db"), journals, plans=plans, monotonic=lambda: now)
    assert one.behind_s() == math.inf

    write_journal(journals, lines_of([Sender().generation("u", "control")]))
    one.step()
    now += 3.0
    assert one.behind_s() == 3.0

    one.step()
    assert one.behind_s() == 0.0


def test_a_piece_that_another_process_has_folded_changes_nothing(tmp_path: Path) -> None:
    lines = lines_of([Sender().generation("u", "control")])
    write_journal(tmp_path / "journals", lines)
    one = fold(tmp_path)
    (piece,) = pieces_of("host-1-1", lines[0] + b"\n", start=0)
    one.step()

    assert one.commit(piece) == FoldReport()


def test_late_events_and_clocks_ahead_change_no_live_total(tmp_path: Path) -> None:
    sender = Sender()
    ages = (timedelta(days=9), timedelta(hours=-1))
    write_journal(
        tmp_path / "journals",
        lines_of(
            [
                sender.generation("u", "control") | {"event_id": sender.event_id(NOW - age)}
                for age in ages
            ]
        ),
    )
    one = fold(tmp_path)

    report = one.step()

    assert (report.late, report.clock) == (1, 1)
    assert one._evidence.totals([PLAN_ID]) == {PLAN_ID: []}
    assert one._evidence.rollup("prod") == []
    assert one._evidence.counters()["late"] == 1


def test_events_that_their_plan_does_not_place_are_counted_and_left_out(tmp_path: Path) -> None:
    sender = Sender()
    placed = sender.generation("u", "control")
    write_journal(
        tmp_path / "journals",
        lines_of(
            [
                placed | {"event_id": sender.event_id(), **columns}
                for columns in (
                    {"plan_id": "other"},
                    {"epoch": 9},
                    {"epoch": None},
                    {"variant": "blue"},
                    {"unit_kind": "thread"},
                    {"unit_id": None},
                )
            ]
        ),
    )
    one = fold(tmp_path)

    assert one.step().unknown_plan == 6
    assert one._evidence.totals([PLAN_ID]) == {PLAN_ID: []}
    assert sum(version.n for version in one._evidence.rollup("prod")) == 6


def test_a_plan_by_request_counts_every_request_as_a_unit(tmp_path: Path) -> None:
    sender = Sender()
    by_request = msgspec.structs.replace(PLAN, unit="request")
    events = []
    for _ in range(3):
        unit = {"unit_kind": "request", "request_id": sender.event_id()}
        call = sender.generation(unit["request_id"], "treatment", flagged=True) | unit
        events += [sender.exposure(unit["request_id"], "treatment") | unit, call]
    write_journal(tmp_path / "journals", lines_of(events))
    evidence = Evidence(tmp_path / "e.db")

    Fold(evidence, tmp_path / "journals", plans=lambda _: {PLAN_ID: by_request}).step()

    found = side(evidence, "treatment")
    assert (found.n_units, found.new_units, found.n_requests) == (3, 3, 3)
    assert found.first_k["flagged"] == {0: 3}


def test_one_exposure_and_many_generations_are_one_unit(tmp_path: Path) -> None:
    sender = Sender()
    calls = [sender.generation("u", "control", flagged=True) for _ in range(5)]

    evidence = fold_of(tmp_path, [*calls[:2], sender.exposure("u", "control"), *calls[2:]])

    found = side(evidence, "control")
    assert (found.n_units, found.new_units, found.n_requests) == (1, 1, 5)
    assert (found.k["flagged"], found.first_k["flagged"]) == (5, {0: 1})


def test_events_of_another_environment_count_in_no_plan_of_this_one(tmp_path: Path) -> None:
    write_journal(
        tmp_path / "journals",
        lines_of([Sender().generation("u", "treatment")], environment="dev"),
    )
    one = fold(tmp_path)

    assert one.step().unknown_plan == 1
    assert one._evidence.totals([PLAN_ID]) == {PLAN_ID: []}


def test_ids_older_than_nine_days_are_forgotten(tmp_path: Path) -> None:
    sender = Sender()
    old = sender.generation("u", "control") | {"event_id": sender.event_id(NOW - timedelta(10))}

    evidence = fold_of(tmp_path, [old, sender.generation("u", "control")])

    assert len(dump(evidence)["seen"]) == 1


@calm
@given(st.lists(st.integers(0, 60), max_size=8), st.integers(0, 5))
def test_how_journals_are_cut_into_batches_changes_nothing(cuts: list[int], seed: int) -> None:
    lines = lines_of(Sender(seed).traffic(36))
    lines += lines[5:9]
    with TemporaryDirectory() as whole, TemporaryDirectory() as cut:
        write_journal(Path(whole) / "journals", lines)
        one, other = fold(Path(whole)), fold(Path(cut))
        one.step()
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(lines)], strict=True):
            write_journal(Path(cut) / "journals", lines[start:end])
            other.step()

        assert dump(other._evidence) == dump(one._evidence)
        assert [c.seq for c in other._evidence.commits()] == [1]


def test_threads_may_append_fold_and_ask_at_once(tmp_path: Path) -> None:
    lines = lines_of(Sender().traffic(600))
    journal = Journal(tmp_path / "journals", seal_bytes=100_000)
    one = fold(tmp_path)
    lake = Lake(tmp_path / "lake", journals=tmp_path / "journals")
    appended = threading.Event()

    def append() -> None:
        for start in range(0, len(lines), 10):
            journal.append(lines[start : start + 10])
        appended.set()

    def ask() -> list[int]:
        """Requests in the evidence, which must never become fewer."""
        found = []
        while not appended.is_set():
            sides = [s for e in one._evidence.totals([PLAN_ID])[PLAN_ID] for s in e.sides.values()]
            found.append(sum(s.n_requests for s in sides))
            lake.compact(one._evidence)
        return found

    with ThreadPoolExecutor() as pool:
        writing, asking = pool.submit(append), pool.submit(ask)
        while not appended.is_set():
            one.step()
        writing.result()
        found = asking.result()
    one.step()

    assert found == sorted(found)
    assert one._evidence.counters()["events"] == len(lines)
    assert lake.count_requests() == {"prod": 600}


FOLDER = """
import sys
from pathlib import Path
from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold
sys.path.insert(0, sys.argv[2])
from events.samples import plans
data = Path(sys.argv[1])
evidence = Evidence(data / "evidence.db")
fold = Fold(evidence, data / "journals", plans=plans, most=25)
print("ready", flush=True)
while fold.step().commits:
    pass
print("done", flush=True)
"""


def test_a_fold_that_is_killed_again_and_again_ends_at_the_same_totals(tmp_path: Path) -> None:
    lines = lines_of(Sender().traffic(1_500))
    for part in ("clean", "killed"):
        write_journal(tmp_path / part / "journals", lines)
    clean = fold(tmp_path / "clean")
    clean.step()

    kills = 0
    while True:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                FOLDER,
                str(tmp_path / "killed"),
                str(Path(__file__).parents[1]),
            ],
            stdout=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            if kills < 3:
                wait_for_progress(tmp_path / "killed" / "evidence.db", kills)
                process.send_signal(signal.SIGKILL)
                kills += 1
                continue
            assert process.stdout.readline() == b"done\n"
            break

    assert dump(Evidence(tmp_path / "killed" / "evidence.db")) == dump(clean._evidence)


def wait_for_progress(path: Path, kills: int) -> None:
    """Until the other process has committed more than before: the kill falls amid its work."""
    evidence = Evidence(path)
    while evidence.counters().get("events", 0) < 300 * (kills + 1):
        pass
    evidence.close()

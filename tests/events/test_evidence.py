import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from trimtab.errors import ConfigError
from trimtab.events.evidence import Evidence
from trimtab.stats.quantiles import BucketHistogram

from .samples import NOW, PLAN_ID, Sender, fold_of

SHA = "a" * 64


def test_a_plan_without_events_has_no_epochs(tmp_path: Path) -> None:
    assert Evidence(tmp_path / "e.db").totals(["p", "q"]) == {"p": [], "q": []}


def test_totals_come_by_epoch_with_both_sides(tmp_path: Path) -> None:
    send = Sender()
    evidence = fold_of(
        tmp_path,
        [
            send.exposure("u", "control", 2),
            send.exposure("v", "treatment", 2),
            send.exposure("w", "control", 1),
        ],
    )

    (first, second) = evidence.totals([PLAN_ID])[PLAN_ID]

    assert (first.epoch, sorted(first.sides)) == (1, ["control"])
    assert (second.epoch, sorted(second.sides)) == (2, ["control", "treatment"])


def test_history_counts_a_version_in_plans_and_outside(tmp_path: Path) -> None:
    send = Sender()
    plain = {"status": "upstream_error", "flagged": True, "latency_ms": 800.0}
    evidence = fold_of(
        tmp_path,
        [
            send.generation("u", "control"),
            send.event("generation", **plain),
            send.event("generation", **plain | {"status": "client_abort"}),
            send.event("generation", **plain | {"sha": "b" * 64}),
        ],
    )

    history = evidence.history("prod", "support.reply", SHA, since=NOW - timedelta(hours=2))

    assert (history.n_requests, history.k_failed, history.n_failed) == (2, 1, 2)
    assert (history.k_flagged, history.n_flagged) == (2, 3)
    assert BucketHistogram.decode(history.latency_ms) == BucketHistogram.of([400.0, 800.0])


def test_history_begins_with_the_hour_it_is_asked_from(tmp_path: Path) -> None:
    evidence = fold_of(tmp_path, [Sender().generation("u", "control")])  # at 11:30:01

    def n_since(hours: float) -> int:
        since = NOW - timedelta(hours=hours)
        return evidence.history("prod", "support.reply", SHA, since=since).n_requests

    assert (n_since(0.6), n_since(0.4)) == (1, 0)


def test_history_of_an_unknown_version_is_empty(tmp_path: Path) -> None:
    history = Evidence(tmp_path / "e.db").history("prod", "p", SHA, since=NOW)

    assert (history.n_requests, history.latency_ms) == (0, b"")


def test_a_rollup_sums_each_version(tmp_path: Path) -> None:
    send = Sender()
    call = {"status": "ok", "latency_ms": 100.0, "input_tokens": 7, "output_tokens": 3}
    evidence = fold_of(
        tmp_path,
        [
            send.event("generation", **call, cost_usd=0.5, flagged=True),
            send.event("generation", **call, flagged=False),
            send.event("generation", **call, sha="b" * 64, version="2.0.0"),
        ],
    )

    first, second = evidence.rollup("prod", prompt="support.reply")

    assert (first.version, first.n, first.mean_latency_ms, first.input_tokens) == (
        "1.0.0",
        2,
        100.0,
        14,
    )
    assert (first.cost_usd, first.flagged_rate, first.error_rate) == (0.5, 0.5, 0.0)
    assert first.p95_latency_ms == pytest.approx(100.0, rel=0.01)
    assert (second.version, second.cost_usd, second.flagged_rate) == ("2.0.0", None, None)


def test_a_rollup_knows_environments_and_prompts_apart(tmp_path: Path) -> None:
    evidence = fold_of(tmp_path, [Sender().generation("u", "control")])

    assert evidence.rollup("dev") == []
    assert evidence.rollup("prod", prompt="other") == []


def test_what_happened_after_its_receipt_counts_at_its_receipt(tmp_path: Path) -> None:
    ahead = {"occurred_at": "2031-01-01T00:00:00.000000Z"}

    evidence = fold_of(tmp_path, [Sender().generation("u", "control") | ahead])

    since = NOW + timedelta(hours=1)
    assert evidence.history("prod", "support.reply", SHA, since=since).n_requests == 0


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "e.db")

    def fail() -> None:
        with evidence.rows() as rows:
            rows.count("events", times=3)
            rows.advance("host-1-1", start=0, end=9, seq=1)
            rows.advance("host-2-2", start=0, end=9, seq=1)

    with pytest.raises(sqlite3.IntegrityError):
        fail()
    assert (evidence.counters(), evidence.offsets(), evidence.commits()) == ({}, {}, [])


def test_pieces_that_follow_each_other_are_one_range(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "e.db")
    for journal, start, end in (("a", 0, 5), ("a", 5, 9), ("b", 0, 4), ("a", 9, 12)):
        with evidence.rows() as rows:
            rows.advance(journal, start=start, end=end, seq=None)

    ranges = [(one.seq, one.journal, one.start, one.end) for one in evidence.commits()]

    assert ranges == [(1, "a", 0, 9), (2, "b", 0, 4), (3, "a", 9, 12)]


def test_a_file_of_another_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "e.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(ConfigError, match=r"format 99.*rebuilt"):
        Evidence(tmp_path / "e.db")


def test_evidence_survives_being_closed_and_opened(tmp_path: Path) -> None:
    evidence = fold_of(tmp_path, [Sender().generation("u", "control")])
    before = evidence.totals([PLAN_ID])
    evidence.close()

    assert Evidence(tmp_path / "evidence.db").totals([PLAN_ID]) == before


def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    path.write_bytes(b"this is no database, and long enough to be read as one" * 100)

    with pytest.raises(ConfigError, match="delete it"):
        Evidence(path)

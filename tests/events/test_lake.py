from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold
from trimtab.events.lake import Lake
from trimtab.events.view import connect

from .samples import NOW, PLAN_ID, UNIT_KEY, Sender, Sent, lines_of, plans, write_journal


def lake_of(folder: Path, events: list[Sent], *, environment: str = "prod") -> Lake:
    write_journal(folder / "journals", lines_of(events, environment=environment))
    return Lake(folder / "lake", journals=folder / "journals")


def compacted(folder: Path, lake: Lake) -> None:
    evidence = Evidence(folder / "evidence.db")
    Fold(evidence, lake.journals, plans=plans).step()
    assert lake.compact(evidence).journals == 1


@pytest.mark.parametrize("in_parquet", [False, True])
def test_a_rollup_agrees_with_sums_made_by_hand(tmp_path: Path, in_parquet: bool) -> None:  # noqa: FBT001 - pytest names it
    events = Sender().traffic(200)
    lake = lake_of(tmp_path, events)
    if in_parquet:
        compacted(tmp_path, lake)
    calls = [one for one in events if one["kind"] == "generation"]
    timed = sorted(c["latency_ms"] for c in calls if c["status"] in {"ok", "timeout"})

    (found,) = lake.rollup_by_version("prod", prompt="support.reply")

    assert (found.version, found.n) == ("1.0.0", 200)
    assert found.mean_latency_ms == pytest.approx(sum(timed) / len(timed))
    assert found.p95_latency_ms == timed[-(-len(timed) * 95 // 100) - 1]
    assert found.input_tokens == sum(c["input_tokens"] for c in calls)
    assert found.cost_usd == pytest.approx(sum(c["cost_usd"] or 0.0 for c in calls))
    said = [c["flagged"] for c in calls if c["flagged"] is not None]
    assert found.flagged_rate == pytest.approx(sum(said) / len(said))
    n_timeout = sum(c["status"] == "timeout" for c in calls)
    assert found.error_rate == pytest.approx(n_timeout / len(timed))


def test_a_rollup_can_be_cut_by_time_and_environment(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [Sender().generation("u", "control")])  # at 11:30:01
    at = NOW - timedelta(minutes=59, seconds=59)

    assert len(lake.rollup_by_version(since=at, until=at + timedelta(seconds=1))) == 1
    assert lake.rollup_by_version(until=at) == []
    assert lake.rollup_by_version(since=at + timedelta(seconds=1)) == []
    assert lake.rollup_by_version("dev") == []


def test_an_empty_lake_answers_with_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", journals=tmp_path / "journals")

    assert lake.rollup_by_version() == []
    assert lake.find_requests(["x"]) == {}
    assert lake.plan_exposures("p").treated_units == 0


def test_an_event_sent_twice_is_one_row_in_journals_and_in_parquet(tmp_path: Path) -> None:
    event = Sender().generation("u", "control")
    lake = lake_of(tmp_path, [event])
    compacted(tmp_path, lake)
    write_journal(lake.journals, lines_of([event, event]), name="host-2-2")

    assert lake.count_requests() == {"prod": 1}


def test_events_appended_after_a_question_are_in_the_next_answer(tmp_path: Path) -> None:
    sender = Sender()
    lake = lake_of(tmp_path, [sender.generation("u", "control")])
    before = lake.count_requests()

    write_journal(lake.journals, lines_of([sender.generation("u", "control")]))

    assert (before, lake.count_requests()) == ({"prod": 1}, {"prod": 2})


def test_a_question_asked_while_a_journal_is_compacted_misses_nothing(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, Sender().traffic(20))
    evidence = Evidence(tmp_path / "evidence.db")
    Fold(evidence, lake.journals, plans=plans).step()
    answers = []

    lake.compact(evidence, step=lambda _: answers.append(lake.count_requests()))

    assert answers == [{"prod": 20}] * 4


def test_a_request_is_found_by_its_id_and_by_an_id_of_the_callers(tmp_path: Path) -> None:
    sender = Sender()
    ids = [sender.event_id(), "order-7"]
    lake = lake_of(
        tmp_path,
        [sender.generation("u", "treatment", 2, request_id=one) for one in ids]
        + [sender.exposure("u", "treatment", 2, request_id=ids[0])],
    )

    found = lake.find_requests([*ids, "order-8", sender.event_id()], since=NOW.date())

    assert sorted(found) == sorted(ids)
    facts = found[ids[0]]
    assert (facts.plan_id, facts.epoch, facts.variant) == (PLAN_ID, 2, "treatment")
    assert (facts.environment, facts.unit_key) == ("prod", UNIT_KEY("user", "u"))


def test_all_events_of_a_request_come_in_order(tmp_path: Path) -> None:
    sender = Sender()
    request = sender.event_id()
    sent = [
        sender.exposure("u", "control", request_id=request),
        sender.generation("u", "control", request_id=request),
        sender.event("feedback", name="thumb", label="down", request_id=request),
    ]
    lake = lake_of(tmp_path, [*reversed(sent), sender.generation("u", "control")])

    found = lake.events_of(request)

    assert [one["kind"] for one in found] == ["exposure", "generation", "feedback"]
    assert found[2]["label"] == "down"
    assert found[0]["occurred_at"] == datetime(2026, 3, 4, 11, 30, 1, tzinfo=UTC)
    assert "unit_id" not in found[0]


def test_the_newest_events_of_a_unit_come_first(tmp_path: Path) -> None:
    sender = Sender()
    lake = lake_of(tmp_path, [sender.generation(u, "control") for u in ("u", "v", "u", "u")])

    found = lake.events_of_unit(UNIT_KEY("user", "u"), limit=2)

    assert [one["occurred_at"].second for one in found] == [4, 3]


def test_exposures_of_a_plan_are_distinct_units_and_requests_before_an_instant(
    tmp_path: Path,
) -> None:
    sender = Sender()
    first, second = sender.event_id(), sender.event_id()
    lake = lake_of(
        tmp_path,
        [
            sender.exposure("u", "treatment", request_id=first),
            sender.generation("u", "treatment", request_id=first),
            sender.generation("u", "treatment", request_id=second),
            sender.exposure("v", "control"),
        ],
    )

    found = lake.plan_exposures(PLAN_ID, until=NOW + timedelta(seconds=1))

    assert (found.treated_units, found.treated_requests, found.control_units) == (1, 2, 1)
    assert found.first_treated_at == NOW
    before = lake.plan_exposures(PLAN_ID, until=NOW)
    assert (before.treated_units, before.first_treated_at) == (0, None)


def test_feedback_counts_for_the_version_that_served_its_request(tmp_path: Path) -> None:
    sender = Sender()
    request = sender.event_id()
    bare = {"prompt": None, "version": None, "sha": None, "request_id": request}
    lake = lake_of(
        tmp_path,
        [
            sender.generation("u", "control", request_id=request),
            sender.event("feedback", name="thumb", label="down", value=-1.0) | bare,
            sender.event("feedback", name="thumb", label="down") | bare,
        ],
    )

    (found,) = lake.feedback_by_version("prod", prompt="support.reply")

    assert (found.version, found.label, found.n, found.mean_value) == ("1.0.0", "down", 2, -1.0)


def test_nothing_is_loaded_from_the_network() -> None:
    settings = dict(
        connect()
        .execute("SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%extensions'")
        .fetchall()
    )

    assert settings == {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }

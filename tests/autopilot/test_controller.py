import logging
from collections.abc import Callable

import pytest

from tests.registry.house import PROMPT
from trimtab.registry.ledger import Published
from trimtab.registry.plan_rows import PlanRecord

from .cockpit import Cockpit, verdicts


def _climb(cockpit: Cockpit) -> PlanRecord:
    """A plan whose first step has had its time and its units."""
    plan = cockpit.begin()
    cockpit.send(plan, flagged=0.05)
    cockpit.house.clock.pass_by(seconds=6)
    return plan


def test_a_step_that_is_over_is_left_and_the_audit_log_says_why(cockpit: Cockpit) -> None:
    plan = _climb(cockpit)

    [sight] = cockpit.tick()

    assert sight.action.kind == "advance"
    assert cockpit.detail(plan).plan.step == 1
    [row] = cockpit.house.registry.audit.rows(action="advance_plan")
    assert (row.actor, row.details["why"]) == ("autopilot", sight.action.why)
    assert row.details["evidence"]["n_treated"] == 80


def test_the_last_step_makes_the_candidate_the_release(cockpit: Cockpit) -> None:
    plan = _climb(cockpit)
    cockpit.tick()
    cockpit.send(plan, flagged=0.05, treated=150, epoch=2)
    cockpit.house.clock.pass_by(seconds=6)

    cockpit.tick()

    assert cockpit.detail(plan).plan.status == "completed"
    assert cockpit.house.registry.board.history("dev", PROMPT)[0].sha == plan.candidate
    assert cockpit.tick() == []


def test_harm_takes_the_candidate_back_and_marks_it(cockpit: Cockpit) -> None:
    plan = cockpit.begin()
    cockpit.send(plan, flagged=0.5)

    [sight] = cockpit.tick()

    assert sight.action.guardrail == "flagged_rate > 1.5x"
    end = cockpit.detail(plan).moves[-1]
    assert (end.action, end.status, end.actor) == ("take_back", "rolled_back", "autopilot")
    assert end.evidence["assessment"]["verdict"] == "breach"


def test_what_comes_after_the_end_is_counted_and_changes_nothing(cockpit: Cockpit) -> None:
    plan = cockpit.begin()
    cockpit.send(plan, flagged=0.5)
    [seen] = cockpit.tick()
    cockpit.send(plan, flagged=0.5, treated=100)

    assert cockpit.tick() == []

    ended = cockpit.detail(plan).plan
    sight = cockpit.controller.look(ended)
    assert sight is not None
    assert (seen.n_treated, sight.n_treated) == (80, 100)
    assert ended.status == "rolled_back"


def test_ticks_that_only_hold_write_nothing(cockpit: Cockpit) -> None:
    plan = cockpit.begin()
    cockpit.send(plan, flagged=0.05, treated=20)
    before = cockpit.house.registry.audit.rows(limit=1)

    kinds = {sight.action.kind for _ in range(5) for sight in cockpit.tick()}

    assert kinds == {"hold"}
    assert cockpit.house.registry.audit.rows(limit=1) == before


def test_a_breach_while_paused_takes_the_candidate_back(cockpit: Cockpit) -> None:
    plan = _climb(cockpit)
    cockpit.house.registry.progress.pause(cockpit.house.admin, plan.id, why="lunch")
    assert [sight.action.kind for sight in cockpit.tick()] == ["hold"]

    cockpit.send(plan, flagged=0.6, treated=81)
    cockpit.tick()

    assert cockpit.detail(plan).plan.status == "rolled_back"


def test_a_plan_that_only_holds_at_a_breach_is_paused_once(cockpit: Cockpit) -> None:
    plan = cockpit.begin(on_breach="hold")
    cockpit.send(plan, flagged=0.5)

    kinds = [sight.action.kind for _ in range(3) for sight in cockpit.tick()]

    assert kinds == ["pause", "hold", "hold"]
    assert [move.action for move in cockpit.detail(plan).moves] == ["create", "start", "pause"]


def test_it_does_not_climb_while_the_evidence_is_behind(cockpit: Cockpit) -> None:
    plan = _climb(cockpit)
    cockpit.fold.step()
    cockpit.monotonic += 60.0

    [sight] = cockpit.controller.tick()

    assert sight.action.why.endswith("the evidence is 60 s behind")
    assert cockpit.detail(plan).plan.step == 0
    assert [sight.action.kind for sight in cockpit.tick()] == ["advance"]


def test_one_plan_that_cannot_be_judged_stops_no_other(
    cockpit: Cockpit, caplog: pytest.LogCaptureFixture
) -> None:
    broken = cockpit.begin()
    sound = cockpit.begin(prompt="support.summary")
    for plan in (broken, sound):
        cockpit.send(plan, flagged=0.5)
    cockpit.fold.step()
    with cockpit.evidence.transaction() as cursor:
        # As if the registry were restored from a copy that does not know the epoch.
        cursor.execute("UPDATE epoch_totals SET epoch = 7 WHERE plan_id = ?", (broken.id,))

    for _ in range(3):
        cockpit.tick()

    assert cockpit.detail(broken).plan.status == "running"
    assert cockpit.detail(sound).plan.status == "rolled_back"
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "totals of epochs [7]" in record.message


def test_a_person_who_was_quicker_is_left_alone(
    cockpit: Cockpit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = cockpit.begin()
    second = cockpit.begin(prompt="support.summary")
    for plan in (first, second):
        cockpit.send(plan, flagged=0.5)

    def abort(published: Published) -> None:
        """In the midst of the tick: after the second plan was read, before it is moved."""
        assert published.environment == "dev"
        stop()
        cockpit.house.registry.progress.abort(cockpit.house.admin, second.id, why="enough")

    stop: Callable[[], None] = cockpit.house.registry.on_publish(abort)
    cockpit.tick()

    assert cockpit.detail(first).plan.status == "rolled_back"
    assert cockpit.detail(second).plan.status == "aborted"
    left = [line for line in caplog.messages if "left plan" in line]
    assert len(left) == 1
    assert "aborted, want running or paused" in left[0]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_restart_changes_no_verdict(cockpit: Cockpit) -> None:
    plan = cockpit.begin()
    cockpit.send(plan, flagged=0.15)
    before = cockpit.tick()

    cockpit.restart()

    assert verdicts(cockpit.tick()) == verdicts(before)


def test_a_change_of_the_registry_is_seen_at_the_next_tick(cockpit: Cockpit) -> None:
    assert cockpit.tick() == []
    plan = cockpit.begin()
    assert [sight.share for sight in cockpit.tick()] == [1_000]

    cockpit.house.registry.progress.advance(cockpit.house.admin, plan.id)
    assert [sight.share for sight in cockpit.tick()] == [5_000]

    cockpit.house.registry.progress.abort(cockpit.house.admin, plan.id)
    assert cockpit.tick() == []


def test_a_draft_has_nothing_to_look_at(cockpit: Cockpit) -> None:
    cockpit.house.push("One.", "Two.")
    cockpit.house.promote("1.0.0")
    draft = cockpit.house.registry.plans.create(cockpit.house.admin, cockpit.house.plan_file())

    assert cockpit.controller.look(draft) is None

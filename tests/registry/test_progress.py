import math

import pytest

from trimtab.errors import Conflict, Forbidden, UnknownPlan
from trimtab.registry.plan_rows import PlanRecord
from trimtab.registry.principals import AUTOPILOT

from .house import PROMPT, House


@pytest.fixture
def plan(house: House) -> PlanRecord:
    """A running plan from 1.0.0 to 1.1.0 in dev."""
    house.push("One.", "Two.")
    house.promote("1.0.0")
    return house.start("1.1.0")


def test_the_next_step_is_the_next_epoch_with_the_same_seed(house: House, plan: PlanRecord) -> None:
    house.clock.pass_by(seconds=5)

    moved = house.registry.progress.advance(AUTOPILOT, plan.id, step=1, why="held and passed")

    assert (moved.step, moved.epoch, moved.share, moved.seed) == (1, 2, 5000, plan.seed)
    assert moved.step_started_at == house.clock.now
    assert house.registry.plans.get(plan.id).epochs[1].first_revision == (
        house.registry.publisher.revision("dev")
    )


def test_a_step_that_is_not_the_next_one_is_a_conflict(house: House, plan: PlanRecord) -> None:
    house.registry.progress.advance(AUTOPILOT, plan.id, step=1)
    with pytest.raises(Conflict, match="is in step 2 of 2, so step 2 is not the next one"):
        house.registry.progress.advance(AUTOPILOT, plan.id, step=1)


def test_finishing_moves_the_pointer_for_those_who_approved(house: House) -> None:
    house.push("One.", "Two.")
    for environment in ("dev", "staging"):
        house.promote("1.1.0", environment)
        house.promote("1.0.0", environment)
    house.promote("1.0.0", "prod")
    plan = house.start("1.1.0", "prod")

    done = house.registry.progress.finish(AUTOPILOT, plan.id, why="every step held")

    assert done.status == "completed"
    move = house.registry.board.history("prod", PROMPT)[0]
    assert (move.sha, move.kind, move.generation, move.actor) == (
        plan.candidate,
        "finish",
        2,
        "autopilot",
    )
    [row] = house.registry.audit.rows(action="finish_plan")
    assert row.details["acting_for"] == ["approver"]
    assert house.registry.publisher.payload("prod").trimtab.plans == {}  # type: ignore[union-attr]  # ours always has it


def test_advancing_from_the_last_step_finishes(house: House, plan: PlanRecord) -> None:
    house.registry.progress.advance(house.admin, plan.id)

    assert house.registry.progress.advance(house.admin, plan.id).status == "completed"
    assert house.registry.board.generation("dev", PROMPT) == 2


def test_taking_back_leaves_the_baseline_and_keeps_the_evidence(
    house: House, plan: PlanRecord
) -> None:
    evidence = {"guardrail": "flagged_rate > 1.5x", "e_breach": math.inf, "k": [17, 3]}

    done = house.registry.progress.take_back(AUTOPILOT, plan.id, why="breach", evidence=evidence)

    assert done.status == "rolled_back"
    assert house.registry.board.generation("dev", PROMPT) == 1
    [row] = house.registry.audit.rows(action="take_back_plan")
    assert row.details["evidence"] == {
        "guardrail": "flagged_rate > 1.5x",
        "e_breach": "inf",
        "k": [17, 3],
    }
    assert house.registry.plans.get(plan.id).moves[-1].evidence["k"] == [17, 3]


def test_a_pause_keeps_the_traffic_divided_and_publishes_nothing(
    house: House, plan: PlanRecord
) -> None:
    revision = house.registry.publisher.revision("dev")

    paused = house.registry.progress.pause(house.admin, plan.id, why="lunch")

    assert (paused.status, paused.share) == ("paused", 1000)
    assert house.registry.publisher.revision("dev") == revision
    assert [running.id for running in house.registry.plans.running()] == [plan.id]
    with pytest.raises(Conflict, match="is paused, want running"):
        house.registry.progress.advance(AUTOPILOT, plan.id)


def test_a_resume_keeps_seed_and_epoch_and_holds_anew(house: House, plan: PlanRecord) -> None:
    house.registry.progress.pause(house.admin, plan.id)
    house.clock.pass_by(hours=1)

    resumed = house.registry.progress.resume(house.admin, plan.id)

    assert (resumed.status, resumed.seed, resumed.epoch) == ("running", plan.seed, 1)
    assert resumed.step_started_at == house.clock.now


def test_a_new_plan_takes_its_own_seed(house: House, plan: PlanRecord) -> None:
    house.registry.progress.abort(house.admin, plan.id)

    assert house.start("1.1.0").seed != plan.seed


@pytest.mark.parametrize("end", ["abort", "take_back", "finish"])
def test_an_ended_plan_stays_ended(house: House, plan: PlanRecord, end: str) -> None:
    progress = house.registry.progress
    getattr(progress, end)(house.admin, plan.id, why="enough")

    for name in ("advance", "pause", "resume", "finish", "abort", "take_back"):
        with pytest.raises(Conflict, match="the last change was by admin: enough"):
            getattr(progress, name)(house.admin, plan.id, why="again")


def test_a_draft_can_be_given_up(house: House, plan: PlanRecord) -> None:
    draft = house.registry.plans.create(house.admin, house.plan_file("1.1.0"))

    assert house.registry.progress.abort(house.admin, draft.id).status == "aborted"
    with pytest.raises(Conflict, match="is aborted, no draft"):
        house.registry.plans.start(house.admin, draft.id)
    assert house.registry.plans.get(plan.id).plan.status == "running"


def test_progress_needs_the_scope_and_a_plan(house: House, plan: PlanRecord) -> None:
    for name in ("advance", "pause", "finish", "abort", "take_back"):
        move = getattr(house.registry.progress, name)
        with pytest.raises(Forbidden):
            move(house.approver, plan.id, why="me too")
        with pytest.raises(UnknownPlan):
            move(house.admin, "id-x", why="which?")

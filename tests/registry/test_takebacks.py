import pytest

from trimtab.errors import (
    Forbidden,
    NothingToRollBackTo,
    PolicyNotMet,
    StaleGeneration,
    UnknownPrompt,
)
from trimtab.registry.principals import AUTOPILOT
from trimtab.registry.status import PromptStatus
from trimtab.registry.takebacks import TakenBack

from .house import PROMPT, House


def _rollback(
    house: House, *, from_generation: int | None = None, again: bool = False
) -> TakenBack:
    return house.registry.takebacks.rollback(
        house.admin,
        environment="dev",
        prompt=PROMPT,
        from_generation=from_generation,
        again=again,
        why="it hurts",
    )


def _kill(house: House) -> TakenBack:
    return house.registry.takebacks.kill(
        house.admin, environment="dev", prompt=PROMPT, why="it burns"
    )


def _unkill(house: House) -> TakenBack:
    return house.registry.takebacks.unkill(house.admin, environment="dev", prompt=PROMPT)


def _status(house: House) -> PromptStatus:
    [found] = house.registry.board.status(environment="dev").environments
    [prompt] = found.prompts
    return prompt


@pytest.fixture
def shas(house: House) -> list[str]:
    """Three versions, promoted in dev one after the other."""
    found = house.push("One.", "Two.", "Three.")
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        house.promote(version)
        house.clock.pass_by(minutes=1)
    return found


def test_rollback_goes_to_the_last_good_release(house: House, shas: list[str]) -> None:
    done = _rollback(house)

    assert (done.already, done.live, done.taken_back, done.generation) == (
        False,
        shas[1],
        shas[2],
        4,
    )


def test_what_was_taken_back_is_not_gone_back_to(house: House, shas: list[str]) -> None:
    _rollback(house)
    _rollback(house, again=True)

    status = _status(house)
    assert (status.generation, status.last_good) == (5, None)
    assert house.registry.versions.resolve(PROMPT, environment="dev").sha == shas[0]


def test_promoting_it_again_clears_the_mark(house: House, shas: list[str]) -> None:
    _rollback(house)
    house.promote("1.2.0")
    house.promote("1.0.0")

    last_good = _status(house).last_good
    assert last_good is not None
    assert last_good.sha == shas[2]


@pytest.mark.usefixtures("shas")
def test_a_second_call_within_ten_minutes_changes_nothing(house: House) -> None:
    _rollback(house)
    revision = house.registry.publisher.revision("dev")
    house.clock.pass_by(minutes=9)

    second = _rollback(house)

    assert (second.already, second.generation) == (True, 4)
    assert house.registry.publisher.revision("dev") == revision


@pytest.mark.usefixtures("shas")
def test_a_call_after_ten_minutes_goes_one_further(house: House) -> None:
    _rollback(house)
    house.clock.pass_by(minutes=11)

    assert _rollback(house).generation == 5


@pytest.mark.usefixtures("shas")
def test_a_call_that_names_what_was_taken_back_is_done_already(house: House) -> None:
    _rollback(house, from_generation=3)
    house.clock.pass_by(hours=2)

    assert _rollback(house, from_generation=3).already


@pytest.mark.usefixtures("shas")
def test_a_call_that_names_what_is_no_longer_live_shows_the_other_move(house: House) -> None:
    house.promote("1.0.0")
    with pytest.raises(StaleGeneration) as caught:
        _rollback(house, from_generation=3)
    assert caught.value.move["generation"] == 4


def test_without_an_earlier_release_the_versions_are_listed(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")
    with pytest.raises(NothingToRollBackTo, match=r"1\.0\.0, 1\.1\.0"):
        _rollback(house)


def test_a_running_plan_is_aborted_and_the_baseline_stays(house: House, shas: list[str]) -> None:
    plan = house.start("1.1.0")

    done = _rollback(house)

    assert (done.plan, done.taken_back, done.live) == (plan.id, shas[1], shas[2])
    assert house.registry.plans.get(plan.id).plan.status == "aborted"
    assert _rollback(house).already


def test_a_rollback_right_after_the_autopilots_spares_the_baseline(
    house: House, shas: list[str]
) -> None:
    plan = house.start("1.1.0")
    house.registry.progress.take_back(AUTOPILOT, plan.id, why="flagged twice as often")
    house.clock.pass_by(seconds=20)

    done = _rollback(house)

    assert (done.already, done.live) == (True, shas[2])


@pytest.mark.parametrize("by", ["autopilot", "person"])
def test_a_candidate_that_was_taken_back_is_not_gone_back_to(
    house: House, shas: list[str], by: str
) -> None:
    plan = house.start("1.1.0")
    if by == "person":
        _rollback(house)
    else:
        house.registry.progress.take_back(AUTOPILOT, plan.id, why="flagged twice as often")

    status = _status(house)
    assert status.last_good is not None
    assert status.last_good.sha == shas[0]
    assert _rollback(house, again=True).live == shas[0]


def test_a_plain_abort_and_a_kill_leave_no_mark(house: House, shas: list[str]) -> None:
    house.registry.progress.abort(house.admin, house.start("1.1.0").id)
    house.start("1.1.0")
    _kill(house)
    _unkill(house)

    assert _rollback(house).live == shas[1]


def test_a_candidate_that_was_taken_back_may_be_tried_again_with_a_warning(
    house: House, shas: list[str]
) -> None:
    house.registry.progress.take_back(AUTOPILOT, house.start("1.1.0").id, why="a false alarm")
    draft = house.registry.plans.create(house.admin, house.plan_file("1.1.0"))

    started = house.registry.plans.start(house.admin, draft.id)

    [warning] = started.warnings
    assert warning == (
        'candidate "1.1.0" was taken back in dev before; this plan tries it again, and completing '
        "it clears the mark"
    )
    house.registry.progress.finish(AUTOPILOT, draft.id)
    house.promote("1.2.0")
    assert _rollback(house).live == shas[1]


@pytest.mark.usefixtures("shas")
def test_a_candidate_taken_back_below_must_be_promoted_there_again(house: House) -> None:
    house.registry.progress.take_back(AUTOPILOT, house.start("1.1.0").id, why="slower")

    with pytest.raises(PolicyNotMet, match=r"1\.1\.0 was taken back in dev"):
        house.registry.plans.start(house.admin, _staged_plan(house))


def _staged_plan(house: House) -> str:
    """A draft of 1.1.0 in staging, where 1.2.0 is live."""
    house.promote("1.2.0", "staging")
    return house.registry.plans.create(house.admin, house.plan_file("1.1.0", "staging")).id


def test_a_kill_serves_the_last_good_and_moves_no_pointer(house: House, shas: list[str]) -> None:
    done = _kill(house)

    assert (done.killed, done.serving, done.live, done.generation) == (True, shas[1], shas[2], 3)
    status = _status(house)
    assert (status.killed_by, status.killed_why) == ("admin", "it burns")


def test_a_kill_during_a_plan_serves_its_baseline(house: House, shas: list[str]) -> None:
    plan = house.start("1.1.0")

    done = _kill(house)

    assert (done.serving, done.plan) == (shas[2], plan.id)
    assert house.registry.plans.running() == []


def test_a_kill_with_nothing_to_serve_leaves_the_feature_out(house: House) -> None:
    house.push("One.")
    house.promote("1.0.0")

    done = _kill(house)

    payload = house.registry.publisher.payload("dev")
    assert done.serving is None
    assert payload.features == {}


@pytest.mark.usefixtures("shas")
def test_killing_twice_and_unkilling_twice_change_nothing_more(house: House) -> None:
    assert [_kill(house).already, _kill(house).already] == [False, True]
    revision = house.registry.publisher.revision("dev")
    assert [_unkill(house).already, _unkill(house).already] == [False, True]
    assert house.registry.publisher.revision("dev") == revision + 1


def test_unkill_serves_live_again(house: House, shas: list[str]) -> None:
    _kill(house)
    house.promote("1.0.0")

    assert _status(house).serving != _status(house).live
    assert _unkill(house).serving == shas[0]


@pytest.mark.usefixtures("shas")
def test_taking_back_needs_the_scope_and_the_prompt(house: House) -> None:
    takebacks = house.registry.takebacks
    for call in (takebacks.rollback, takebacks.kill, takebacks.unkill):
        with pytest.raises(Forbidden):
            call(house.approver, environment="dev", prompt=PROMPT)
        with pytest.raises(UnknownPrompt):
            call(house.admin, environment="dev", prompt="nobody")


@pytest.mark.usefixtures("shas")
def test_who_and_why_stand_in_the_audit_log(house: House) -> None:
    _rollback(house)
    _kill(house)

    rows = house.registry.audit.rows(prompt=PROMPT, limit=2)

    assert [(row.action, row.actor, row.details["why"]) for row in rows] == [
        ("kill", "admin", "it burns"),
        ("rollback", "admin", "it hurts"),
    ]

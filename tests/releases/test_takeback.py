from datetime import datetime, timedelta

import pytest

from tests.releases.histories import START, history, life
from trimtab.errors import NothingToRollBackTo, StaleGeneration
from trimtab.releases.release import Move, replay
from trimtab.releases.takeback import (
    RollbackStep,
    Switch,
    TakeBack,
    is_killed,
    kill_serving,
    kill_step,
    rollback_step,
    rollback_target,
    serving_sha,
)

NOW = START + timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def step(
    moves: list[Move],
    newest: TakeBack | None = None,
    *,
    plan_running: bool = False,
    from_generation: int | None = None,
    again: bool = False,
    now: datetime = NOW,
) -> RollbackStep:
    return rollback_step(
        moves,
        newest,
        prompt="a",
        plan_running=plan_running,
        from_generation=from_generation,
        again=again,
        now=now,
    )


def taken(from_generation: int, to_generation: int, *, minutes_ago: float) -> TakeBack:
    return TakeBack(
        at=NOW - minutes_ago * MINUTE,
        from_generation=from_generation,
        to_generation=to_generation,
    )


def kill(serving: str | None) -> Switch:
    return Switch(kind="kill", at=NOW, actor="ann", why="harm", serving=serving)


UNKILL = Switch(kind="unkill", at=NOW, actor="ann", why="fixed")


def test_a_rollback_goes_to_the_last_good_release() -> None:
    state = replay(history("A", "B"))

    assert rollback_target(state, prompt="a", environment="prod", versions=["1.0.0"]) == "A"


def test_nothing_to_roll_back_to_lists_what_could_be_promoted() -> None:
    state = replay(history("A"))

    with pytest.raises(NothingToRollBackTo, match=r"\(1\.0\.0, 1\.1\.0\) or kill it"):
        rollback_target(state, prompt="a", environment="prod", versions=["1.0.0", "1.1.0"])


def test_a_running_plan_is_aborted_and_the_pointer_stays() -> None:
    assert step(history("A"), plan_running=True) == "abort_plan"


def test_without_a_plan_the_pointer_moves() -> None:
    assert step(history("A", "B")) == "move"
    assert step(history("A", "B"), from_generation=2) == "move"


BACK = history("A", "B", "C", "back")  # C taken back as generation 3, B live as 4


@pytest.mark.parametrize(
    ("minutes_ago", "from_generation", "again", "want"),
    [
        (1, None, False, "already"),
        (11, None, False, "move"),
        (1, None, True, "move"),
        (1, 3, False, "already"),
        (600, 3, False, "already"),
        (1, 4, False, "move"),
    ],
)
def test_a_second_call_changes_nothing_unless_it_is_meant(
    minutes_ago: float,
    from_generation: int | None,
    again: bool,  # noqa: FBT001
    want: str,
) -> None:
    newest = taken(3, 4, minutes_ago=minutes_ago)

    assert step(BACK, newest, from_generation=from_generation, again=again) == want


def test_after_a_promotion_a_call_is_a_first_one_again() -> None:
    moves = history("A", "B", "C", "back", "D")

    assert step(moves, taken(3, 4, minutes_ago=1)) == "move"


@pytest.mark.parametrize("from_generation", [None, 2])
def test_a_double_click_that_aborts_a_plan_does_not_move_the_pointer_as_well(
    from_generation: int | None,
) -> None:
    moves = history("A", "B")
    aborted = taken(2, 2, minutes_ago=1)

    assert step(moves, aborted, from_generation=from_generation) == "already"
    assert step(moves, aborted, from_generation=from_generation, again=True) == "move"
    assert step(moves, taken(2, 2, minutes_ago=11), from_generation=from_generation) == "move"


def test_a_plan_started_since_is_aborted_too() -> None:
    assert step(history("A"), taken(1, 1, minutes_ago=1), plan_running=True) == "abort_plan"


def test_a_version_that_was_promoted_over_is_not_taken_back_unseen() -> None:
    with pytest.raises(StaleGeneration, match="generation 3, not 2"):
        step(history("A", "B", "C"), from_generation=2)


def test_a_version_that_came_back_to_life_is_not_called_taken_back() -> None:
    moves = history("A", "B", "back", "B")

    with pytest.raises(StaleGeneration):
        step(moves, taken(2, 3, minutes_ago=1), from_generation=2)


def test_a_generation_that_never_was_is_stale() -> None:
    with pytest.raises(StaleGeneration):
        step(history("A", "B"), from_generation=9)


def test_a_kill_serves_the_plans_baseline_else_the_last_good_release_else_nothing() -> None:
    two, one = replay(history("A", "B")), replay(history("A"))

    assert kill_serving(two, baseline="B") == "B"
    assert kill_serving(two, baseline=None) == "A"
    assert kill_serving(one, baseline=None) is None


def test_the_kill_switch_decides_what_is_served_while_it_is_on() -> None:
    state = replay(history("A", "B"))

    served = [serving_sha(state, switch) for switch in (None, kill("A"), kill(None), UNKILL)]

    assert served == ["B", "A", None, "B"]


def test_a_promotion_while_killed_does_not_bring_back_what_was_killed() -> None:
    switch = kill(kill_serving(replay(history("A", "B")), baseline=None))

    after = replay(history("A", "B", "C"))

    assert after.last_good == "B"
    assert serving_sha(after, switch) == "A"


def test_killing_twice_is_killing_once() -> None:
    moves = history("A", "B")

    steps = [
        kill_step(moves, switch, prompt="a", from_generation=given)
        for switch, given in ((None, None), (None, 2), (UNKILL, None), (kill("A"), None))
    ]

    assert steps == ["kill", "kill", "kill", "already"]
    assert is_killed(kill(None))


def test_a_kill_of_what_is_no_longer_live_shows_the_other_move() -> None:
    with pytest.raises(StaleGeneration, match="generation 2, not 1"):
        kill_step(history("A", "B"), None, prompt="a", from_generation=1)


def test_a_call_that_names_a_candidate_taken_back_by_its_plan_is_done_already() -> None:
    moves, marks = life("A", "B", "C", "-B")

    done = rollback_step(
        moves,
        None,
        prompt="a",
        plan_running=False,
        from_generation=2,
        again=False,
        now=NOW,
        marks=marks,
    )

    assert done == "already"

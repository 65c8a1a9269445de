from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.releases.histories import history, life, naive_state
from trimtab.errors import PlanRunning, StaleGeneration
from trimtab.releases.release import (
    Mark,
    Move,
    PointerState,
    Policy,
    check_generation,
    check_no_plan,
    replay,
)

WORDS = ["A", "B", "C", "D", "+B", "+D", "-A", "-B", "-C", "-E", "back", "back"]
STEPS = st.lists(st.sampled_from(WORDS), max_size=30)


def test_before_any_release_nothing_is_live() -> None:
    assert replay([]) == PointerState()


def test_a_rollback_marks_what_it_takes_back() -> None:
    state = replay(history("A", "B", "back"))

    assert state == PointerState(live="A", last_good=None, marked=frozenset("B"), generation=3)


def test_rolling_back_twice_goes_two_releases_back() -> None:
    state = replay(history("A", "B", "C", "back", "back"))

    assert (state.live, state.last_good, state.marked) == ("A", None, frozenset("BC"))


def test_a_release_after_a_rollback_never_makes_the_marked_one_last_good() -> None:
    state = replay(history("A", "B", "back", "C"))

    assert state.last_good == "A"


@pytest.mark.parametrize("again", ["B", "+B"])
def test_releasing_it_again_clears_the_mark(again: str) -> None:
    state = replay(history("A", "B", "back", again))

    assert (state.live, state.last_good, state.marked) == ("B", "A", frozenset())


def test_the_newest_good_release_counts_not_the_first_one_made() -> None:
    state = replay(history("A", "B", "A", "C"))

    assert state.last_good == "A"


def test_a_candidate_taken_back_by_its_plan_cannot_be_last_good() -> None:
    state = replay(*life("A", "B", "C", "-B"))

    assert (state.live, state.last_good, state.marked) == ("C", "A", frozenset("B"))


def test_a_candidate_never_released_is_marked_too() -> None:
    state = replay(*life("A", "B", "-E"))

    assert (state.last_good, state.marked) == ("A", frozenset("E"))


@pytest.mark.parametrize("again", ["B", "+B"])
def test_releasing_a_taken_back_candidate_clears_its_mark(again: str) -> None:
    state = replay(*life("A", "B", "C", "-B", again, "C"))

    assert (state.last_good, state.marked) == ("B", frozenset())


def test_a_candidate_marked_where_it_went_live_is_refused() -> None:
    with pytest.raises(ValueError, match="candidate B is marked at move 2, which made it live"):
        replay(history("A", "B"), [Mark(generation=2, sha="B")])


@given(STEPS)
def test_every_history_leaves_what_a_look_at_the_whole_of_it_finds(steps: list[str]) -> None:
    for length in range(len(steps) + 1):
        moves, marks = life(*steps[:length])
        state = replay(moves, marks)

        assert (state.live, state.last_good, set(state.marked)) == naive_state(moves, marks)


@given(STEPS)
def test_what_a_rollback_goes_to_was_released_is_unmarked_and_not_live(steps: list[str]) -> None:
    moves, marks = life(*steps)
    state = replay(moves, marks)

    assert state.live not in state.marked
    assert state.last_good is None or (
        state.last_good in {move.sha for move in moves}
        and state.last_good not in state.marked
        and state.last_good != state.live
    )


@given(STEPS)
def test_rolling_back_for_ever_ends_and_leaves_every_other_release_marked(
    steps: list[str],
) -> None:
    moves, marks = life(*steps, *["back"] * 10)
    state = replay(moves, marks)

    assert state.last_good is None
    assert {move.sha for move in moves} - {state.live} <= state.marked


def altered(move: Move, **changes: Any) -> Move:
    return msgspec.structs.replace(move, **changes)


def test_a_history_with_a_gap_is_refused() -> None:
    moves = history("A", "B", "C")

    with pytest.raises(ValueError, match="move 3 stands where move 2 must"):
        replay([moves[0], moves[2]])


def test_a_rollback_of_what_was_not_live_is_refused() -> None:
    *before, back = history("A", "B", "back")

    with pytest.raises(ValueError, match="move 3 takes back C, but B was live"):
        replay([*before, altered(back, taken_back="C")])


@pytest.mark.parametrize("changes", [{"kind": "rollback"}, {"taken_back": "A"}])
def test_a_move_takes_something_back_exactly_if_it_is_a_rollback(changes: dict[str, Any]) -> None:
    (move,) = history("A")

    with pytest.raises(ValueError, match="move 1 is a"):
        altered(move, **changes)


def test_the_expected_generation_lets_through() -> None:
    check_generation([], expected=0, prompt="a")
    check_generation(history("A", "B"), expected=2, prompt="a")


def test_a_stale_generation_shows_the_move_that_came_first() -> None:
    with pytest.raises(StaleGeneration, match="generation 2, not 1: ann made B live") as caught:
        check_generation(history("A", "B"), expected=1, prompt="a")

    move = caught.value.detail["move"]
    assert isinstance(move, dict)
    assert (move["generation"], move["sha"], move["actor"]) == (2, "B", "ann")


def test_a_generation_of_a_prompt_never_released_is_stale_too() -> None:
    with pytest.raises(StaleGeneration, match="never released here, but generation 4"):
        check_generation([], expected=4, prompt="a")


def test_a_running_plan_forbids_moving_the_pointer_and_is_named() -> None:
    check_no_plan(None, prompt="a", environment="prod")

    with pytest.raises(PlanRunning, match="plan 'p-1' divides the traffic of 'a' in 'prod'"):
        check_no_plan("p-1", prompt="a", environment="prod")


@pytest.mark.parametrize("field", ["approvals", "rank"])
def test_a_policy_counts_nothing_below_zero(field: str) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        msgspec.convert({field: -1}, Policy, strict=True)


def test_a_policy_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="aprovals"):
        msgspec.convert({"aprovals": 1}, Policy)

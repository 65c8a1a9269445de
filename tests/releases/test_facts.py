from typing import Any

import pytest

from tests.releases.worlds import environment, plan, prompt


@pytest.mark.parametrize("share", [-1, 10_000])
def test_a_plan_has_neither_a_negative_share_nor_everybody(share: int) -> None:
    with pytest.raises(ValueError, match=f"share of plan 'p-1' is {share}, want 0 to 9999"):
        plan(share=share)


def test_epochs_begin_at_one() -> None:
    with pytest.raises(ValueError, match="epoch of plan 'p-1' is 0"):
        plan(epoch=0)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"killed": True, "plan": plan()}, "'a' is killed, but plan 'p-1' still runs"),
        ({"plan": plan(baseline="good")}, "has baseline 'good', but 'live' is served"),
        ({"last_good": "gone"}, r"'a' names versions without facts: \['gone'\]"),
        ({"plan": plan(candidate="gone")}, r"names versions without facts: \['gone'\]"),
    ],
)
def test_facts_that_contradict_each_other_are_refused(
    changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        prompt("a", **changes)


def test_a_prompt_stands_once_in_an_environment() -> None:
    with pytest.raises(ValueError, match=r"'prod' names prompts twice: \['a'\]"):
        environment(prompt("a"), prompt("b"), prompt("a"))

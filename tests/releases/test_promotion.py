from datetime import UTC, datetime
from typing import Any

import pytest

from tests.releases.histories import history, life
from trimtab.errors import Conflict, PolicyNotMet
from trimtab.releases.promotion import (
    Approval,
    PromotionFacts,
    PromotionStatus,
    lower_environment,
    missing,
    next_status,
    require,
    standing,
)
from trimtab.releases.release import Policy

PROD = Policy(approvals=1, approver_not_author=True, suites=["core"], pinned_model=True, rank=2)


def approval(actor: str) -> Approval:
    return Approval(actor=actor, at=datetime(2026, 1, 1, tzinfo=UTC))


def facts(**changes: Any) -> PromotionFacts:
    fulfilled: dict[str, Any] = {
        "prompt": "a",
        "version": "1.1.0",
        "environment": "prod",
        "author": "ann",
        "model": "openai/gpt-4o-2024-11-20",
        "approvals": [approval("bob")],
        "suites_passed": frozenset({"core", "other"}),
        "lower_environment": "staging",
        "lower_standing": "live",
    }
    return PromotionFacts(**(fulfilled | changes))


def test_a_version_that_has_all_it_needs_misses_nothing() -> None:
    assert missing(PROD, facts()) == []
    require(PROD, facts())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lower_standing": "never"}, "a@1.1.0 was never released in staging; promote it there"),
        ({"lower_standing": "taken_back"}, "a@1.1.0 was taken back in staging"),
        ({"model": "openai/gpt-4o", "model_is_pinned": False}, '"openai/gpt-4o", an alias'),
        ({"suites_passed": frozenset({"other"})}, 'suite "core" has not passed for a@1.1.0'),
        ({"approvals": []}, "prod needs 1 more approval by someone other than ann"),
        ({"approvals": [approval("ann")]}, "prod needs 1 more approval by someone other"),
    ],
)
def test_each_thing_that_is_missing_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    wants = missing(PROD, facts(**changes))

    assert len(wants) == 1
    assert sentence in wants[0]
    with pytest.raises(PolicyNotMet, match="cannot be served in prod yet"):
        require(PROD, facts(**changes))


def test_all_that_is_missing_is_said_at_once() -> None:
    nothing = facts(lower_standing="never", approvals=[], suites_passed=frozenset())

    assert len(missing(PROD, nothing)) == 3


@pytest.mark.parametrize("where", ["live", "released"])
def test_a_version_comes_up_from_where_it_is_or_was_live(where: str) -> None:
    assert missing(PROD, facts(lower_standing=where)) == []


def test_the_lowest_environment_has_nothing_below() -> None:
    assert missing(Policy(), facts(lower_environment=None, lower_standing="never")) == []


def test_two_approvals_of_one_person_are_one() -> None:
    policy = Policy(approvals=2)

    assert missing(policy, facts(approvals=[approval("bob"), approval("bob")])) == [
        "prod needs 1 more approval"
    ]
    assert missing(policy, facts(approvals=[approval("bob"), approval("ann")])) == []


@pytest.mark.parametrize(
    ("sha", "want"), [("A", "released"), ("B", "taken_back"), ("C", "live"), ("D", "never")]
)
def test_the_standing_of_a_version_is_read_from_the_moves(sha: str, want: str) -> None:
    assert standing(history("A", "B", "back", "C"), sha) == want


def test_the_next_lower_rank_is_where_a_version_comes_from() -> None:
    ranks = {"prod": 2, "dev": 0, "staging": 1, "qa": 1}

    below = [lower_environment(ranks, name) for name in ("dev", "staging", "prod")]

    assert below == [None, "dev", "qa"]


@pytest.mark.parametrize(
    ("refused", "wants", "status"),
    [(False, [], "live"), (False, ["an approval"], "pending"), (True, [], "refused")],
)
def test_a_promotion_waits_until_nothing_is_missing(
    refused: bool,  # noqa: FBT001
    wants: list[str],
    status: PromotionStatus,
) -> None:
    assert next_status("pending", refused=refused, wants=wants) == status


@pytest.mark.parametrize("status", ["live", "refused"])
def test_a_settled_promotion_stays_as_it_is(status: PromotionStatus) -> None:
    with pytest.raises(Conflict, match=f"promotion is {status} already"):
        next_status(status, refused=False, wants=[])


def test_a_candidate_that_its_plan_took_back_stands_as_taken_back() -> None:
    moves, marks = life("A", "B", "C", "-B")

    assert standing(moves, "B", marks=marks) == "taken_back"

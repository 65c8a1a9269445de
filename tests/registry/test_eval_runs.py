import pytest

from trimtab.errors import Forbidden, UnknownVersion
from trimtab.registry.eval_runs import EvalVerdict
from trimtab.releases.release import Policy

from .house import POLICIES, PROMPT, House

GATED = {**POLICIES, "dev": Policy(suites=["smoke"])}


def _run(house: House, verdict: EvalVerdict, version: str = "1.0.0", suite: str = "smoke") -> None:
    house.registry.eval_runs.record(
        house.admin,
        prompt=PROMPT,
        version=version,
        suite=suite,
        suite_sha="5" * 64,
        scores={"exact": 0.9, "n": 20},
        verdict=verdict,
    )


@pytest.fixture(autouse=True)
def _gated(house: House) -> None:
    house.close()
    house.open(GATED)
    house.push("One.", "Two.")


def _ask(house: House) -> str:
    return house.registry.promotions.request(
        house.admin, environment="dev", prompt=PROMPT, version="1.0.0", expected_generation=0
    ).status


def test_a_passed_suite_opens_the_gate(house: House) -> None:
    _run(house, "pass")

    assert _ask(house) == "live"


def test_the_newest_run_of_a_suite_counts(house: House) -> None:
    _run(house, "pass")
    _run(house, "fail")

    assert _ask(house) == "pending"


def test_another_versions_run_and_another_suite_do_not_count(house: House) -> None:
    _run(house, "pass", version="1.1.0")
    _run(house, "pass", suite="tone")

    assert _ask(house) == "pending"


def test_a_promotion_that_waited_for_a_run_goes_live_with_it(house: House) -> None:
    assert _ask(house) == "pending"

    _run(house, "pass")

    [promotion] = house.registry.promotions.promotions()
    assert (promotion.status, promotion.evidence["suites_passed"]) == ("live", ["smoke"])


def test_two_that_waited_for_the_same_run_do_not_both_go_live(house: House) -> None:
    assert [_ask(house), _ask(house)] == ["pending", "pending"]

    _run(house, "pass")

    found = house.registry.promotions.promotions()
    assert sorted(promotion.status for promotion in found) == ["live", "refused"]
    assert house.registry.board.generation("dev", PROMPT) == 1


def test_runs_are_kept_with_scores_and_who(house: House) -> None:
    _run(house, "fail")

    [run] = house.registry.eval_runs.runs(prompt=PROMPT)

    assert (run.scores, run.verdict, run.actor) == ({"exact": 0.9, "n": 20}, "fail", "admin")
    assert house.registry.eval_runs.runs(sha="0" * 64) == []


def test_recording_needs_the_scope_and_a_version(house: House) -> None:
    with pytest.raises(UnknownVersion):
        _run(house, "pass", version="9.0.0")
    with pytest.raises(Forbidden, match='lacks scope "author"'):
        house.registry.eval_runs.record(
            house.approver,
            prompt=PROMPT,
            version="1.0.0",
            suite="smoke",
            suite_sha="",
            scores={},
            verdict="pass",
        )

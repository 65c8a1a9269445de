import threading

import pytest

from trimtab.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    PlanRunning,
    StaleGeneration,
    UnknownEnvironment,
    UnknownPrompt,
    UnknownVersion,
)
from trimtab.registry.principals import AUTOPILOT
from trimtab.registry.promotion_rows import Promotion
from trimtab.releases.release import Policy

from .house import POLICIES, PROMPT, House, fragment, reply


def _ask(
    house: House, version: str = "1.0.0", environment: str = "dev", *, expected: int = 0
) -> Promotion:
    return house.registry.promotions.request(
        house.admin,
        environment=environment,
        prompt=PROMPT,
        version=version,
        expected_generation=expected,
        why="a good day",
    )


def test_dev_needs_nothing(house: House) -> None:
    [sha] = house.push("One.")

    promotion = _ask(house)

    assert (promotion.status, promotion.generation, promotion.missing) == ("live", 1, [])
    [move] = house.registry.board.history("dev", PROMPT)
    assert (move.sha, move.actor, move.why, move.kind) == (sha, "admin", "a good day", "promote")


def test_a_version_walks_up_through_every_environment(house: House) -> None:
    house.push("One.")

    statuses = [house.promote("1.0.0", name).status for name in ("dev", "staging", "prod")]

    assert statuses == ["live", "live", "live"]


def test_prod_waits_for_what_is_missing_and_says_so(house: House) -> None:
    house.push("One.")

    promotion = _ask(house, environment="prod")

    assert promotion.status == "pending"
    assert promotion.missing == [
        "support.reply@1.0.0 was never released in staging; promote it there first",
        "prod needs 1 more approval by someone other than admin",
    ]
    assert house.registry.board.generation("prod", PROMPT) == 0


def test_an_approval_by_someone_else_makes_it_live(house: House) -> None:
    house.push("One.")
    house.promote("1.0.0", "dev")
    house.promote("1.0.0", "staging")
    promotion = _ask(house, environment="prod")

    approved = house.registry.promotions.approve(house.approver, promotion.id, why="read it")

    assert approved.status == "live"
    assert approved.evidence == {"approved_by": ["approver"], "suites_passed": []}


def test_the_author_cannot_approve(house: House) -> None:
    house.push("One.")
    house.registry.principals.create_key(
        house.admin, name="both", scopes=["author", "approve"], secret="a secret of both hands"
    )
    both = house.registry.principals.authenticate("a secret of both hands")
    house.registry.registration.register(both, prompt=PROMPT, version=reply("Two."))
    promotion = _ask(house, "1.1.0", "prod")

    with pytest.raises(Forbidden, match='"both" registered this version'):
        house.registry.promotions.approve(both, promotion.id)


def test_approving_needs_the_scope(house: House) -> None:
    house.push("One.")
    promotion = _ask(house, environment="prod")
    with pytest.raises(Forbidden, match='"admin" lacks scope "approve"'):
        house.registry.promotions.approve(house.admin, promotion.id)


def test_one_person_approves_once(house: House) -> None:
    house.push("One.")
    promotion = _ask(house, environment="prod")
    house.registry.promotions.approve(house.approver, promotion.id)

    with pytest.raises(Conflict, match="has approved this already"):
        house.registry.promotions.approve(house.approver, promotion.id)


def test_a_stale_generation_shows_the_other_move(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")

    with pytest.raises(StaleGeneration) as caught:
        _ask(house, "1.1.0", expected=0)

    assert caught.value.move["generation"] == 1
    assert caught.value.move["actor"] == "admin"


def test_the_generation_is_checked_again_when_the_pointer_moves(house: House) -> None:
    house.push("One.", "Two.")
    for environment in ("dev", "staging"):
        house.promote("1.0.0", environment)
        house.promote("1.1.0", environment)
    waiting = _ask(house, "1.0.0", "prod")
    house.promote("1.1.0", "prod")
    overtaken = house.registry.promotions.get(waiting.id)

    with pytest.raises(StaleGeneration):
        house.registry.promotions.approve(house.approver, waiting.id)

    after = house.registry.promotions.get(waiting.id)
    assert "stands at generation 1, not 0" in overtaken.missing[-1]
    assert (after.status, house.registry.board.generation("prod", PROMPT)) == ("refused", 1)
    assert "stands at generation 1, not 0" in (after.reason or "")


def test_of_many_who_promote_at_once_exactly_one_wins_each_generation(house: House) -> None:
    house.push("One.", "Two.", "Three.", "Four.")
    wins: list[int] = []

    def fight(version: str) -> None:
        for generation in range(12):
            try:
                won = _ask(house, version, expected=generation)
            except (StaleGeneration, Conflict):
                continue
            wins.append(won.generation or 0)

    threads = [threading.Thread(target=fight, args=(f"1.{n}.0",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    moves = house.registry.board.history("dev", PROMPT)
    assert sorted(wins) == [move.generation for move in reversed(moves)]
    assert sorted(wins) == list(range(1, len(wins) + 1))
    assert house.registry.audit.verify().broken is None


def test_what_is_live_cannot_be_promoted(house: House) -> None:
    house.push("One.")
    house.promote("1.0.0")
    with pytest.raises(Conflict, match=r'1\.0\.0 is live in "dev" already'):
        _ask(house, expected=1)


def test_a_fragment_is_not_promoted(house: House) -> None:
    house.registry.registration.register(house.admin, prompt=PROMPT, version=fragment("Kind."))
    with pytest.raises(BadInput, match="is a fragment"):
        _ask(house)


def test_a_running_plan_keeps_the_pointer_where_it_is(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")
    plan = house.start("1.1.0")
    with pytest.raises(PlanRunning, match=plan.id):
        _ask(house, "1.1.0", expected=1)


@pytest.mark.parametrize(
    ("environment", "prompt", "version", "error"),
    [
        ("moon", PROMPT, "1.0.0", UnknownEnvironment),
        ("dev", "nobody", "1.0.0", UnknownPrompt),
        ("dev", PROMPT, "7.0.0", UnknownVersion),
    ],
)
def test_what_does_not_exist_is_named_and_nothing_changes(
    house: House, environment: str, prompt: str, version: str, error: type[Exception]
) -> None:
    house.push("One.")
    before = house.registry.audit.verify()

    with pytest.raises(error):
        house.registry.promotions.request(
            house.admin,
            environment=environment,
            prompt=prompt,
            version=version,
            expected_generation=0,
        )

    assert house.registry.audit.verify() == before


def test_promoting_needs_scope_and_environment(house: House) -> None:
    house.push("One.")
    house.registry.principals.create_key(
        house.admin, name="ops", scopes=["operate"], environments=["dev"], secret="x" * 20
    )
    ops = house.registry.principals.authenticate("x" * 20)
    for actor, environment in ((house.approver, "dev"), (ops, "prod")):
        with pytest.raises(Forbidden):
            house.registry.promotions.request(
                actor,
                environment=environment,
                prompt=PROMPT,
                version="1.0.0",
                expected_generation=0,
            )


def test_a_refusal_ends_a_promotion(house: House) -> None:
    house.push("One.")
    promotion = _ask(house, environment="prod")

    refused = house.registry.promotions.refuse(house.approver, promotion.id, why="too long")

    assert (refused.status, refused.reason, refused.decided_by) == (
        "refused",
        "too long",
        "approver",
    )
    with pytest.raises(Conflict, match="refused already"):
        house.registry.promotions.approve(house.approver, promotion.id)


def test_whoever_asked_may_withdraw(house: House) -> None:
    house.push("One.")
    promotion = _ask(house, environment="prod")
    assert house.registry.promotions.refuse(house.admin, promotion.id, why="").status == "refused"


def test_an_unknown_promotion_is_not_found(house: House) -> None:
    with pytest.raises(NotFound, match='no promotion "id-x"'):
        house.registry.promotions.approve(house.approver, "id-x")


def test_promotions_are_listed_newest_first_by_what_they_are(house: House) -> None:
    house.push("One.")
    house.promote("1.0.0")
    waiting = _ask(house, environment="prod")

    listed = house.registry.promotions.promotions

    assert [found.environment for found in listed()] == ["prod", "dev"]
    assert [found.id for found in listed(status="pending")] == [waiting.id]
    assert listed(environment="staging") == []


def test_a_floating_model_waits_where_pins_are_wanted(house: House) -> None:
    house.close()
    house.open({**POLICIES, "dev": Policy(pinned_model=True)})
    house.registry.registration.register(
        house.admin, prompt=PROMPT, version=reply("One.", model="openai/gpt-4o")
    )

    promotion = _ask(house)

    assert promotion.status == "pending"
    assert "an alias that moves" in promotion.missing[0]


def test_a_promotion_that_waited_while_its_version_was_taken_back_is_refused(
    house: House,
) -> None:
    house.push("One.", "Two.")
    for environment in ("dev", "staging", "prod"):
        house.promote("1.0.0", environment)
    house.promote("1.1.0", "dev")
    house.promote("1.1.0", "staging")
    waiting = _ask(house, "1.1.0", "prod", expected=1)
    plan = house.start("1.1.0", "prod")
    house.registry.progress.take_back(AUTOPILOT, plan.id, why="slower")

    with pytest.raises(Conflict, match="taken back"):
        house.registry.promotions.approve(house.approver, waiting.id)

    assert house.registry.promotions.get(waiting.id).status == "refused"
    assert house.registry.board.generation("prod", PROMPT) == 1
    again = _ask(house, "1.1.0", "prod", expected=1)
    assert house.registry.promotions.approve(house.approver, again.id).status == "live"

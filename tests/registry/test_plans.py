import msgspec
import pytest

from trimtab.errors import (
    BadInput,
    Conflict,
    Forbidden,
    PlanError,
    PlanRunning,
    PolicyNotMet,
    UnknownEnvironment,
    UnknownPlan,
    UnknownVersion,
)
from trimtab.events.totals import BaselineHistory
from trimtab.prompts.canonical import digest
from trimtab.releases.rollout import document_sha

from .house import PROMPT, House, fragment


@pytest.fixture
def shas(house: House) -> list[str]:
    """Three versions, the first one live everywhere, the second one in dev and staging first."""
    found = house.push("One.", "Two.", "Three.")
    for environment in ("dev", "staging"):
        house.promote("1.1.0", environment)
        house.promote("1.0.0", environment)
    for environment in ("dev", "staging", "prod"):
        if house.registry.board.generation(environment, PROMPT) == 0:
            house.promote("1.0.0", environment)
    return found


def test_a_draft_fixes_its_candidate_and_changes_no_traffic(house: House, shas: list[str]) -> None:
    revision = house.registry.publisher.revision("dev")

    draft = house.registry.plans.create(house.admin, house.plan_file("1.1.0"))

    assert (draft.status, draft.candidate, draft.baseline) == ("draft", shas[1], None)
    assert draft.document_sha == document_sha(house.plan_file("1.1.0"))
    assert house.registry.publisher.revision("dev") == revision


def test_a_start_freezes_the_plan_and_divides_traffic_by_its_first_step(
    house: House, shas: list[str]
) -> None:
    started = house.start("1.1.0")

    assert (started.status, started.step, started.epoch, started.share) == ("running", 0, 1, 1000)
    assert (started.baseline, started.seed) == (shas[0], started.id)
    assert started.plan_sha == digest(msgspec.to_builtins(started.plan))
    [epoch] = house.registry.plans.get(started.id).epochs
    assert epoch.shares == {"treatment": 1000, "control": 9000}
    assert epoch.variants == {"treatment": shas[1], "control": shas[0]}
    assert list(epoch.metric_shas) == ["flagged_rate"]


@pytest.mark.usefixtures("shas")
def test_a_start_is_published_with_its_epoch(house: House) -> None:
    started = house.start("1.1.0")

    block = house.registry.publisher.payload("dev").trimtab
    assert block is not None
    assert (block.plans[started.id].epoch, block.plans[started.id].share) == (1, 1000)
    [epoch] = house.registry.plans.get(started.id).epochs
    assert epoch.first_revision == block.revision


def test_prod_wants_the_plan_approved_by_someone_else(house: House, shas: list[str]) -> None:
    plans = house.registry.plans
    draft = plans.create(house.admin, house.plan_file("1.1.0", "prod"))
    assert plans.get(draft.id).missing == ["prod needs 1 more approval by someone other than admin"]
    with pytest.raises(PolicyNotMet, match="1 more approval"):
        plans.start(house.admin, draft.id)

    approved = plans.approve(house.approver, draft.id, why="read it")
    started = plans.start(house.admin, draft.id).plan

    assert approved.missing == []
    assert approved.approvals[0].shas == [shas[0], shas[1]]
    assert approved.approvals[0].document_sha == draft.document_sha
    assert started.status == "running"


@pytest.mark.usefixtures("shas")
def test_an_approval_is_bound_to_the_baseline_it_was_given_for(house: House) -> None:
    plans = house.registry.plans
    house.promote("1.2.0", "dev")
    house.promote("1.2.0", "staging")
    draft = plans.create(house.admin, house.plan_file("1.1.0", "prod"))
    plans.approve(house.approver, draft.id)
    house.promote("1.2.0", "prod")

    with pytest.raises(PolicyNotMet, match="1 more approval"):
        plans.start(house.admin, draft.id)

    plans.approve(house.approver, draft.id, why="the new baseline too")
    assert plans.start(house.admin, draft.id).plan.status == "running"


@pytest.mark.usefixtures("shas")
def test_a_candidate_must_fulfil_what_a_promotion_there_needs(house: House) -> None:
    plans = house.registry.plans
    draft = plans.create(house.admin, house.plan_file("1.2.0", "prod"))
    plans.approve(house.approver, draft.id)
    with pytest.raises(PolicyNotMet, match="never released in staging"):
        plans.start(house.admin, draft.id)


@pytest.mark.usefixtures("shas")
def test_one_plan_at_a_time(house: House) -> None:
    running = house.start("1.1.0")
    with pytest.raises(PlanRunning, match=running.id):
        house.start("1.2.0")


@pytest.mark.usefixtures("shas")
def test_a_killed_prompt_starts_no_plan(house: House) -> None:
    house.registry.takebacks.kill(house.admin, environment="dev", prompt=PROMPT)
    with pytest.raises(Conflict, match="is killed"):
        house.start("1.1.0")


@pytest.mark.usefixtures("shas")
def test_a_plan_starts_once(house: House) -> None:
    started = house.start("1.1.0")
    for again in (
        lambda: house.registry.plans.start(house.admin, started.id),
        lambda: house.registry.plans.approve(house.approver, started.id),
    ):
        with pytest.raises(Conflict, match="is running, no draft"):
            again()


@pytest.mark.usefixtures("shas")
def test_a_quantile_without_history_is_refused_and_the_draft_stays(house: House) -> None:
    plans = house.registry.plans
    file = msgspec.structs.replace(house.plan_file(), guardrails=["latency_p95 +25%"])
    draft = plans.create(house.admin, file)

    with pytest.raises(PlanError, match="needs 500"):
        plans.start(house.admin, draft.id, history=BaselineHistory())

    assert plans.get(draft.id).plan.status == "draft"
    assert house.registry.publisher.payload("dev").trimtab.plans == {}  # type: ignore[union-attr]  # ours always has it


@pytest.mark.usefixtures("shas")
def test_a_plan_needs_something_live_and_something_else_to_try(house: House) -> None:
    house.registry.registration.register(
        house.admin, prompt="shared.tone", version=fragment("Kind.")
    )
    create = house.registry.plans.create
    replace = msgspec.structs.replace
    file = house.plan_file()
    house.push("New.", prompt="other")
    cases = [
        (replace(file, candidate="1.0.0"), PlanError, "is live"),
        (replace(file, prompt="other", candidate="1.0.0"), PlanError, "never released"),
        (replace(file, prompt="shared.tone", candidate="1.0.0"), BadInput, "is a fragment"),
        (replace(file, candidate="8.0.0"), UnknownVersion, "8.0.0"),
        (replace(file, environment="moon"), UnknownEnvironment, "moon"),
    ]
    before = house.registry.audit.verify()

    for wrong, error, words in cases:
        with pytest.raises(error, match=words):
            create(house.admin, wrong)

    assert house.registry.audit.verify() == before


@pytest.mark.usefixtures("shas")
def test_plans_need_their_scopes(house: House) -> None:
    plans = house.registry.plans
    draft = plans.create(house.admin, house.plan_file("1.1.0", "prod"))
    with pytest.raises(Forbidden):
        plans.create(house.approver, house.plan_file())
    with pytest.raises(Forbidden):
        plans.approve(house.admin, draft.id)
    with pytest.raises(Forbidden):
        plans.start(house.approver, draft.id)


def test_an_unknown_plan_is_not_found(house: House) -> None:
    with pytest.raises(UnknownPlan, match='no plan "id-x"'):
        house.registry.plans.get("id-x")


@pytest.mark.usefixtures("shas")
def test_the_fold_learns_every_epochs_share(house: House) -> None:
    started = house.start("1.1.0")
    house.registry.progress.advance(house.admin, started.id)

    found = house.registry.plans.fold_plans([started.id, "id-x"])

    assert list(found) == [started.id]
    assert found[started.id].epochs == {1: 1000, 2: 5000}
    assert [series.name for series in found[started.id].series] == ["flagged_rate"]


@pytest.mark.usefixtures("shas")
def test_plans_are_listed_by_what_they_are(house: House) -> None:
    draft = house.registry.plans.create(house.admin, house.plan_file("1.1.0", "prod"))
    running = house.start("1.1.0")

    plans = house.registry.plans

    assert [plan.id for plan in plans.plans()] == [draft.id, running.id]
    assert [plan.id for plan in plans.plans(environment="prod")] == [draft.id]
    assert [plan.id for plan in plans.running()] == [running.id]
    assert plans.plans(prompt="nobody") == []

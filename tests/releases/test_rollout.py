import msgspec
import pytest

from trimtab.errors import PlanError
from trimtab.events.totals import BaselineHistory, Series
from trimtab.releases.rollout import (
    FrozenPlan,
    Plan,
    PlanFile,
    Step,
    document_sha,
    fold_plan,
    freeze,
    plan_sha,
    series,
)
from trimtab.stats.quantiles import BucketHistogram

BASELINE, CANDIDATE = "a" * 64, "b" * 64


def written(*guardrails: str) -> PlanFile:
    return PlanFile(
        prompt="support.reply",
        environment="prod",
        candidate="1.1.0",
        unit="thread",
        steps=[Step(share=1_000, hold_s=5.0, min_treated=60)],
        guardrails=list(guardrails),
    )


def history(n: int) -> BaselineHistory:
    latency = BucketHistogram.of(float(ms) for ms in range(1, n + 1))
    return BaselineHistory(n_requests=n, latency_ms=latency.encode())


def frozen(*guardrails: str, n: int = 2_000) -> FrozenPlan:
    return freeze(
        written(*guardrails), baseline_sha=BASELINE, candidate_sha=CANDIDATE, history=history(n)
    )


def test_alpha_is_split_evenly_over_the_guardrails() -> None:
    plan = frozen("flagged_rate > 1.5x", "error_rate worse", "latency_p95 +25%").plan

    assert [each.alpha for each in plan.guardrails] == pytest.approx([0.05 / 3] * 3)


def test_a_quantile_is_frozen_at_the_baselines_within_one_per_cent() -> None:
    plan = frozen("latency_p95 +25%", n=2_000).plan

    assert plan.guardrails[0].threshold == pytest.approx(1_900, rel=0.01)
    assert plan.guardrails[0].tolerance == 0.25


def test_a_plan_of_rates_needs_no_history() -> None:
    plan = freeze(
        written("error_rate > 2x"), baseline_sha=BASELINE, candidate_sha=CANDIDATE, history=None
    )

    assert plan.plan.guardrails[0].ratio == 2.0
    assert plan.warnings == []


@pytest.mark.parametrize("n", [0, 499])
def test_too_little_history_for_a_quantile_is_refused_with_its_number(n: int) -> None:
    with pytest.raises(PlanError, match=f"has {n} requests and needs 500"):
        frozen("latency_p95 +25%", n=n)


def test_no_history_at_all_is_refused_for_a_quantile() -> None:
    with pytest.raises(PlanError, match="has 0 requests"):
        freeze(
            written("latency_p95 +25%"),
            baseline_sha=BASELINE,
            candidate_sha=CANDIDATE,
            history=None,
        )


def test_little_history_is_enough_and_said() -> None:
    warnings = frozen("latency_p95 +25%", n=500).warnings

    assert len(warnings) == 1
    assert "from 500 requests" in warnings[0]
    assert frozen("latency_p95 +25%", n=2_000).warnings == []


def test_a_baseline_of_no_latency_cannot_be_exceeded_by_a_percentage() -> None:
    zeros = BaselineHistory(n_requests=600, latency_ms=BucketHistogram.of([0.0] * 600).encode())

    with pytest.raises(PlanError, match="is 0 over 600 requests"):
        freeze(
            written("latency_p95 +25%"),
            baseline_sha=BASELINE,
            candidate_sha=CANDIDATE,
            history=zeros,
        )


def test_the_live_version_is_no_candidate() -> None:
    with pytest.raises(PlanError, match="is the version that is live already"):
        freeze(
            written("error_rate worse"), baseline_sha=BASELINE, candidate_sha=BASELINE, history=None
        )


def test_the_fold_counts_one_boolean_a_rate_and_two_a_quantile() -> None:
    plan = frozen("flagged_rate > 1.5x", "error_rate worse", "latency_p95 +25%").plan
    q = plan.guardrails[2].threshold
    assert q is not None

    assert series(plan) == [
        Series(name="flagged_rate", kind="flagged"),
        Series(name="error_rate", kind="failed"),
        Series(name="latency_p95", kind="latency_ms", treatment_over=q, control_over=q),
        Series(
            name="latency_p95:tolerance",
            kind="latency_ms",
            treatment_over=1.25 * q,
            control_over=q,
        ),
    ]


def test_the_fold_is_told_unit_and_shares() -> None:
    plan = frozen("error_rate worse").plan

    told = fold_plan(plan, plan_id="p1", epochs={1: 1_000})

    assert (told.plan_id, told.unit, told.epochs) == ("p1", "thread", {1: 1_000})
    assert told.series == series(plan)


def test_a_plan_comes_back_from_its_json() -> None:
    plan = frozen("flagged_rate > 1.5x", "latency_p95 +25%").plan

    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)

    assert again == plan
    assert plan_sha(again) == plan_sha(plan)


def test_a_plan_frozen_on_other_history_is_another_plan_of_the_same_document() -> None:
    few, many = frozen("latency_p95 +25%", n=600).plan, frozen("latency_p95 +25%").plan
    file = written("latency_p95 +25%")

    assert plan_sha(few) != plan_sha(many)
    assert document_sha(file) == document_sha(msgspec.structs.replace(file))

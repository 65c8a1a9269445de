import json
from math import isfinite
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.events.totals import EpochTotals, SideTotals
from trimtab.releases.guardrails import Assessment, Reading, assess
from trimtab.releases.rollout import Guardrail, Plan, Step
from trimtab.stats.power import Power
from trimtab.stats.quantiles import BucketHistogram
from trimtab.stats.undefined import Estimate, Undefined

FLAGGED = Guardrail(text="flagged_rate > 1.5x", metric="flagged_rate", alpha=0.025, ratio=1.5)
SLOW = Guardrail(
    text="latency_p95 +25%", metric="latency_p95", alpha=0.025, tolerance=0.25, threshold=900.0
)
SHARE = {1: 2_500}


def plan(*guardrails: Guardrail) -> Plan:
    return Plan(
        prompt="support.reply",
        environment="prod",
        candidate="b" * 64,
        baseline="a" * 64,
        unit="thread",
        alpha=0.05,
        steps=[Step(share=2_500, hold_s=5.0, min_treated=100)],
        guardrails=list(guardrails) or [FLAGGED],
    )


def side(*, n: int, k: int, **changes: Any) -> SideTotals:
    totals = SideTotals(
        n_units=n,
        new_units=n,
        n_requests=n,
        k={"flagged_rate": k},
        n={"flagged_rate": n, "latency_p95": n, "latency_p95:tolerance": n},
        first_k={"flagged_rate": {0: k} if k else {}},
    )
    return msgspec.structs.replace(totals, **changes)


def totals(treatment: SideTotals, control: SideTotals, *, epoch: int = 1) -> EpochTotals:
    sides = {"treatment": treatment, "control": control}
    return EpochTotals(plan_id="p1", epoch=epoch, sides=sides)


def judged(*each: EpochTotals, rules: tuple[Guardrail, ...] = (FLAGGED,)) -> Assessment:
    epochs = dict.fromkeys(range(1, len(each) + 1), 2500) or SHARE
    return assess(plan(*rules), each, epochs=epochs, current_epoch=max(epochs))


def one(assessment: Assessment) -> Reading:
    assert len(assessment.readings) == 1
    return assessment.readings[0]


def test_three_times_the_flags_is_a_breach() -> None:
    reading = one(judged(totals(side(n=250, k=60), side(n=750, k=60))))

    assert reading.verdict == "breach"
    assert reading.e_breach >= reading.threshold == 40.0
    assert reading.harm_shown


def test_a_breach_says_its_numbers() -> None:
    reading = one(judged(totals(side(n=250, k=60), side(n=750, k=60))))

    assert reading.reason.startswith(
        "60 of the 120 units with a flagged answer were treated; 1.5 times the control's rate "
        "would mean about 40.0 (evidence "
    )


def test_a_candidate_that_flags_less_passes() -> None:
    reading = one(judged(totals(side(n=1_000, k=50), side(n=3_000, k=300))))

    assert reading.verdict == "pass"
    assert reading.within_shown


def test_harm_within_the_tolerance_is_inconclusive_and_marked() -> None:
    reading = one(judged(totals(side(n=5_000, k=520), side(n=15_000, k=1_200))))

    assert reading.verdict == "inconclusive"
    assert reading.harm_shown
    assert reading.reason.startswith("worse than the control (evidence ")
    assert reading.reason.endswith("520 of the 1720 units with a flagged answer were treated")


def test_little_traffic_is_inconclusive() -> None:
    assert judged(totals(side(n=20, k=2), side(n=60, k=6))).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("n_treatment", "n_control", "lacking"),
    [(0, 100, "treatment"), (100, 0, "control"), (0, 0, "treatment and control")],
)
def test_a_side_without_requests_in_the_current_epoch_is_no_data(
    n_treatment: int, n_control: int, lacking: str
) -> None:
    before = totals(side(n=100, k=5), side(n=300, k=15))
    now = totals(side(n=n_treatment, k=0), side(n=n_control, k=0), epoch=2)

    reading = one(judged(before, now))

    assert reading.verdict == "no_data"
    assert reading.reason == f"no request of {lacking} counts for it in epoch 2 yet"


def test_a_plan_that_has_counted_nothing_has_no_data_and_no_numbers() -> None:
    reading = one(judged())

    assert reading.verdict == "no_data"
    assert reading.effect == Undefined(reason="no_traffic")
    assert reading.fixed_n_power == Undefined(reason="no_traffic")
    assert reading.treatment.rate is None


@pytest.mark.parametrize("rule", [FLAGGED, SLOW])
def test_without_a_treated_request_there_is_no_effect(rule: Guardrail) -> None:
    slow = {"latency_p95": {0: 40}, "latency_p95:tolerance": {0: 40}, "flagged_rate": {0: 40}}
    latency = {"latency_ms": BucketHistogram.of([100.0]).encode()}
    control = side(n=300, k=40, first_k=slow, histograms=latency)

    reading = one(judged(totals(side(n=0, k=0), control), rules=(rule,)))

    assert reading.effect == Undefined(reason="no_traffic")


def test_a_breach_outlasts_an_epoch_without_data() -> None:
    before = totals(side(n=250, k=60), side(n=750, k=60))
    now = totals(side(n=0, k=0), side(n=0, k=0), epoch=2)

    assert judged(before, now).verdict == "breach"


def test_a_split_that_is_not_the_planned_one_is_a_fault_of_every_rule() -> None:
    latency = BucketHistogram.of([100.0]).encode()
    treatment = side(n=2_000, k=80, histograms={"latency_ms": latency})
    control = side(n=8_000, k=320, histograms={"latency_ms": latency})

    found = judged(totals(treatment, control), rules=(FLAGGED, SLOW))

    assert [each.verdict for each in found.readings] == ["fault", "fault"]
    assert found.split.e_srm >= 100
    assert found.split.fault.startswith(
        "the split is wrong: 2000 of 10000 units came to treatment, the plan's shares give 2500"
    )


def test_units_on_both_sides_are_a_fault_from_ten_and_one_per_cent_on() -> None:
    control = side(n=750, k=30)

    few = judged(totals(side(n=250, k=10, switched=9), control))
    many = judged(totals(side(n=250, k=10, switched=11), control))
    rare = judged(totals(side(n=2_500, k=100, switched=11), side(n=7_500, k=300)))

    assert (few.verdict, many.verdict) == ("inconclusive", "fault")
    assert rare.split.fault == ""
    assert many.split.fault == (
        "the split is wrong: 11 of 1000 units of epoch 1 were seen on both sides"
    )


def test_a_breach_is_worse_than_a_fault() -> None:
    found = judged(totals(side(n=2_000, k=480), side(n=8_000, k=320)))

    assert found.split.fault
    assert found.verdict == "breach"


def test_the_worst_rule_decides() -> None:
    passing = totals(side(n=1_000, k=50), side(n=3_000, k=300))

    found = judged(passing, rules=(FLAGGED, SLOW))

    assert [each.verdict for each in found.readings] == ["pass", "inconclusive"]
    assert found.verdict == "inconclusive"


def test_the_effect_is_the_ratio_of_first_events_with_its_exact_interval() -> None:
    reading = one(judged(totals(side(n=250, k=20), side(n=750, k=30))))

    assert reading.effect_is == "rate_ratio"
    assert isinstance(reading.effect, Estimate)
    assert reading.effect.value == pytest.approx(2.0)
    assert reading.effect.low is not None
    assert reading.effect.low < 2.0


def test_rates_of_a_ramp_on_a_bad_afternoon_stay_comparable() -> None:
    morning = totals(side(n=100, k=1), side(n=9_900, k=99))
    afternoon = totals(side(n=5_000, k=500), side(n=5_000, k=500), epoch=2)
    epochs = {1: 100, 2: 5_000}

    reading = one(assess(plan(), [morning, afternoon], epochs=epochs, current_epoch=2))

    assert reading.treatment.rate == pytest.approx(reading.control.rate)
    assert (reading.treatment.k, reading.treatment.n) == (501, 5_100)


def test_a_slower_candidate_shows_its_p95_and_the_change() -> None:
    def latency(factor: float) -> dict[str, bytes]:
        return {
            "latency_ms": BucketHistogram.of(factor * x for x in range(1, 1_001)).encode(),
        }

    treatment = side(
        n=1_000,
        k=0,
        histograms=latency(1.8),
        first_k={"latency_p95": {0: 300}, "latency_p95:tolerance": {0: 220}},
    )
    control = side(
        n=3_000,
        k=0,
        histograms=latency(1.0),
        first_k={"latency_p95": {0: 150}, "latency_p95:tolerance": {0: 150}},
    )

    reading = one(judged(totals(treatment, control), rules=(SLOW,)))

    assert reading.verdict == "breach"
    assert reading.effect_is == "relative_change"
    assert isinstance(reading.effect, Estimate)
    assert reading.effect.value == pytest.approx(0.8, abs=0.03)
    assert reading.control.value == pytest.approx(950, rel=0.01)
    assert reading.treatment.value == pytest.approx(1_710, rel=0.01)


def test_power_is_against_a_doubled_rate_with_the_units_seen() -> None:
    reading = one(judged(totals(side(n=250, k=10), side(n=750, k=30))))

    assert isinstance(reading.fixed_n_power, Power)
    assert reading.fixed_n_power.ratio == pytest.approx(2.0)
    assert 0 < reading.fixed_n_power.power < 0.8
    assert reading.fixed_n_power.n_treatment_needed > 250


def test_units_are_those_of_the_current_epoch() -> None:
    found = judged(
        totals(side(n=100, k=5), side(n=300, k=15)),
        totals(side(n=40, k=2), side(n=120, k=6), epoch=2),
    )

    assert (found.n_treated, found.n_control, found.epoch) == (40, 120, 2)


def test_totals_of_an_epoch_that_the_plan_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"epochs \[2\]"):
        assess(
            plan(), [totals(side(n=1, k=0), side(n=1, k=0), epoch=2)], epochs=SHARE, current_epoch=1
        )


def numbers(value: object) -> list[float]:
    match value:
        case dict():
            return [x for each in value.values() for x in numbers(each)]
        case list():
            return [x for each in value for x in numbers(each)]
        case float() | int():
            return [float(value)]
        case _:
            return []


sizes = st.integers(min_value=0, max_value=10_000_000)


@given(n_t=sizes, n_c=sizes, parts=st.tuples(*[st.floats(min_value=0, max_value=1)] * 2))
def test_whatever_was_counted_the_assessment_is_plain_json(
    n_t: int, n_c: int, parts: tuple[float, float]
) -> None:
    each = totals(side(n=n_t, k=int(n_t * parts[0])), side(n=n_c, k=int(n_c * parts[1])))

    raw = msgspec.json.encode(judged(each, rules=(FLAGGED, SLOW)))

    assert all(isfinite(x) for x in numbers(json.loads(raw)))
    assert msgspec.json.decode(raw, type=Assessment) == judged(each, rules=(FLAGGED, SLOW))

from math import log

import pytest

from trimtab.events.totals import EpochTotals, SideTotals
from trimtab.releases.evidence import PlanEvidence, side_of, tolerated_events, weigh
from trimtab.releases.rollout import Guardrail
from trimtab.stats.eprocess import OddsCell, log_e, mixture

NAME = "flagged_rate"
RULE = Guardrail(text="flagged_rate > 1.5x", metric=NAME, alpha=0.05, ratio=1.5)


def totals(
    epoch: int, treatment: dict[int, int], control: dict[int, int], *, name: str = NAME
) -> EpochTotals:
    return EpochTotals(
        plan_id="p1",
        epoch=epoch,
        sides={
            "treatment": SideTotals(first_k={name: treatment}, n={name: 10}),
            "control": SideTotals(first_k={name: control}, n={name: 90}),
        },
    )


def evidence(*each: EpochTotals, epochs: dict[int, int]) -> PlanEvidence:
    return PlanEvidence(epochs=epochs, current=max(epochs), totals=list(each))


def test_units_that_counted_as_control_are_weighed_by_their_conditional_chance() -> None:
    both = evidence(
        totals(1, {0: 3}, {0: 20}),
        totals(2, {0: 7, 1: 2}, {0: 21, 1: 8}),
        epochs={1: 1_000, 2: 2_500},
    )

    assert both.cells(NAME) == [
        OddsCell(k_treatment=3, k_control=20, chance=0.1),
        OddsCell(k_treatment=7, k_control=21, chance=0.25),
        OddsCell(k_treatment=2, k_control=8, chance=0.15 / 0.9),
    ]


def test_units_whose_side_is_known_are_left_out_when_a_share_is_taken_back() -> None:
    back = evidence(
        totals(1, {0: 3}, {0: 20}),
        totals(2, {0: 1}, {0: 9, 1: 5}),
        epochs={1: 2_500, 2: 1_000},
    )

    assert back.cells(NAME)[1:] == [OddsCell(k_treatment=1, k_control=9, chance=0.1)]


def test_a_share_that_only_stays_brings_no_news_of_known_units() -> None:
    same = evidence(totals(2, {}, {1: 5}), epochs={1: 1_000, 2: 1_000})

    assert same.cells(NAME) == []


def test_an_epoch_without_share_counts_nothing() -> None:
    assert evidence(totals(1, {}, {0: 5}), epochs={1: 0}).cells(NAME) == []


def test_breach_and_harm_bet_on_a_doubled_rate_seen_from_their_own_null() -> None:
    cells = [OddsCell(k_treatment=30, k_control=40, chance=0.25)]

    found = weigh(RULE, evidence(totals(1, {0: 30}, {0: 40}), epochs={1: 2_500}))

    assert found.sought == pytest.approx(2.0)
    assert found.harm == log_e(cells, mixture=mixture())
    assert found.breach == pytest.approx(log_e(cells, mixture=mixture(log(2 / 1.5)), ratio=1.5))
    assert found.breach < found.harm


def test_a_tolerance_beyond_a_doubling_looks_for_a_doubling_of_itself() -> None:
    rule = Guardrail(text="flagged_rate > 3x", metric=NAME, alpha=0.05, ratio=3.0)

    found = weigh(rule, evidence(totals(1, {0: 1}, {0: 1}), epochs={1: 2_500}))

    assert found.sought == pytest.approx(6.0)


def test_a_quantile_takes_its_breach_from_the_tolerated_limit_and_its_harm_from_the_same() -> None:
    rule = Guardrail(
        text="latency_p95 +25%", metric="latency_p95", alpha=0.05, tolerance=0.25, threshold=900.0
    )
    sides = {
        "treatment": SideTotals(first_k={"latency_p95": {0: 40}, "latency_p95:tolerance": {0: 9}}),
        "control": SideTotals(first_k={"latency_p95": {0: 50}, "latency_p95:tolerance": {0: 50}}),
    }
    each = EpochTotals(plan_id="p1", epoch=1, sides=sides)

    found = weigh(rule, evidence(each, epochs={1: 2_500}))

    assert found.is_harmful
    assert not found.is_breached
    assert found.cells == [OddsCell(k_treatment=9, k_control=50, chance=0.25)]


def test_a_breach_is_harm() -> None:
    found = weigh(RULE, evidence(totals(1, {0: 90}, {0: 30}), epochs={1: 2_500}))

    assert found.is_breached
    assert found.is_harmful
    assert not found.is_within


def test_few_events_of_treatment_show_that_the_tolerance_is_kept() -> None:
    found = weigh(RULE, evidence(totals(1, {0: 50}, {0: 400}), epochs={1: 2_500}))

    assert found.is_within
    assert not found.is_harmful


def test_tolerated_events_are_what_the_null_expects() -> None:
    found = weigh(RULE, evidence(totals(1, {0: 30}, {0: 70}), epochs={1: 5_000}))

    assert tolerated_events(found) == pytest.approx(60.0)


def test_a_side_that_had_no_traffic_is_all_zeros() -> None:
    assert side_of(EpochTotals(plan_id="p1", epoch=1, sides={}), "treatment") == SideTotals()

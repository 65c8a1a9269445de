"""Whole rollouts under simulated traffic: the right end, soon enough, and without false alarms."""

from math import log

import numpy as np
import pytest
from scipy.stats import norm

from tests.releases.traffic import Behaviour, Ending, Rollout, demo_plan, history_of
from trimtab.events.totals import EpochTotals, SideTotals
from trimtab.releases.evidence import EValues, PlanEvidence, weigh
from trimtab.releases.rollout import Guardrail

BASE = Behaviour(flagged=0.08)
GOOD = Behaviour(flagged=0.06)
HARMFUL = Behaviour(flagged=0.18, latency_ms=250.0 * 1.8)


def rolled_out(candidate: Behaviour, *, seed: int, baseline: Behaviour = BASE) -> Ending:
    rng = np.random.default_rng(seed)
    plan = demo_plan(history_of(baseline, n=600, rng=rng))
    versions = {"control": baseline, "treatment": candidate}
    return Rollout(plan, versions=versions, rng=rng).run()


@pytest.mark.parametrize("seed", range(6))
def test_a_good_candidate_climbs_to_the_end(seed: int) -> None:
    assert rolled_out(GOOD, seed=seed).action.kind == "finish"


@pytest.mark.parametrize("seed", range(6))
def test_a_harmful_candidate_is_taken_back_within_two_hundred_treated(seed: int) -> None:
    ending = rolled_out(HARMFUL, seed=seed)

    assert ending.action.kind == "roll_back"
    assert ending.n_treated <= 200


def test_a_candidate_that_only_flags_more_is_taken_back_on_that_rule() -> None:
    ending = rolled_out(Behaviour(flagged=0.30), seed=3)

    assert ending.action.kind == "roll_back"
    assert ending.action.guardrail == "flagged_rate > 1.5x"


@pytest.mark.more
def test_two_hundred_demos_end_right() -> None:
    good = [rolled_out(GOOD, seed=seed) for seed in range(100, 200)]
    harmful = [rolled_out(HARMFUL, seed=seed, baseline=GOOD) for seed in range(200, 300)]

    assert {each.action.kind for each in good} == {"finish"}
    assert {each.action.kind for each in harmful} == {"roll_back"}
    assert float(np.median([each.n_treated for each in harmful])) <= 120


RAMP = (100, 500, 2_500, 5_000)
REQUESTS = (8_000, 8_000, 8_000, 16_000)


def ramp_of_requests(
    rates: tuple[float, float], *, rng: np.random.Generator, look: int = 400, drift: bool = False
) -> list[tuple[int, int, int, int, int]]:
    """Looks at a ramp: epoch, n and k of treatment, n and k of control, as sums in the epoch."""
    out = []
    for epoch, (share, total) in enumerate(zip(RAMP, REQUESTS, strict=True), start=1):
        looks = total // look
        base = (0.5 + 0.5 * epoch) if drift else 1.0
        n = rng.binomial(look, share / 10_000, size=looks)
        k = rng.binomial(n, rates[0] * base).cumsum()
        other = rng.binomial(look - n, rates[1] * base).cumsum()
        sums = zip(n.cumsum().tolist(), k.tolist(), other.tolist(), strict=True)
        for i, (n_t, k_t, k_c) in enumerate(sums, start=1):
            out.append((epoch, n_t, k_t, i * look - n_t, k_c))
    return out


def side(name: str, *, n: int, k: int) -> SideTotals:
    return SideTotals(n_units=n, new_units=n, n_requests=n, n={name: n}, first_k={name: {0: k}})


def weighed(
    rows: list[tuple[int, int, int, int, int]], rule: Guardrail
) -> list[tuple[int, EValues]]:
    """Treated so far and the e-values, look after look."""
    name = rule.metric if rule.tolerance is None else rule.metric + ":tolerance"
    done: list[EpochTotals] = []
    before, out = 0, []
    epochs = dict(enumerate(RAMP, start=1))
    for i, (epoch, n_t, k_t, n_c, k_c) in enumerate(rows):
        sides = {"treatment": side(name, n=n_t, k=k_t), "control": side(name, n=n_c, k=k_c)}
        now = EpochTotals(plan_id="p1", epoch=epoch, sides=sides)
        evidence = PlanEvidence(epochs=epochs, current=epoch, totals=[*done, now])
        out.append((before + n_t, weigh(rule, evidence)))
        if i + 1 < len(rows) and rows[i + 1][0] != epoch:
            done.append(now)
            before += n_t
    return out


FLAGGED = Guardrail(text="flagged_rate > 1.5x", metric="flagged_rate", alpha=0.05, ratio=1.5)
SLOW = Guardrail(
    text="latency_p95 +25%", metric="latency_p95", alpha=0.05, tolerance=0.25, threshold=1_000.0
)


def over_limit(slower: float, *, sigma: float = 0.6) -> float:
    """Chance that a lognormal latency, that much slower, exceeds 1.25 q of its baseline's p95."""
    return float(norm.sf((log(1.25 / slower)) / sigma + norm.isf(0.05)))


def breaches(
    rates: tuple[float, float], rule: Guardrail, *, runs: int, seed: int, drift: bool = False
) -> int:
    """Runs in which the rule is ever breached."""
    rng = np.random.default_rng(seed)
    ramps = (ramp_of_requests(rates, rng=rng, drift=drift) for _ in range(runs))
    return sum(any(each.is_breached for _, each in weighed(ramp, rule)) for ramp in ramps)


def test_an_equal_candidate_is_hardly_ever_taken_back_for_its_flags() -> None:
    assert breaches((0.04, 0.04), FLAGGED, runs=200, seed=21) <= 2


@pytest.mark.more
def test_false_rollbacks_of_tolerances_stay_under_two_in_a_thousand() -> None:
    assert breaches((0.04, 0.04), FLAGGED, runs=1_500, seed=22) <= 3
    assert breaches((over_limit(1.0), 0.05), SLOW, runs=1_500, seed=23) <= 3


@pytest.mark.more
def test_a_candidate_at_its_tolerance_is_taken_back_in_five_per_cent_at_most() -> None:
    assert breaches((0.06, 0.04), FLAGGED, runs=1_000, seed=24) <= 60
    assert breaches((0.06, 0.04), FLAGGED, runs=1_000, seed=28, drift=True) <= 60
    assert breaches((over_limit(1.25), 0.05), SLOW, runs=1_000, seed=25) <= 60


@pytest.mark.more
def test_a_ramp_finds_a_doubled_flagged_rate_early_and_its_breach_later() -> None:
    rng = np.random.default_rng(26)
    harm, breach = [], []
    for _ in range(400):
        looks = weighed(ramp_of_requests((0.08, 0.04), rng=rng, look=100), FLAGGED)
        harm.append(next((n for n, each in looks if each.is_harmful), 13_000))
        breach.append(next((n for n, each in looks if each.is_breached), 13_000))

    assert float(np.median(harm)) <= 300
    assert float(np.median(breach)) <= 1_300


@pytest.mark.more
def test_a_latency_half_as_long_again_is_a_breach_of_a_quarter_before_half_the_traffic() -> None:
    rng = np.random.default_rng(27)
    stops = []
    for _ in range(300):
        looks = weighed(ramp_of_requests((over_limit(1.5), 0.05), rng=rng), SLOW)
        stops.append(next((n for n, each in looks if each.is_breached), 13_000))

    assert float(np.median(stops)) <= 650
    assert float(np.mean([n <= 2_500 for n in stops])) >= 0.99


USERS = 3_000
SEVEN = (100, 200, 500, 1_000, 2_000, 3_500, 5_000)


def users_of_a_ramp(
    *, factor: float, rng: np.random.Generator, per_epoch: int = 4
) -> list[EpochTotals]:
    """Looks at users of very unequal habits; totals of one epoch each, as sums in that epoch."""
    name = "flagged_rate"
    hashes = rng.random(USERS) * 10_000
    habit = 0.12 * rng.gamma(0.5, 2.0, size=USERS) * rng.gamma(0.5, 2.0, size=USERS)
    before = np.zeros(USERS, dtype=int)
    known = np.zeros(USERS, dtype=bool)
    out = []
    for epoch, share in enumerate(SEVEN, start=1):
        treated = hashes < share
        first = rng.exponential(size=USERS) / (habit * np.where(treated, factor, 1.0) + 1e-12)
        for look in range(1, per_epoch + 1):
            counts = (first < look / per_epoch) & ~known
            sides = {}
            for variant, mask in (("treatment", treated), ("control", ~treated)):
                k = np.bincount(before[counts & mask], minlength=epoch)
                first_k = {i: int(v) for i, v in enumerate(k.tolist()) if v}
                sides[variant] = SideTotals(first_k={name: first_k})
            out.append(EpochTotals(plan_id="p1", epoch=epoch, sides=sides))
        counted = (first < 1.0) & ~known
        known |= counted & treated
        before[counted & ~treated] = epoch
    return out


def user_alarms(*, factor: float, alpha: float, runs: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    rule = Guardrail(text="flagged_rate worse", metric="flagged_rate", alpha=alpha)
    epochs = dict(enumerate(SEVEN, start=1))
    alarms = 0
    for _ in range(runs):
        done: dict[int, EpochTotals] = {}
        for now in users_of_a_ramp(factor=factor, rng=rng):
            done[now.epoch] = now
            evidence = PlanEvidence(epochs=epochs, current=now.epoch, totals=list(done.values()))
            if weigh(rule, evidence).is_breached:
                alarms += 1
                break
    return alarms


def test_a_ramp_over_the_same_users_alarms_within_its_alpha() -> None:
    assert user_alarms(factor=1.0, alpha=0.05, runs=150, seed=31) <= 16


@pytest.mark.more
def test_two_thousand_ramps_over_the_same_users_alarm_within_their_alpha() -> None:
    assert user_alarms(factor=1.0, alpha=0.05, runs=2_000, seed=32) <= 120
    assert user_alarms(factor=1.0, alpha=0.0125, runs=2_000, seed=33) <= 40


@pytest.mark.more
def test_a_doubled_rate_among_the_same_users_is_found() -> None:
    assert user_alarms(factor=2.0, alpha=0.05, runs=300, seed=34) >= 0.95 * 300

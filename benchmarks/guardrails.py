"""What a guardrail costs: one e-value from its state, and a whole assessment of a plan.

Promises: an e-value is far cheaper than SciPy's exact binomial test of the same counts, and a plan
of five guardrails is assessed well within a tick.
"""

import functools
import sys
import timeit
from collections.abc import Callable

import numpy as np
from scipy.stats import binomtest

from trimtab.events.totals import BaselineHistory, EpochTotals, SideTotals
from trimtab.releases.evidence import PlanEvidence, weigh
from trimtab.releases.guardrails import assess
from trimtab.releases.rollout import Guardrail, Plan, PlanFile, Step, freeze
from trimtab.stats.eprocess import OddsCell, log_e, mixture
from trimtab.stats.quantiles import BucketHistogram

SHARES = {1: 1_000, 2: 2_500, 3: 5_000}
RATES = ("flagged_rate", "error_rate")
SERIES = (*RATES, "latency_p95", "latency_p95:tolerance")

FASTER_THAN_SCIPY = 3.0
"""The e-value against `binomtest` of the same counts, at least."""

ASSESSMENT_MS = 10.0
"""A tick's budget for five guardrails of one plan."""


def microseconds(call: Callable[[], object], *, number: int) -> float:
    """Best mean time of a call over seven rounds."""
    return min(timeit.repeat(call, number=number, repeat=7)) / number * 1e6


def cells() -> list[OddsCell]:
    """A ramp's typical state: three epochs, units of earlier ones apart."""
    chances = (0.1, 0.25, 1 / 6, 0.5, 4 / 9, 1 / 3)
    return [OddsCell(k_treatment=20, k_control=60, chance=chance) for chance in chances]


def side(rng: np.random.Generator, n: int, epoch: int) -> SideTotals:
    """One side's totals with `n` units."""
    latency = BucketHistogram.of(rng.lognormal(6, 0.5, size=n).tolist())
    first_k = {before: max(1, n // 40) for before in range(epoch)}
    return SideTotals(
        n_units=n,
        new_units=n,
        n_requests=n,
        k=dict.fromkeys(SERIES, n // 20),
        n=dict.fromkeys(SERIES, n),
        first_k=dict.fromkeys(SERIES, first_k),
        histograms={"latency_ms": latency.encode()},
    )


def totals() -> list[EpochTotals]:
    """Three epochs of a few thousand units."""
    rng = np.random.default_rng(1)
    return [
        EpochTotals(
            plan_id="p1",
            epoch=epoch,
            sides={
                "treatment": side(rng, 4_000 * share // 10_000, epoch),
                "control": side(rng, 4_000 - 4_000 * share // 10_000, epoch),
            },
        )
        for epoch, share in SHARES.items()
    ]


def plan(n_guardrails: int) -> Plan:
    """A plan with so many guardrails; beyond three they repeat, for the cost alone."""
    rng = np.random.default_rng(2)
    latency = BucketHistogram.of(rng.lognormal(6, 0.5, size=3_000).tolist())
    file = PlanFile(
        prompt="support.reply",
        environment="prod",
        candidate="1.1.0",
        unit="thread",
        steps=[Step(share=share, hold_s=5.0, min_treated=100) for share in SHARES.values()],
        guardrails=["flagged_rate > 1.5x", "error_rate > 1.5x", "latency_p95 +25%"],
    )
    history = BaselineHistory(n_requests=3_000, latency_ms=latency.encode())
    frozen = freeze(file, baseline_sha="a" * 64, candidate_sha="b" * 64, history=history).plan
    rules: list[Guardrail] = [*frozen.guardrails, *frozen.guardrails]
    return Plan(
        prompt=frozen.prompt,
        environment=frozen.environment,
        candidate=frozen.candidate,
        baseline=frozen.baseline,
        unit=frozen.unit,
        alpha=frozen.alpha,
        steps=frozen.steps,
        guardrails=rules[:n_guardrails],
    )


def main() -> int:
    """Measure, print, and compare; 1 if a promise is broken."""
    bets = mixture()
    one = [OddsCell(k_treatment=30, k_control=100, chance=0.25)]
    ramp = cells()
    counted = totals()
    evidence = PlanEvidence(epochs=SHARES, current=3, totals=counted)
    rule = plan(3).guardrails[0]
    one_us = microseconds(lambda: log_e(one, mixture=bets, ratio=1.5), number=5_000)
    ramp_us = microseconds(lambda: log_e(ramp, mixture=bets, ratio=1.5), number=5_000)
    weigh_us = microseconds(lambda: weigh(rule, evidence), number=1_000)
    scipy_us = microseconds(lambda: binomtest(30, 130, 1 / 3, alternative="greater"), number=500)
    print(f"one e-value, one epoch            {one_us:8.1f} us")
    print(f"one e-value, a ramp's six cells   {ramp_us:8.1f} us")
    print(f"one guardrail's three e-values    {weigh_us:8.1f} us")
    print(f"scipy.stats.binomtest             {scipy_us:8.1f} us  {scipy_us / one_us:.0f} x one")
    slowest_ms = 0.0
    for n in (3, 5):
        chosen = plan(n)
        call = functools.partial(assess, chosen, counted, epochs=SHARES, current_epoch=3)
        us = microseconds(call, number=20)
        slowest_ms = max(slowest_ms, us / 1_000)
        print(f"assessment of {n} guardrails         {us / 1_000:8.2f} ms")
    kept = scipy_us / one_us >= FASTER_THAN_SCIPY and slowest_ms <= ASSESSMENT_MS
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

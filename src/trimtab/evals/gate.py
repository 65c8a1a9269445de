"""The gate: whether a version's evaluation is good enough, alone and beside the one it replaces.

The rule: the mean score reaches `min_score`; each scorer's mean reaches its threshold; and over
the same samples the mean paired difference to the baseline (candidate - baseline) is not under
-`max_drop`, by the mean or by its interval's lower limit. Nothing else lets a version pass or fail.
"""

import math
from collections.abc import Sequence

import msgspec

from trimtab.evals.report import EvalReport
from trimtab.evals.suite import Gate
from trimtab.stats.moments import Moments
from trimtab.stats.undefined import Estimate, Undefined


class PairedDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of the same samples under two versions.

    Attributes:
        mean: Candidate - baseline, in score.
        interval: Student's interval of the mean.
        better: Samples on which the candidate scores higher.
        worse: Samples on which it scores lower.
        sign_test_p: Two-sided exact p-value of better against worse, ties left out.
    """

    n: int
    mean: float
    interval: Estimate | Undefined
    better: int
    worse: int
    sign_test_p: float


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the gate opens, each demand that is not met, and the numbers used."""

    passed: bool
    reasons: list[str]
    score: float
    baseline_score: float | None = None
    difference: PairedDifference | None = None
    notes: list[str] = []


def judge(report: EvalReport, baseline: EvalReport | None, *, gate: Gate) -> GateResult:
    """Hold a report against the suite's gate and the baseline's report.

    Args:
        report: Of the version that wants in.
        baseline: Of the version now in the environment; None if there is none yet.
        gate: The demands; the scorers' thresholds are in the report.
    """
    reasons = _alone(report, gate)
    if baseline is None or baseline.sha == report.sha:
        notes = ["no other version to compare with"] if gate.max_drop is not None else []
        return GateResult(passed=not reasons, reasons=reasons, score=report.score, notes=notes)
    if (mismatch := _mismatch(report, baseline)) is not None:
        reasons += [mismatch] if gate.max_drop is not None else []
        return GateResult(
            passed=not reasons,
            reasons=reasons,
            score=report.score,
            baseline_score=baseline.score,
            notes=[mismatch],
        )
    difference = _compare(report, baseline, alpha=gate.alpha)
    if (drop := _drop(difference, gate)) is not None:
        reasons.append(drop)
    return GateResult(
        passed=not reasons,
        reasons=reasons,
        score=report.score,
        baseline_score=baseline.score,
        difference=difference,
    )


def paired_difference(differences: Sequence[float], *, alpha: float = 0.05) -> PairedDifference:
    """Mean of paired differences with Student's interval and the exact sign test.

    Args:
        differences: Candidate - baseline, one a sample; at least one.
        alpha: Two-sided error rate, in (0, 1).

    Source:
        Conover (1999), Practical Nonparametric Statistics, section 3.4, for the sign test.
    """
    moments = Moments.of(differences)
    better = sum(difference > 0 for difference in differences)
    worse = sum(difference < 0 for difference in differences)
    return PairedDifference(
        n=moments.n,
        mean=moments.mean or 0.0,
        interval=_interval(moments, alpha=alpha),
        better=better,
        worse=worse,
        sign_test_p=sign_test(better, worse),
    )


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p-value of as uneven a split of better + worse fair coins; 1 of none."""
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    return float(min(1.0, 2 * tail / 2**n))


def _interval(moments: Moments, *, alpha: float) -> Estimate | Undefined:
    if moments.n < 2 or moments.mean is None or moments.se is None:
        return Undefined(reason="n<2")
    if moments.se == 0:
        return Undefined(reason="zero_variance")
    from scipy.special import stdtrit

    half = float(stdtrit(moments.n - 1, 1 - alpha / 2)) * moments.se
    return Estimate(value=moments.mean, low=moments.mean - half, high=moments.mean + half)


def _alone(report: EvalReport, gate: Gate) -> list[str]:
    reasons = []
    if gate.min_score is not None and report.score < gate.min_score:
        reasons.append(f"score {report.score:.3f} is under min_score {gate.min_score:g}")
    reasons.extend(
        f"{scorer.name} scores {scorer.mean:.3f}, under its threshold {scorer.threshold:g}"
        for scorer in report.scorers
        if scorer.threshold is not None and scorer.mean < scorer.threshold
    )
    if report.n_errors and report.n_errors == len(report.results):
        reasons.append(f"all {report.n_errors} answers failed: {report.results[0].error}")
    return reasons


def _mismatch(report: EvalReport, baseline: EvalReport) -> str | None:
    for what in ("suite_sha", "dataset_sha"):
        ours, theirs = getattr(report, what), getattr(baseline, what)
        if ours != theirs:
            return (
                f"the baseline was run with {what} {theirs[:8]}, this one with {ours[:8]}: "
                "not comparable; run the suite on the baseline again"
            )
    return None


def _compare(report: EvalReport, baseline: EvalReport, *, alpha: float) -> PairedDifference:
    before = baseline.by_sample()
    pairs = [score - before[sample] for sample, score in report.by_sample().items()]
    return paired_difference(pairs, alpha=alpha)


def _drop(difference: PairedDifference, gate: Gate) -> str | None:
    if gate.max_drop is None:
        return None
    worst, what = difference.mean, "the mean paired difference"
    if gate.drop_by == "interval" and isinstance(difference.interval, Estimate):
        worst, what = difference.interval.low or 0.0, "the lower limit of the paired difference"
    if gate.drop_by == "interval" and difference.n < 2:
        return "drop_by: interval needs at least two samples"
    if worst >= -gate.max_drop - 1e-12:
        return None
    return f"{what} {worst:+.3f} is under -max_drop {-gate.max_drop:g} ({difference.n} samples)"

from datetime import UTC, datetime

import msgspec
import pytest
from scipy import stats

from trimtab.evals.gate import GateResult, judge, paired_difference, sign_test
from trimtab.evals.report import EvalReport, SampleResult, ScorerSummary
from trimtab.evals.suite import Gate
from trimtab.stats.undefined import Estimate, Undefined

BEFORE = [1.0, 0.5, 1.0, 0.0, 1.0, 0.5, 1.0, 1.0]


def report(
    scores: list[float], *, sha: str = "new", dataset: str = "d", errors: int = 0
) -> EvalReport:
    mean = sum(scores) / len(scores)
    return EvalReport(
        suite="s",
        suite_sha="s",
        dataset_sha=dataset,
        prompt="p",
        sha=sha,
        version=None,
        model="openai/m",
        started_at=datetime(2026, 5, 1, tzinfo=UTC),
        n_samples=len(scores),
        repeat=1,
        n_errors=errors,
        score=mean,
        scorers=[ScorerSummary(name="right", mean=mean, threshold=0.4)],
        results=[
            SampleResult(
                sample=str(i), turn=0, score=score, error="provider down" if i < errors else None
            )
            for i, score in enumerate(scores)
        ],
    )


def judged(scores: list[float], gate: Gate) -> GateResult:
    return judge(report(scores), report(BEFORE, sha="old"), gate=gate)


def test_a_score_at_the_minimum_passes_and_one_under_it_fails() -> None:
    assert judge(report([0.5, 1.0]), None, gate=Gate(min_score=0.75)).passed
    under = judge(report([0.5, 0.9]), None, gate=Gate(min_score=0.75))
    assert not under.passed
    assert under.reasons == ["score 0.700 is under min_score 0.75"]


def test_a_scorer_under_its_threshold_fails_the_gate() -> None:
    result = judge(report([0.3, 0.3]), None, gate=Gate())

    assert result.reasons == ["right scores 0.300, under its threshold 0.4"]


def test_a_drop_is_allowed_up_to_the_margin() -> None:
    worse = [score - 0.1 if score else 0.0 for score in BEFORE]

    assert judged(worse, Gate(max_drop=0.1)).passed
    failed = judged(worse, Gate(max_drop=0.08))
    assert not failed.passed
    assert failed.difference is not None
    assert failed.difference.mean == pytest.approx(-0.0875)
    assert failed.difference.worse == 7
    assert failed.difference.better == 0


def test_by_interval_the_drop_must_be_shown_to_be_small() -> None:
    noisy = [0.5, 1.0, 0.5, 0.5, 1.0, 0.5, 1.0, 1.0]

    assert judged(noisy, Gate(max_drop=0.1)).passed
    assert not judged(noisy, Gate(max_drop=0.1, drop_by="interval")).passed


def test_identical_scores_pass_by_interval() -> None:
    assert judged(BEFORE, Gate(max_drop=0.0, drop_by="interval")).passed


def test_the_first_version_of_an_environment_is_compared_with_nothing() -> None:
    result = judge(report([0.9, 0.9]), None, gate=Gate(max_drop=0.01))

    assert result.passed
    assert result.notes == ["no other version to compare with"]


def test_a_baseline_run_on_other_samples_cannot_be_compared() -> None:
    baseline = report(BEFORE, sha="old", dataset="another")

    result = judge(report(BEFORE), baseline, gate=Gate(max_drop=0.1))

    assert not result.passed
    assert "run the suite on the baseline again" in result.reasons[0]
    assert judge(report(BEFORE), baseline, gate=Gate()).passed


def test_a_run_without_a_single_answer_never_passes() -> None:
    result = judge(report([0.0, 0.0], errors=2), None, gate=Gate())

    assert "all 2 answers failed: provider down" in result.reasons


def test_the_paired_interval_agrees_with_scipy() -> None:
    differences = [0.1, -0.2, 0.0, 0.3, 0.25, -0.05, 0.0, 0.1]

    result = paired_difference(differences, alpha=0.1)

    low, high = stats.ttest_1samp(differences, 0.0).confidence_interval(0.9)
    assert isinstance(result.interval, Estimate)
    assert result.interval.low == pytest.approx(low)
    assert result.interval.high == pytest.approx(high)


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (5, 0), (3, 9), (7, 7), (1, 2)])
def test_the_sign_test_agrees_with_scipy(better: int, worse: int) -> None:
    expected = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0

    assert sign_test(better, worse) == pytest.approx(expected)


def test_without_spread_or_pairs_the_interval_is_undefined() -> None:
    assert paired_difference([0.1]).interval == Undefined(reason="n<2")
    assert paired_difference([0.0, 0.0]).interval == Undefined(reason="zero_variance")


def test_a_result_survives_json() -> None:
    result = judged(BEFORE, Gate(max_drop=0.1))

    assert msgspec.json.decode(msgspec.json.encode(result), type=GateResult) == result

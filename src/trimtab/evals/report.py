"""What a run of a suite gave: the answers' scores, their means, and what was run on what."""

from datetime import datetime

import msgspec

from trimtab.evals.scorers import Score


class SampleResult(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to one sample.

    Attributes:
        turn: Which repetition, from 0.
        scores: By the scorer's name; empty after an error.
        score: Mean of the scores; 0 after an error.
        error: Why there is no answer to score; None if there is one.
        cost_usd: None = unknown.
    """

    sample: str
    turn: int
    score: float
    scores: dict[str, Score] = {}
    error: str | None = None
    answer: str = ""
    finish_reason: str | None = None
    latency_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    tags: list[str] = []


class ScorerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A scorer's mean over all answers (errors count as 0), and the mean the suite demands."""

    name: str
    mean: float
    threshold: float | None = None


class EvalReport(msgspec.Struct, frozen=True, kw_only=True):
    """A run of one suite on one version; `score` is the mean over all answers, errors as 0.

    `cost_usd` is the sum over the answers; None where one of them is unknown.
    """

    suite: str
    suite_sha: str
    dataset_sha: str
    prompt: str
    sha: str
    version: str | None
    model: str | None
    started_at: datetime
    n_samples: int
    repeat: int
    n_errors: int
    score: float
    scorers: list[ScorerSummary]
    results: list[SampleResult]
    cost_usd: float | None = None

    def by_sample(self) -> dict[str, float]:
        """Each sample's mean score over its repetitions, in the dataset's order."""
        scores: dict[str, list[float]] = {}
        for result in self.results:
            scores.setdefault(result.sample, []).append(result.score)
        return {sample: sum(values) / len(values) for sample, values in scores.items()}

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from trimtab.errors import DatasetError, ProviderError, VariableError
from trimtab.evals.completion import Complete, Completion, CompletionRequest
from trimtab.evals.dataset import Dataset, Sample
from trimtab.evals.report import EvalReport
from trimtab.evals.runner import Candidate, no_progress, run_suite
from trimtab.evals.suite import LoadedSuite, ScorerEntry, Suite, join_suite

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def loaded(*, n: int = 6, repeat: int = 1, concurrency: int = 2, prompt: str = "p") -> LoadedSuite:
    suite = Suite(
        name="s",
        prompt=prompt,
        dataset="d",
        scorers=[ScorerEntry(scorer="exact", threshold=0.5)],
        repeat=repeat,
        concurrency=concurrency,
    )
    samples = tuple(
        Sample(id=f"s{i}", variables={"question": f"q{i}"}, expected=f"q{i}") for i in range(n)
    )
    return join_suite(suite, Dataset(samples=samples, sha="d"), where="s")


def render(values: Mapping[str, Any], history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if values["question"] == "q1":
        raise VariableError("question: is q1, want another")
    return [*history, {"role": "user", "content": values["question"]}]


CANDIDATE = Candidate(
    prompt="p",
    sha="a" * 64,
    version="1.0.0",
    model="openai/m-2024-01-01",
    render=render,
    sampling={"temperature": 0},
)


async def echo(request: CompletionRequest) -> Completion:
    await asyncio.sleep(0)
    if request.messages[-1]["content"] == "q2":
        raise ProviderError("provider answered 500")
    return Completion(text=request.messages[-1]["content"], output_tokens=3, cost_usd=0.5)


def run(suite: LoadedSuite, complete: Complete = echo, **options: Any) -> EvalReport:
    return asyncio.run(run_suite(suite, CANDIDATE, complete=complete, started_at=NOW, **options))


def test_answers_are_scored_and_failures_count_as_zero() -> None:
    report = run(loaded())

    assert [result.score for result in report.results] == [1, 0, 0, 1, 1, 1]
    assert report.results[1].error == "question: is q1, want another"
    assert report.results[2].error == "provider answered 500"
    assert report.n_errors == 2
    assert report.score == pytest.approx(4 / 6)
    [summary] = report.scorers
    assert summary.mean == pytest.approx(4 / 6)
    assert report.cost_usd == pytest.approx(2.0)


def test_the_version_s_own_fields_reach_the_call() -> None:
    seen: list[CompletionRequest] = []

    async def keep(request: CompletionRequest) -> Completion:
        seen.append(request)
        return Completion(text="x")

    run(loaded(n=1), keep)

    assert seen[0].model == "openai/m-2024-01-01"
    assert seen[0].sampling == {"temperature": 0}


def test_each_sample_is_asked_as_often_as_the_suite_says() -> None:
    report = run(loaded(n=3, repeat=4))

    assert [(r.sample, r.turn) for r in report.results] == [
        (f"s{i}", turn) for i in range(3) for turn in range(4)
    ]
    assert report.by_sample() == {"s0": 1, "s1": 0, "s2": 0}


def test_no_more_calls_are_open_than_the_suite_allows() -> None:
    open_now = 0
    most = 0

    async def count(_request: CompletionRequest) -> Completion:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        open_now -= 1
        return Completion(text="x")

    run(loaded(n=20, concurrency=3), count)

    assert most == 3


def test_progress_reaches_the_total() -> None:
    seen: list[tuple[int, int]] = []

    run(loaded(n=5), progress=lambda done, total: seen.append((done, total)))

    assert seen == [(i, 5) for i in range(1, 6)]
    assert no_progress(1, 2) is None  # type: ignore[func-returns-value]  # that it says nothing


def test_one_unknown_cost_makes_the_sum_unknown() -> None:
    async def sometimes(request: CompletionRequest) -> Completion:
        known = request.messages[-1]["content"] != "q3"
        return Completion(text="x", cost_usd=1.0 if known else None)

    assert run(loaded(), sometimes).cost_usd is None


def test_a_suite_for_another_prompt_is_refused() -> None:
    with pytest.raises(DatasetError, match='not "p"'):
        run(loaded(prompt="other"))


def test_an_unusable_expectation_stops_the_run() -> None:
    suite = Suite(prompt="p", dataset="d", scorers=[ScorerEntry(scorer="token_overlap")])
    samples = (Sample(id="a", variables={"question": "q"}, expected=3),)

    with pytest.raises(DatasetError, match="wants a text"):
        run(join_suite(suite, Dataset(samples=samples, sha="d"), where="s"))


def test_a_report_survives_json() -> None:
    report = run(loaded())

    assert msgspec.json.decode(msgspec.json.encode(report), type=EvalReport) == report

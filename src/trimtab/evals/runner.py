"""The runner: asks every sample of a suite with bounded concurrency, and scores the answers."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from trimtab.errors import DatasetError, TrimtabError
from trimtab.evals.completion import Complete, Completion, CompletionRequest
from trimtab.evals.dataset import Sample
from trimtab.evals.report import EvalReport, SampleResult, ScorerSummary
from trimtab.evals.suite import LoadedSuite
from trimtab.prompts.template import CompiledTemplate
from trimtab.prompts.version import Version

Render = Callable[[Mapping[str, Any], Sequence[dict[str, Any]]], list[dict[str, Any]]]
"""Variables and history → messages; raises a TrimtabError where they do not fit."""

Progress = Callable[[int, int], None]
"""Called with (answers so far, answers in all)."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """The version under evaluation: what it is, how it renders, and the model it pins."""

    prompt: str
    sha: str
    version: str | None
    model: str
    render: Render
    sampling: dict[str, Any] = {}
    tools: list[Any] = []
    response_format: dict[str, Any] | None = None


def candidate_of(
    prompt: str, version: Version, template: CompiledTemplate, *, semver: str | None
) -> Candidate:
    """The candidate for a version and its compiled template.

    Raises:
        DatasetError: The version pins no model, so nothing can be asked.
    """
    if version.model is None:
        raise DatasetError(f"{prompt} pins no model; an evaluation needs one, give it in the file")

    def render(
        variables: Mapping[str, Any], history: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        return template.render(variables, history=history)

    return Candidate(
        prompt=prompt,
        sha=version.sha,
        version=semver,
        model=version.model,
        render=render,
        sampling=version.sampling,
        tools=version.tools,
        response_format=version.response_format,
    )


def no_progress(_done: int, _total: int) -> None:
    """The progress callback that says nothing."""


async def run_suite(
    loaded: LoadedSuite,
    candidate: Candidate,
    *,
    complete: Complete,
    started_at: datetime,
    progress: Progress = no_progress,
    timer: Callable[[], float] = time.perf_counter,
) -> EvalReport:
    """Ask each sample `repeat` times and score the answers; nothing is tried again.

    A sample whose rendering or call fails scores 0 and says why.

    Args:
        loaded: The suite with its dataset and scorers.
        candidate: The version to ask.
        complete: The call; its ProviderError counts as the sample's failure.
        started_at: The report's time.
        progress: Told after each answer.
        timer: Seconds of a monotonic clock, for the latencies.

    Raises:
        DatasetError: The suite is for another prompt, or a scorer finds an `expected` it cannot
            use: trouble of the suite, not of the version.
    """
    suite = loaded.suite
    if suite.prompt != candidate.prompt:
        raise DatasetError(
            f'suite "{suite.name}" is for prompt "{suite.prompt}", not "{candidate.prompt}"'
        )
    slots = asyncio.Semaphore(suite.concurrency)
    total = len(loaded.dataset.samples) * suite.repeat
    done = 0

    async def one(sample: Sample, turn: int) -> SampleResult:
        nonlocal done
        async with slots:
            result = await _ask(loaded, candidate, sample, turn, complete=complete, timer=timer)
        done += 1
        progress(done, total)
        return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one(sample, turn))
                for sample in loaded.dataset.samples
                for turn in range(suite.repeat)
            ]
    except* DatasetError as errors:
        raise _first(errors) from errors
    return _report(loaded, candidate, [task.result() for task in tasks], started_at=started_at)


async def _ask(
    loaded: LoadedSuite,
    candidate: Candidate,
    sample: Sample,
    turn: int,
    *,
    complete: Complete,
    timer: Callable[[], float],
) -> SampleResult:
    blank = SampleResult(sample=sample.id, turn=turn, score=0.0, tags=sample.tags)
    started = timer()
    try:
        completion = await complete(
            CompletionRequest(
                messages=candidate.render(sample.variables, sample.history),
                model=candidate.model,
                sampling=candidate.sampling,
                tools=candidate.tools,
                response_format=candidate.response_format,
            )
        )
    except (TrimtabError, OSError) as error:
        reason = str(error) or type(error).__name__
        return msgspec.structs.replace(blank, error=reason)
    return _scored(loaded, sample, blank, completion, latency_ms=(timer() - started) * 1000)


def _scored(
    loaded: LoadedSuite,
    sample: Sample,
    blank: SampleResult,
    completion: Completion,
    *,
    latency_ms: float,
) -> SampleResult:
    scores = {
        name: score(completion.text, sample.expected) for name, score in loaded.scorers.items()
    }
    return msgspec.structs.replace(
        blank,
        score=sum(score.value for score in scores.values()) / len(scores),
        scores=scores,
        answer=completion.text,
        finish_reason=completion.finish_reason,
        latency_ms=latency_ms,
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        cost_usd=completion.cost_usd,
    )


def _report(
    loaded: LoadedSuite,
    candidate: Candidate,
    results: list[SampleResult],
    *,
    started_at: datetime,
) -> EvalReport:
    suite = loaded.suite
    costs = [result.cost_usd for result in results if result.error is None]
    known = [cost for cost in costs if cost is not None]
    return EvalReport(
        suite=suite.name,
        suite_sha=loaded.sha,
        dataset_sha=loaded.dataset.sha,
        prompt=candidate.prompt,
        sha=candidate.sha,
        version=candidate.version,
        model=candidate.model,
        started_at=started_at,
        n_samples=len(loaded.dataset.samples),
        repeat=suite.repeat,
        n_errors=sum(result.error is not None for result in results),
        score=sum(result.score for result in results) / len(results),
        scorers=[
            ScorerSummary(
                name=entry.name or entry.scorer,
                mean=_mean(results, entry.name or entry.scorer),
                threshold=entry.threshold,
            )
            for entry in suite.scorers
        ],
        results=results,
        cost_usd=sum(known) if known and len(known) == len(costs) else None,
    )


def _mean(results: list[SampleResult], name: str) -> float:
    values = (result.scores[name].value for result in results if name in result.scores)
    return sum(values) / len(results)


def _first(errors: BaseExceptionGroup[DatasetError]) -> DatasetError:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, DatasetError) else DatasetError(str(found))

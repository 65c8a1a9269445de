import asyncio
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from trimtab.errors import ProviderError
from trimtab.evals.completion import Complete, Completion, CompletionRequest
from trimtab.evals.gate import judge
from trimtab.evals.report import EvalReport
from trimtab.evals.runner import Candidate, candidate_of, run_suite
from trimtab.evals.suite import LoadedSuite, load_suite
from trimtab.prompts.files import build_set, read_set
from trimtab.prompts.lint import lint
from trimtab.prompts.template import compile_version
from trimtab.prompts.yaml import read_yaml
from trimtab.releases.plan_file import read_plan
from trimtab.testing.simulated_replies import reply_to
from trimtab.testing.simulation_rules import Behaviour, behaviour
from trimtab.testing.traffic import VARIABLES
from trimtab.testing.traffic_plan import arrivals

SUPPORT = Path(__file__).parents[2] / "examples" / "support"
FOLDERS = {
    "1.0.0": SUPPORT / "prompts",
    "1.1.0": SUPPORT / "candidates" / "1.1.0",
    "1.2.0": SUPPORT / "candidates" / "1.2.0",
}


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.prompt")
    }


def candidate(semver: str, prompt: str = "support.reply") -> Candidate:
    versions = build_set(read_set(texts(FOLDERS[semver])).files)
    fragments = {version.sha: version for version in versions.values()}
    template = compile_version(versions[prompt], fragments)
    return candidate_of(prompt, versions[prompt], template, semver=semver)


def simulated(seed: int) -> Complete:
    async def complete(request: CompletionRequest) -> Completion:
        body = {
            "messages": request.messages,
            "response_format": request.response_format,
            **request.sampling,
        }
        reply = reply_to(body, seed=seed)
        if reply.error_status is not None:
            raise ProviderError(f"provider answered {reply.error_status}")
        return Completion(text=reply.text, finish_reason=reply.finish_reason)

    return complete


def evaluated(suite: LoadedSuite, version: Candidate, *, seed: int) -> EvalReport:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    return asyncio.run(run_suite(suite, version, complete=simulated(seed), started_at=now))


def fares(semver: str) -> Behaviour:
    values = {**VARIABLES, "user_tier": "pro", "question": "Where is my parcel?"}
    return behaviour(candidate(semver).render(values, []))


@pytest.mark.parametrize("semver", FOLDERS)
def test_the_example_prompts_lint_clean(semver: str) -> None:
    read = read_set(texts(FOLDERS[semver]))

    assert read.errors == []
    assert lint(read.files) == []


def test_a_candidate_s_copy_of_the_fragment_is_the_base_s() -> None:
    base = (FOLDERS["1.0.0"] / "shared" / "tone.prompt").read_bytes()

    for semver in ("1.1.0", "1.2.0"):
        assert (FOLDERS[semver] / "shared" / "tone.prompt").read_bytes() == base


def test_by_the_rules_1_1_0_is_better_and_1_2_0_is_harmful() -> None:
    base, good, harmful = fares("1.0.0"), fares("1.1.0"), fares("1.2.0")

    assert base.flagged_rate == pytest.approx(0.08, abs=0.004)
    assert good.flagged_rate == pytest.approx(0.06, abs=0.004)
    assert harmful.flagged_rate == pytest.approx(0.18, abs=0.008)
    assert good.latency_scale <= base.latency_scale
    assert harmful.latency_scale == pytest.approx(1.8 * base.latency_scale)
    assert harmful.output_tokens_mean > 1.5 * base.output_tokens_mean
    assert {b.error_rate for b in (base, good, harmful)} == {0.01}


def test_every_version_renders_every_question_of_the_traffic() -> None:
    versions = [candidate(semver) for semver in FOLDERS]

    for arrival in islice(arrivals(seed=1, rate=100.0), 50):
        values = {**VARIABLES, "user_tier": arrival.tier, "question": arrival.question}
        history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
        for version in versions:
            assert version.render(values, history)[-1]["content"] == arrival.question


@pytest.mark.parametrize("seed", range(20))
def test_all_versions_pass_the_offline_suite_of_the_reply(seed: int) -> None:
    suite = load_suite(SUPPORT / "evals" / "reply.yaml")
    base = evaluated(suite, candidate("1.0.0"), seed=seed)

    assert judge(base, None, gate=suite.suite.gate).passed
    for semver in ("1.1.0", "1.2.0"):
        report = evaluated(suite, candidate(semver), seed=seed)
        assert judge(report, base, gate=suite.suite.gate).passed


@pytest.mark.parametrize("prompt", ["summary", "extract"])
def test_the_other_prompts_pass_their_suites(prompt: str) -> None:
    suite = load_suite(SUPPORT / "evals" / f"{prompt}.yaml")

    for seed in range(20):
        report = evaluated(suite, candidate("1.0.0", f"support.{prompt}"), seed=seed)
        assert judge(report, None, gate=suite.suite.gate).passed


def test_a_summariser_that_forgets_its_limit_fails_the_sentence_count() -> None:
    suite = load_suite(SUPPORT / "evals" / "summary.yaml")
    careless = texts(FOLDERS["1.0.0"])
    careless["support/summary.prompt"] = careless["support/summary.prompt"].replace(
        "Use at most {{ n_sentences }} sentences.",
        "Use as many words as you like{# {{ n_sentences }} #}.",
    )
    version = build_set(read_set(careless).files)["support.summary"]
    broken = candidate_of("support.summary", version, compile_version(version, {}), semver=None)

    kept = evaluated(suite, candidate("1.0.0", "support.summary"), seed=1).scorers[0].mean
    lost = evaluated(suite, broken, seed=1).scorers[0].mean

    assert lost < kept - 0.3


@pytest.mark.parametrize("semver", ["1.1.0", "1.2.0"])
def test_the_plans_say_what_the_contract_asks(semver: str) -> None:
    path = SUPPORT / "plans" / f"reply-{semver}.yaml"

    plan = read_plan(read_yaml(path.read_text(), where=str(path)), where=str(path))

    assert plan.candidate == semver
    assert plan.unit == "thread"
    assert [step.share for step in plan.steps] == [1_000, 2_500, 5_000]
    assert [step.min_treated for step in plan.steps] == [60, 150, 400]
    assert plan.tolerated_harm == "continue"
    assert len(plan.guardrails) == 3

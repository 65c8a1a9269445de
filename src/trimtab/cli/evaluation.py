"""`trimtab eval`: a suite run against a provider, and its gate."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from trimtab.cli.api import JsonObject, prompt_path
from trimtab.cli.commands import NO, OK
from trimtab.cli.evaluation_text import AnswersBar, print_result
from trimtab.cli.folder import load_version, looks_like_file
from trimtab.cli.options import Session, server_options
from trimtab.cli.providers import provider_settings
from trimtab.errors import BadInput, ProviderError, ServerRefused
from trimtab.evals.completion import openai_complete
from trimtab.evals.gate import GateResult, judge
from trimtab.evals.report import EvalReport
from trimtab.evals.runner import Candidate, Progress, run_suite
from trimtab.evals.suite import LoadedSuite, load_suite
from trimtab.prompts.template import compile_version
from trimtab.providers.upstream import ProviderSettings, Upstream


@click.command("eval")
@click.argument("suite", metavar="SUITE.yaml", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--ref", "reference", required=True, metavar="REF|FILE", help="What is evaluated.")
@click.option(
    "--against", metavar="ENV", help="Compare with what is live there, on the same samples."
)
@click.option(
    "--provider-url",
    envvar="TRIMTAB_PROVIDER_URL",
    show_envvar=True,
    metavar="URL",
    help="Where the model is called, in OpenAI's protocol, up to /v1.",
)
@click.option(
    "--provider-key",
    envvar="TRIMTAB_PROVIDER_KEY",
    show_envvar=True,
    metavar="KEY",
    help="The key for --provider-url.",
)
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A trimtab.toml whose providers are used where no --provider-url is given.",
)
@click.option("--no-record", is_flag=True, help="Do not tell the server what was found.")
@server_options
def evaluate(
    suite: Path,
    *,
    reference: str,
    against: str | None,
    provider_url: str | None,
    provider_key: str | None,
    settings: Path | None,
    no_record: bool,
    session: Session,
) -> int:
    """Run an evaluation suite, and its gate.

    Asks the model every sample of the suite's dataset with the version's own messages and sampling,
    scores the answers, and holds the result against the suite's gate. The result is recorded, so
    that a policy can ask for it. Providers: --provider-url, else those of --settings, else OpenAI
    with OPENAI_API_KEY.

    Example:  trimtab eval evals/reply.yaml --ref support.reply@1.1.0 --against prod

    Needs a key with the scope `author` to record. Exits with 1 if the gate says no.
    """
    loaded = load_suite(suite)
    candidate = _candidate(session, reference)
    if not no_record and looks_like_file(reference):
        _check_registered(session, candidate)
    baseline = _baseline(session, candidate, against)
    versions = [candidate, baseline] if baseline is not None else [candidate]
    providers = provider_settings(
        [each.model for each in versions], url=provider_url, key=provider_key, settings=settings
    )
    reports = _run(session, loaded, versions, providers)
    before = reports[1] if len(reports) > 1 else None
    result = judge(reports[0], before, gate=loaded.suite.gate)
    recorded = None if no_record else _record(session, reports[0], before, result)
    document = {
        "passed": result.passed,
        "gate": result,
        "report": reports[0],
        "baseline": before,
        "recorded": recorded,
    }
    session.out.show(document, lambda: print_result(session.out, reports[0], before, result))
    return OK if result.passed else NO


def _candidate(session: Session, reference: str) -> Candidate:
    """A version ready to be asked."""
    name, version, fragments = load_version(session, reference, root=None)
    if version.model is None:
        raise BadInput(f'"{reference}" names no model to ask; write one into its front matter')
    template = compile_version(version, fragments, name=name)
    return Candidate(
        prompt=name,
        sha=version.sha,
        version=None if looks_like_file(reference) else reference.partition("@")[2],
        model=version.model,
        render=lambda values, history: template.render(values, history=history),
        sampling=version.sampling,
        tools=version.tools,
        response_format=version.response_format,
    )


def _baseline(session: Session, candidate: Candidate, environment: str | None) -> Candidate | None:
    """What is live in the environment, unless nothing is, or the candidate itself."""
    if environment is None:
        return None
    known = [each["name"] for each in session.api.get("/api/v1/settings")["environments"]]
    if environment not in known:
        raise BadInput(
            f'--against names environment "{environment}"; choose from {", ".join(known)}'
        )
    try:
        found = _candidate(session, f"{candidate.prompt}@{environment}")
    except ServerRefused as error:
        if error.code not in {"unknown_version", "unknown_prompt"}:
            raise
        return None
    return found if found.sha != candidate.sha else None


def _check_registered(session: Session, candidate: Candidate) -> None:
    """Refuse to spend on an evaluation of a file that could not be recorded."""
    try:
        session.api.get(f"{prompt_path(candidate.prompt)}/versions/sha:{candidate.sha}")
    except ServerRefused as error:
        if error.code not in {"unknown_version", "unknown_prompt"}:
            raise
        raise BadInput(
            f'"{candidate.prompt}" is not registered with this content ({candidate.sha[:12]}); '
            "push it first, or add --no-record"
        ) from error


def _run(
    session: Session,
    loaded: LoadedSuite,
    versions: Sequence[Candidate],
    providers: Sequence[ProviderSettings],
) -> list[EvalReport]:
    """A report for each version; a bar on stderr counts the answers.

    Raises:
        ProviderError: Not one answer came: trouble, which says nothing of the version.
    """
    started_at = datetime.now(UTC)
    with AnswersBar(quiet=session.out.as_json, n_runs=len(versions)) as bar:
        reports = asyncio.run(
            _ask_all(loaded, versions, providers, started_at=started_at, progress=bar.told)
        )
    for report in reports:
        if report.n_errors == len(report.results):
            raise ProviderError(
                f"none of {report.n_errors} answers came; the first failed with: "
                f"{report.results[0].error}; check --provider-url, the key and the variables"
            )
    return reports


async def _ask_all(
    loaded: LoadedSuite,
    versions: Sequence[Candidate],
    providers: Sequence[ProviderSettings],
    *,
    started_at: datetime,
    progress: Progress,
) -> list[EvalReport]:
    upstreams = {each.name: Upstream(each) for each in providers}
    try:
        return [
            await run_suite(
                loaded,
                version,
                complete=openai_complete(upstreams),
                started_at=started_at,
                progress=progress,
            )
            for version in versions
        ]
    finally:
        for upstream in upstreams.values():
            await upstream.close()


def _record(
    session: Session, report: EvalReport, baseline: EvalReport | None, result: GateResult
) -> JsonObject:
    """Tell the server; policies ask for the newest result of a suite on a version."""
    scores: dict[str, object] = {scorer.name: scorer.mean for scorer in report.scorers}
    return session.api.post(
        "/api/v1/evals",
        {
            "prompt": report.prompt,
            "version": report.sha,
            "suite": report.suite,
            "suite_sha": report.suite_sha,
            "verdict": "pass" if result.passed else "fail",
            "baseline": baseline.sha if baseline is not None else None,
            "scores": {
                **scores,
                "score": report.score,
                "n_samples": report.n_samples,
                "n_errors": report.n_errors,
                "dataset_sha": report.dataset_sha,
                "baseline_score": result.baseline_score,
                "reasons": result.reasons,
            },
        },
    )

"""Evaluations on the terminal: a bar while answers come, and the result."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress

from trimtab.cli.output import ABSENT, TIMES, Output, short
from trimtab.evals.gate import GateResult
from trimtab.evals.report import EvalReport
from trimtab.stats.undefined import Estimate

FAILURES_SHOWN = 10


class AnswersBar:
    """A bar on stderr that counts the answers of all runs; silent where nobody watches."""

    def __init__(self, *, quiet: bool, n_runs: int) -> None:
        self._n_runs = n_runs
        self._before = 0
        shown = sys.stderr.isatty() and not quiet
        self._bar = Progress(console=Console(stderr=True), transient=True, disable=not shown)
        self._task = self._bar.add_task("asking", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def told(self, done: int, total: int) -> None:
        """Take the count of one run; the runs follow each other."""
        self._bar.update(
            self._task, completed=self._before + done, total=float(total * self._n_runs)
        )
        if done == total:
            self._before += total


def print_result(
    out: Output, report: EvalReport, baseline: EvalReport | None, result: GateResult
) -> None:
    """What was asked, the scores, what failed, and what the gate says."""
    out.heading(
        f"{report.prompt} {report.version or short(report.sha)} on {report.suite}: "
        f"{'the gate opens' if result.passed else 'the gate stays shut'}"
    )
    rows = [("all", f"{report.score:.3f}", "", _score(baseline, None))]
    rows += [
        (
            scorer.name,
            f"{scorer.mean:.3f}",
            "" if scorer.threshold is None else f"{scorer.threshold:g}",
            _score(baseline, scorer.name),
        )
        for scorer in report.scorers
    ]
    out.table(("scorer", "score", "wanted", "baseline"), rows, empty="no scorers")
    _print_difference(out, result)
    for text in (*result.reasons, *result.notes):
        out.line(f"  {text}")
    _print_failures(out, report)
    cost = "" if report.cost_usd is None else f", {report.cost_usd:.4f} USD"
    asked = f"{report.n_samples} samples {TIMES} {report.repeat}"
    out.line(f"{asked}, {report.n_errors} without answer{cost}")


def _score(report: EvalReport | None, scorer: str | None) -> str:
    if report is None:
        return ABSENT
    if scorer is None:
        return f"{report.score:.3f}"
    return next((f"{each.mean:.3f}" for each in report.scorers if each.name == scorer), ABSENT)


def _print_difference(out: Output, result: GateResult) -> None:
    difference = result.difference
    if difference is None:
        return
    interval = ""
    if isinstance(difference.interval, Estimate):
        interval = f" ({difference.interval.low:+.3f} to {difference.interval.high:+.3f})"
    out.line(
        f"paired difference {difference.mean:+.3f}{interval}: better on {difference.better}, worse "
        f"on {difference.worse} of {difference.n} samples"
    )


def _print_failures(out: Output, report: EvalReport) -> None:
    failed = [result for result in report.results if result.score < 1]
    for result in failed[:FAILURES_SHOWN]:
        said = result.error or result.answer.strip().replace("\n", " ")
        out.line(f"  {result.sample}: {result.score:.2f}  {said[:100]}")
    if len(failed) > FAILURES_SHOWN:
        out.line(f"  … and {len(failed) - FAILURES_SHOWN} more below 1; --json has them all")

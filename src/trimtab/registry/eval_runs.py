"""Evaluation runs: what a suite found about a version; promotions may wait for one."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import RowMapping, insert, select

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.registry.ledger import Ledger, plain
from trimtab.registry.principals import Principal
from trimtab.registry.promotions import Promotions
from trimtab.registry.versions import Versions

EvalVerdict = Literal["pass", "fail"]


class EvalRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a suite on one version; `scores` as the suite reports them."""

    id: str
    prompt: str
    sha: str
    baseline: str | None
    suite: str
    suite_sha: str
    scores: Any  # JSON, by the suite's scorers
    verdict: EvalVerdict
    actor: str
    at: datetime


class EvalRuns:
    """Keeps evaluation runs, and lets promotions that waited for one go on."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        *,
        versions: Versions,
        promotions: Promotions,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._versions = versions
        self._promotions = promotions
        self._new_id = new_id

    def record(
        self,
        actor: Principal,
        *,
        prompt: str,
        version: str,
        suite: str,
        suite_sha: str,
        scores: Mapping[str, object],
        verdict: EvalVerdict,
        baseline: str | None = None,
    ) -> EvalRun:
        """Keep a run; needs scope `author`. The newest run of a suite on a version counts.

        Args:
            actor: Who ran it.
            prompt: The prompt.
            version: `1.4.0`, `sha:…`, a full sha or a tag.
            suite: The suite's name, as policies write it.
            suite_sha: Identity of its dataset and scorers.
            scores: What it found.
            verdict: Whether the gate lets the version through.
            baseline: Sha of the version it was compared to, if any.
        """
        actor.require("author")
        with self._ledger.change() as change:
            found = self._versions.named(change.connection, prompt, version, environment=None)
            run = EvalRun(
                id=self._new_id(),
                prompt=prompt,
                sha=found.sha,
                baseline=baseline,
                suite=suite,
                suite_sha=suite_sha,
                scores=plain(dict(scores)),
                verdict=verdict,
                actor=actor.name,
                at=change.at,
            )
            change.connection.execute(insert(tables.eval_runs).values(msgspec.structs.asdict(run)))
            details = {name: getattr(run, name) for name in ("id", "sha", "suite", "suite_sha")}
            change.record(
                actor.name, "eval", prompt=prompt, details={**details, "verdict": verdict}
            )
            self._promotions.settle_all(change, prompt=prompt, sha=found.sha, by=actor.name)
        return run

    def runs(
        self, *, prompt: str | None = None, sha: str | None = None, limit: int = 100
    ) -> list[EvalRun]:
        """The newest runs that fit."""
        table = tables.eval_runs
        query = select(table).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
        if prompt is not None:
            query = query.where(table.c.prompt == prompt)
        if sha is not None:
            query = query.where(table.c.sha == sha)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]


def _record(row: RowMapping) -> EvalRun:
    """The record of a row."""
    return EvalRun(**{name: row[name] for name in EvalRun.__struct_fields__})

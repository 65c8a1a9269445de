"""Status: what runs where, now or at any past time."""

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Connection, RowMapping, select

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.registry.pointers import Pointers
from trimtab.registry.policies import Policies
from trimtab.registry.situation import Label, PlanSituation, PromptSituation, labels, situation
from trimtab.releases.release import Move, MoveKind
from trimtab.releases.rollout import PlanStatus


class VersionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A version as status names it."""

    sha: str
    version: str
    tag: str | None


class PlanStanding(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that divides a prompt's traffic; `step` counts from 0, `share` is in 1/10,000.

    `moved_by` moved it there at `moved_at`, with reason `why`.
    """

    plan_id: str
    status: PlanStatus
    candidate: VersionStatus
    step: int
    n_steps: int
    step_started_at: datetime | None
    epoch: int
    share: int
    moved_at: datetime
    moved_by: str
    why: str


class PromptStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one prompt stands in an environment.

    Attributes:
        live: What the release pointer names, since the move `kind` by `by` with reason `why`.
        generation: The pointer's; what `promote` must expect.
        last_good: What a rollback would go to.
        serving: What everybody without a plan gets: live, unless killed.
        killed_at: When the kill switch was turned on; with `killed_by` and `killed_why`.
    """

    prompt: str
    live: VersionStatus | None
    generation: int
    since: datetime | None
    by: str | None
    kind: MoveKind | None
    why: str | None
    last_good: VersionStatus | None
    serving: VersionStatus | None
    killed: bool
    killed_at: datetime | None
    killed_by: str | None
    killed_why: str | None
    plan: PlanStanding | None


class EnvironmentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where an environment stands; revision 0 = nothing was published by then."""

    environment: str
    revision: int
    published_at: datetime | None
    prompts: list[PromptStatus]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Every environment, in the order of their rank, at one time."""

    at: datetime
    environments: list[EnvironmentStatus]


class StatusBoard:
    """Tells what runs where."""

    def __init__(
        self,
        database: Database,
        *,
        policies: Policies,
        pointers: Pointers,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._policies = policies
        self._pointers = pointers
        self._clock = clock

    def status(self, *, at: datetime | None = None, environment: str | None = None) -> Status:
        """All environments or one, now or at a past time, from rows that only grow."""
        if environment is None:
            names = list(self._policies.by_environment)
        else:
            self._policies.of(environment)
            names = [environment]
        with self._database.read() as connection:
            return Status(
                at=at or self._clock(),
                environments=[self._environment(connection, name, at=at) for name in names],
            )

    def history(self, environment: str, prompt: str) -> list[Move]:
        """All moves of a release pointer, newest first."""
        self._policies.of(environment)
        with self._database.read() as connection:
            return self._pointers.moves(connection, environment, prompt)[::-1]

    def generation(self, environment: str, prompt: str) -> int:
        """The generation that a promotion must expect now; 0 = never released."""
        self._policies.of(environment)
        with self._database.read() as connection:
            return self._pointers.state(connection, environment, prompt).generation

    def _environment(
        self, connection: Connection, environment: str, *, at: datetime | None
    ) -> EnvironmentStatus:
        """One environment."""
        prompts = situation(connection, environment, pointers=self._pointers, at=at)
        named = labels(connection, prompts)
        revision = _revision(connection, environment, at=at)
        return EnvironmentStatus(
            environment=environment,
            revision=revision["revision"] if revision else 0,
            published_at=revision["published_at"] if revision else None,
            prompts=[_prompt(prompt, named) for prompt in prompts],
        )


def _revision(
    connection: Connection, environment: str, *, at: datetime | None
) -> RowMapping | None:
    """The row of the revision in force."""
    table = tables.revisions
    query = select(table).where(table.c.environment == environment)
    if at is not None:
        query = query.where(table.c.published_at <= at)
    return connection.execute(query.order_by(table.c.revision.desc()).limit(1)).mappings().first()


def _prompt(prompt: PromptSituation, named: Mapping[tuple[str, str], Label]) -> PromptStatus:
    """The status of one prompt."""

    def version(sha: str | None) -> VersionStatus | None:
        return None if sha is None else _version(prompt.name, sha, named)

    newest = prompt.moves[-1] if prompt.moves else None
    off = prompt.switch if prompt.killed else None
    return PromptStatus(
        prompt=prompt.name,
        live=version(prompt.state.live),
        generation=prompt.state.generation,
        since=newest.at if newest else None,
        by=newest.actor if newest else None,
        kind=newest.kind if newest else None,
        why=newest.why if newest else None,
        last_good=version(prompt.state.last_good),
        serving=version(prompt.serving),
        killed=prompt.killed,
        killed_at=off.at if off else None,
        killed_by=off.actor if off else None,
        killed_why=off.why if off else None,
        plan=None if prompt.plan is None else _plan(prompt.name, prompt.plan, named),
    )


def _plan(prompt: str, plan: PlanSituation, named: Mapping[tuple[str, str], Label]) -> PlanStanding:
    """The status of the plan that divides a prompt's traffic."""
    return PlanStanding(
        plan_id=plan.plan_id,
        status=plan.move.status,
        candidate=_version(prompt, plan.plan.candidate, named),
        step=plan.move.step,
        n_steps=len(plan.plan.steps),
        step_started_at=plan.move.step_started_at,
        epoch=plan.epoch.epoch,
        share=plan.epoch.share,
        moved_at=plan.move.at,
        moved_by=plan.move.actor,
        why=plan.move.why or plan.plan.why,
    )


def _version(prompt: str, sha: str, named: Mapping[tuple[str, str], Label]) -> VersionStatus:
    """A version with its labels."""
    label = named[prompt, sha]
    return VersionStatus(sha=sha, version=label.version, tag=label.tag)

"""The facts of an environment at one revision: all that its payload is made of.

The registry reads these records in the transaction of a change; `releases.compile` turns them
into the payload. Nothing else goes in, so that every replica makes the same bytes.
"""

from typing import Any, Literal

import msgspec

from trimtab.routing.payload import BUCKETS, AuditHead, UnitKind


class VersionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a payload says of one version: how people call it, and what it calls."""

    version: str
    tag: str | None = None
    model: str | None = None
    sampling: dict[str, Any] = {}


class PlanFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that divides a prompt's traffic now.

    Attributes:
        plan_id: The plan's id, which becomes the rule's key.
        epoch: Number of the plan's newest epoch row; the first is 1.
        share: Treatment's part in 1/10,000, between 0 and 9,999 (all of it is no plan any more).
        unit: What is hashed.
        seed: Id of the first plan of the series; a resumed plan keeps its own.
        baseline: Full sha served to control.
        candidate: Full sha served to treatment.
    """

    plan_id: str
    epoch: int
    share: int
    unit: UnitKind
    seed: str
    baseline: str
    candidate: str
    kind: Literal["rollout"] = "rollout"

    def __post_init__(self) -> None:
        """Check the numbers that a compiled rule depends on."""
        if not 0 <= self.share < BUCKETS:
            raise ValueError(f"share of plan {self.plan_id!r} is {self.share}, want 0 to 9999")
        if self.epoch < 1:
            raise ValueError(f"epoch of plan {self.plan_id!r} is {self.epoch}, want 1 or more")


class PromptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where one prompt stands in the environment; shas are full, lower-case hex.

    Attributes:
        name: The prompt's name.
        live: Sha the release pointer names; None if nothing was released here.
        last_good: What a rollback would go to (`release.replay`).
        killed: Whether the kill switch is on; then no plan runs.
        serving: What everybody without a plan gets now (`release.serving_sha`); None = nothing.
        versions: Versions the payload names; at least live, last_good, serving and the plan's.
        plan: The running (or paused) plan, if any.
    """

    name: str
    live: str | None
    last_good: str | None
    killed: bool
    serving: str | None
    versions: dict[str, VersionFacts]
    plan: PlanFacts | None = None

    def __post_init__(self) -> None:
        """Check that every sha is described, and that a killed prompt has no plan."""
        if self.killed and self.plan is not None:
            raise ValueError(
                f"prompt {self.name!r} is killed, but plan {self.plan.plan_id!r} still runs"
            )
        if self.plan is not None and self.plan.baseline != self.serving:
            raise ValueError(
                f"plan {self.plan.plan_id!r} of prompt {self.name!r} has baseline "
                f"{self.plan.baseline!r}, but {self.serving!r} is served"
            )
        named = [self.live, self.last_good, self.serving]
        if self.plan is not None:
            named += [self.plan.baseline, self.plan.candidate]
        if missing := sorted({sha for sha in named if sha and sha not in self.versions}):
            raise ValueError(f"prompt {self.name!r} names versions without facts: {missing}")


class EnvironmentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One environment at one revision.

    Attributes:
        lineage: Random id written by `init` and `restore`.
        environment: Its name.
        revision: Count of its published changes.
        published_at: Commit time, RFC 3339 UTC with microseconds and `Z`, later than any before.
        strict_units: Whether a plan that misses its unit id is an error here.
        audit: Length and head of the audit chain in the revision's transaction.
        prompts: Every prompt that was ever released here, in any order.
    """

    lineage: str
    environment: str
    revision: int
    published_at: str
    strict_units: bool
    audit: AuditHead
    prompts: list[PromptFacts]

    def __post_init__(self) -> None:
        """Check that no prompt stands here twice."""
        names = [prompt.name for prompt in self.prompts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"environment {self.environment!r} names prompts twice: {twice}")

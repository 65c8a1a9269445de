"""Payloads for tests: whole, but only as large as the test needs."""

from typing import Any

from trimtab.routing.payload import (
    FORMAT,
    AuditHead,
    Payload,
    PlanState,
    PromptState,
    TrimtabBlock,
    UnitKind,
)


def value_of(version: str, prompt: str = "a") -> dict[str, Any]:
    """A feature's value whose sha is the version, for short assertions."""
    return {
        "prompt": prompt,
        "version": version,
        "sha": version,
        "model": "sim/m",
        "sampling": {},
    }


def rollout_rule(share: int, *, plan: str = "p", unit: str = "id") -> dict[str, Any]:
    """A plan's rule at a share in 1/10,000: version 2 is the candidate, 1 the baseline."""
    bound = share / 10_000
    return {
        "id": f"{plan}:3",
        "key": plan,
        "seed": "seed",
        "hashAttribute": unit,
        "hashVersion": 2,
        "variations": [value_of("2"), value_of("1")],
        "meta": [{"key": "treatment"}, {"key": "control"}],
        "ranges": [[0, bound], [bound, 1]],
        "disableStickyBucketing": True,
    }


def payload_of(
    features: dict[str, dict[str, Any]],
    *,
    prompts: dict[str, PromptState] | None = None,
    plan_units: dict[str, UnitKind] | None = None,
    strict_units: bool = False,
    format: int = FORMAT,  # noqa: A002  # the field's name
    saved_groups: dict[str, Any] | None = None,
) -> Payload:
    """A payload with these features; plans are epoch 3 of prompt `a`."""
    return Payload(
        features=features,
        saved_groups=saved_groups or {},
        date_updated="2026-01-01T00:00:00.000000Z",
        trimtab=TrimtabBlock(
            format=format,
            lineage="lineage",
            environment="prod",
            revision=7,
            published_at="2026-01-01T00:00:00.000000Z",
            prompts=prompts or {name: PromptState() for name in features},
            plans={
                plan: PlanState(
                    kind="rollout",
                    prompt="a",
                    epoch=3,
                    unit=unit,
                    seed="seed",
                    share=1,
                    variants=[],
                )
                for plan, unit in (plan_units or {}).items()
            },
            audit=AuditHead(count=0, head=""),
            strict_units=strict_units,
        ),
    )

"""From the facts of an environment to its payload: one pure function, and its bytes."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trimtab.releases.facts import EnvironmentFacts, PlanFacts, PromptFacts
from trimtab.routing.payload import (
    BUCKETS,
    FORMAT,
    HASH_ATTRIBUTES,
    FeatureValue,
    Payload,
    PlanState,
    PlanVariant,
    PromptState,
    TrimtabBlock,
    VersionLabel,
)

TREATMENT = "treatment"
CONTROL = "control"

KeyScope = Literal["decide", "render"]


def compile_payload(facts: EnvironmentFacts) -> Payload:
    """The payload of one revision, without bodies; a function of the facts alone."""
    prompts = sorted(facts.prompts, key=lambda prompt: prompt.name)
    return Payload(
        features={prompt.name: _feature(prompt) for prompt in prompts if prompt.serving},
        experiments=[],
        saved_groups={},
        date_updated=facts.published_at,
        trimtab=TrimtabBlock(
            format=FORMAT,
            lineage=facts.lineage,
            environment=facts.environment,
            revision=facts.revision,
            published_at=facts.published_at,
            prompts={prompt.name: _state(prompt) for prompt in prompts},
            plans={
                prompt.plan.plan_id: _plan(prompt.name, prompt.plan)
                for prompt in prompts
                if prompt.plan is not None
            },
            audit=facts.audit,
            strict_units=facts.strict_units,
        ),
    )


def _feature(prompt: PromptFacts) -> dict[str, Any]:
    feature: dict[str, Any] = {"defaultValue": _value(prompt, prompt.serving or "")}
    if prompt.plan is not None:
        feature["rules"] = [_rollout_rule(prompt, prompt.plan)]
    return feature


def _value(prompt: PromptFacts, sha: str) -> dict[str, Any]:
    version = prompt.versions[sha]
    value = FeatureValue(
        prompt=prompt.name,
        version=version.version,
        sha=sha,
        model=version.model,
        sampling=version.sampling,
    )
    return msgspec.structs.asdict(value)


def _rollout_rule(prompt: PromptFacts, plan: PlanFacts) -> dict[str, Any]:
    """The plan on the hash line: treatment from 0 to its share, control on all the rest.

    Bounds are one division each, never sums: 0.5 + 0.07 would hold 5,701 buckets.
    """
    share = plan.share / BUCKETS
    return {
        "id": f"{plan.plan_id}:{plan.epoch}",
        "key": plan.plan_id,
        "seed": plan.seed,
        "hashAttribute": HASH_ATTRIBUTES[plan.unit],
        "hashVersion": 2,
        "variations": [_value(prompt, plan.candidate), _value(prompt, plan.baseline)],
        "meta": [{"key": TREATMENT, "name": TREATMENT}, {"key": CONTROL, "name": CONTROL}],
        "ranges": [[0.0, share], [share, 1.0]],
        # A GrowthBook client with sticky buckets would freeze the ramp at its first share.
        "disableStickyBucketing": True,
    }


def _state(prompt: PromptFacts) -> PromptState:
    return PromptState(
        live=prompt.live,
        last_good=prompt.last_good,
        killed=prompt.killed,
        serving=prompt.serving,
        versions={
            sha: VersionLabel(version=version.version, tag=version.tag)
            for sha, version in sorted(prompt.versions.items())
        },
        plans=[] if prompt.plan is None else [prompt.plan.plan_id],
    )


def _plan(prompt: str, plan: PlanFacts) -> PlanState:
    return PlanState(
        kind=plan.kind,
        prompt=prompt,
        epoch=plan.epoch,
        unit=plan.unit,
        seed=plan.seed,
        share=plan.share,
        variants=[
            PlanVariant(key=TREATMENT, sha=plan.candidate, ranges=[(0, plan.share)]),
            PlanVariant(key=CONTROL, sha=plan.baseline, ranges=[(plan.share, BUCKETS)]),
        ],
    )


def needed_bodies(payload: Payload) -> set[str]:
    """Shas whose bodies a rendering client needs: live, last good, served, and in plans.

    The fragments these include come on top; who has the bodies follows their `includes`.
    """
    if payload.trimtab is None:
        return set()
    needed: set[str | None] = set()
    for state in payload.trimtab.prompts.values():
        needed |= {state.live, state.last_good, state.serving}
    for plan in payload.trimtab.plans.values():
        needed |= {variant.sha for variant in plan.variants}
    return {sha for sha in needed if sha is not None}


def with_bodies(payload: Payload, bodies: Mapping[str, dict[str, Any]]) -> Payload:
    """The same payload with identity objects for clients that render.

    Args:
        payload: From `compile_payload`.
        bodies: Identity objects by sha: all of `needed_bodies`, and their fragments.

    Raises:
        ValueError: A needed body is missing: the client could decide for what it cannot render.
    """
    if payload.trimtab is None:
        raise ValueError("a payload without trimtab block takes no bodies")
    if missing := sorted(needed_bodies(payload) - bodies.keys()):
        raise ValueError(f"bodies of {missing} are missing from the payload")
    block = msgspec.structs.replace(payload.trimtab, bodies=dict(sorted(bodies.items())))
    return msgspec.structs.replace(payload, trimtab=block)


def decision_bytes(payload: Payload, *, scope: KeyScope) -> bytes:
    """The payload as JSON for keys of one scope; equal payloads give equal bytes.

    Args:
        payload: With or without bodies.
        scope: `decide` never gets bodies; `render` gets those the payload has.
    """
    if scope == "decide" and payload.trimtab is not None and payload.trimtab.bodies is not None:
        block = msgspec.structs.replace(payload.trimtab, bodies=None)
        payload = msgspec.structs.replace(payload, trimtab=block)
    return msgspec.json.encode(payload, order="deterministic")

"""The decisions of an environment: a payload is compiled once into a table, then only asked."""

from collections.abc import Callable
from typing import Any

import msgspec

from trimtab.errors import MissingUnit, PayloadError, UnknownPrompt
from trimtab.routing.conditions import compile_condition
from trimtab.routing.decision import UNIT_ID_BYTES, Context, Decision, check_unit
from trimtab.routing.draws import Draw, Split
from trimtab.routing.features import Attributes, Blocked, CompiledFeature, Run, compile_parents
from trimtab.routing.hashing import hash_text
from trimtab.routing.payload import (
    HASH_ATTRIBUTES,
    FeatureValue,
    Payload,
    PlanState,
    PromptState,
    Reason,
    TrimtabBlock,
    UnitKind,
)
from trimtab.routing.results import FeatureSet
from trimtab.routing.rules import Feature, Rule, read_feature

__all__ = ["Context", "Decision", "Table", "check_unit", "compile_table"]

_UNIT_KINDS: dict[str, UnitKind] = {"id": "user", "thread_id": "thread", "request_id": "request"}

Decider = Callable[[Attributes], Decision]


class Table:
    """What an environment serves at one revision; deciding changes nothing but its memory.

    Attributes:
        payload: What it was made of.
        lineage: The payload's.
        environment: The payload's.
        revision: The payload's.
        strict_units: Whether a plan that misses its unit raises here.
    """

    def __init__(self, payload: Payload, block: TrimtabBlock, deciders: dict[str, Decider]) -> None:
        """Take what `compile_table` made."""
        self.payload = payload
        self.lineage = block.lineage
        self.environment = block.environment
        self.revision = block.revision
        self.strict_units = block.strict_units
        self._deciders = deciders

    def decide(self, prompt: str, context: Context) -> Decision:
        """Which version this request gets, and why.

        Raises:
            UnknownPrompt: The payload does not know the name.
            BadUnit: An id is not a non-empty string of at most 256 bytes.
            MissingUnit: The plan's unit is not named, and the environment is strict.
        """
        decider = self._deciders.get(prompt)
        if decider is None:
            raise UnknownPrompt(self._unknown(prompt))
        return decider(_attributes(context))

    def _unknown(self, prompt: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(prompt, self._deciders, n=1)
        advice = f"did you mean {near[0]!r}?" if near else "promote one of its versions there first"
        return f"prompt {prompt!r} is not known in environment {self.environment!r}; {advice}"


def _attributes(context: Context) -> Attributes:
    """What rules look at: the ids, checked, over the facts."""
    unit_id = context.unit_id
    thread_id = context.thread_id
    request_id = context.request_id
    if unit_id is not None and not _is_plain(unit_id):
        check_unit("unit_id", unit_id)
    if thread_id is not None and not _is_plain(thread_id):
        check_unit("thread_id", thread_id)
    if request_id is not None and not _is_plain(request_id):
        check_unit("request_id", request_id)
    if not context.attributes:
        return {"id": unit_id, "thread_id": thread_id, "request_id": request_id}
    attributes = context.attributes.copy()
    attributes["id"] = unit_id
    attributes["thread_id"] = thread_id
    attributes["request_id"] = request_id
    return attributes


def _is_plain(value: object) -> bool:
    """Whether an id needs no closer look: ASCII, and of a length that fits."""
    return type(value) is str and value.isascii() and 0 < len(value) <= UNIT_ID_BYTES


def compile_table(payload: Payload) -> Table:
    """The table of a payload.

    Raises:
        PayloadError: It has no trimtab block, or a feature that names no version.
    """
    block = payload.trimtab
    if block is None:
        raise PayloadError("payload has no trimtab block; it names no environment to decide for")
    features = FeatureSet(payload.features, saved_groups=payload.saved_groups)
    names = [*payload.features, *(name for name in block.prompts if name not in payload.features)]
    deciders = {
        name: _Prompt(name, payload.features.get(name), block=block, features=features).decider()
        for name in names
    }
    return Table(payload, block, deciders)


class _Prompt:
    """Makes the decisions of one prompt; what never changes is made once."""

    def __init__(
        self,
        name: str,
        document: dict[str, Any] | None,
        *,
        block: TrimtabBlock,
        features: FeatureSet,
    ) -> None:
        self._name = name
        self._block = block
        self._features = features
        self._state = block.prompts.get(name, PromptState())
        self._feature = (
            Feature(default_value=None, rules=[])
            if document is None
            else read_feature(name, document)
        )

    def decider(self) -> Decider:
        """The function from attributes to this prompt's decision."""
        if self._state.killed:
            # Overrides, forces and pins do not survive the kill switch.
            killed = self._decision(self._feature.default_value, "killed")
            return lambda _attributes: killed
        compiled = CompiledFeature(
            self._name, self._feature, answers=self, scope=self._features.scope
        )
        misses = [self._missing(rule) for rule in self._feature.rules if self._plan(rule)]
        return _watching(compiled, misses) if misses else compiled.answer

    def default(self) -> Decision:
        """The answer without a rule; nothing to serve is the application's fallback."""
        value = self._feature.default_value
        return self._decision(value, "fallback" if value is None else "default")

    def blocked(self, why: Blocked) -> Decision:  # noqa: ARG002  # the same for both
        """The answer when a parent forbids one: the application's fallback."""
        return self._decision(None, "fallback")

    def forced(self, rule: Rule) -> Decision:
        """The answer of a rule without a split."""
        return self._decision(rule.force, rule.trimtab.given, rule_id=rule.id)

    def hashed(self, split: Split, variation: int) -> Callable[[int, Attributes], Decision]:
        """The answer of a split; a plan's own carries plan, epoch and variant."""
        rule = split.rule
        fixed = self._decision((rule.variations or [])[variation], rule.trimtab.given)
        plan = self._plan(rule)
        plan_id = None if plan is None else split.key
        epoch = None if plan is None else plan.epoch
        reason: Reason = fixed.reason if plan is None else "plan"
        variant = None if plan is None else rule.meta_of(variation).key
        rule_id = rule.id if plan is None or rule.id else f"{split.key}:{plan.epoch}"
        kind = _UNIT_KINDS.get(rule.attribute)
        # Plain names: a decision is made of them in a tenth of a microsecond.
        prompt, sha, version = fixed.prompt, fixed.sha, fixed.version
        model, sampling = fixed.model, fixed.sampling

        def decision(bucket: int, _attributes: Attributes) -> Decision:
            return Decision(
                prompt=prompt,
                reason=reason,
                sha=sha,
                version=version,
                variant=variant,
                plan_id=plan_id,
                epoch=epoch,
                rule_id=rule_id,
                bucket=bucket,
                unit_kind=kind,
                model=model,
                sampling=sampling,
            )

        return decision

    def drawn(self, split: Split, draw: Draw, attributes: Attributes) -> Decision:
        """The answer of a split when something outside the payload took part."""
        if draw.by_hash and draw.bucket is not None and not draw.is_sticky:
            return self.hashed(split, draw.variation)(draw.bucket, attributes)
        value = (split.rule.variations or [])[draw.variation]
        return self._decision(value, "override", rule_id=split.rule.id)

    def _plan(self, rule: Rule) -> PlanState | None:
        """The plan a rule belongs to, if it is one of this prompt's."""
        plan = self._block.plans.get(rule.key or "")
        return plan if plan is not None and plan.prompt == self._name else None

    def _decision(self, value: object, reason: Reason, *, rule_id: str | None = None) -> Decision:
        if value is None:
            return Decision(
                prompt=self._name, reason=reason, sha=None, version=None, rule_id=rule_id
            )
        try:
            served = msgspec.convert(value, FeatureValue)
        except msgspec.ValidationError as trouble:
            raise PayloadError(
                f"feature {self._name!r} has a value that names no version: {trouble}"
            ) from trouble
        return Decision(
            prompt=self._name,
            reason=reason,
            sha=served.sha,
            version=served.version,
            rule_id=rule_id,
            model=served.model,
            sampling=served.sampling,
        )

    def _missing(self, rule: Rule) -> Callable[[Attributes], Decision | None]:
        """What a request gets that a plan's rule would take, if only it named its unit."""
        scope = self._features.scope
        matches = compile_condition(rule.condition or {}, scope.saved_groups)
        gate = compile_parents(rule.parent_conditions, scope)
        run = Run(path=frozenset({self._name}))
        decision = self._decision(self._feature.default_value, "no_unit")
        kind = _UNIT_KINDS.get(rule.attribute, rule.attribute)
        message = (
            f"prompt {self._name!r} runs plan {rule.key!r} by {kind}, and the call names none; "
            f"give {_ARGUMENTS.get(rule.attribute, rule.attribute)}"
        )

        def missing(attributes: Attributes) -> Decision | None:
            if hash_text(attributes.get(rule.attribute)) is not None or not matches(attributes):
                return None
            if gate(attributes, run) != "pass":
                return None
            if self._block.strict_units:
                raise MissingUnit(message)
            return decision

        return missing


_ARGUMENTS = {attribute: attribute for attribute in HASH_ATTRIBUTES.values()} | {"id": "unit_id"}


def _watching(
    compiled: CompiledFeature[Decision],
    misses: list[Callable[[Attributes], Decision | None]],
) -> Decider:
    """The prompt's decider while a plan runs: the default may be due to a missing unit."""
    answer, default = compiled.answer, compiled.default

    def decide(attributes: Attributes) -> Decision:
        decision = answer(attributes)
        if decision is not default:
            return decision
        missed = (missing(attributes) for missing in misses)
        return next((found for found in missed if found is not None), default)

    return decide

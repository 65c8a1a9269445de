"""GrowthBook's own results of features and experiments, field by field as its SDKs give them.

Decisions do not need them; conditions on parent features and the SDKs' test corpus do.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from trimtab.routing.conditions import compile_condition
from trimtab.routing.draws import Draw, Outside, Split, compile_filters
from trimtab.routing.features import (
    Attributes,
    Blocked,
    CompiledFeature,
    ParentValue,
    Run,
    Scope,
    compile_parents,
)
from trimtab.routing.hashing import HashLines
from trimtab.routing.payload import BUCKETS
from trimtab.routing.rules import Feature, Rule, read_feature, read_rule

Origin = Literal[
    "unknownFeature", "defaultValue", "force", "experiment", "prerequisite", "cyclicPrerequisite"
]


class SplitResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What an experiment gave a unit; JSON names as GrowthBook's `Result`."""

    variation_id: int
    key: str
    in_experiment: bool
    hash_used: bool
    hash_attribute: str
    sticky_bucket_used: bool
    value: Any = None
    hash_value: Any = ""
    feature_id: str | None = None
    bucket: float | None = None
    name: str | None = None
    passthrough: bool = False


class FeatureResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a feature gave, and what decided it.

    Attributes:
        value: The feature's value; None = none.
        origin: GrowthBook's `source`.
        rule_id: Id of the rule that decided; "" without one.
        split: The split that decided, if one did.
        draw: What the unit drew there.
        result: The same in GrowthBook's words.
    """

    value: Any
    origin: Origin
    rule_id: str = ""
    split: Split | None = None
    draw: Draw | None = None
    result: SplitResult | None = None


def split_result(
    split: Split, draw: Draw, attributes: Attributes, *, feature: str | None
) -> SplitResult:
    """GrowthBook's result of a draw."""
    meta = split.rule.meta_of(draw.variation)
    variations = split.rule.variations
    return SplitResult(
        feature_id=feature,
        value=variations[draw.variation] if variations else None,
        variation_id=draw.variation,
        key=meta.key or str(draw.variation),
        in_experiment=draw.is_in,
        hash_used=draw.by_hash,
        hash_attribute=draw.attribute,
        hash_value=attributes.get(draw.attribute, ""),
        bucket=None if draw.bucket is None else draw.bucket / BUCKETS,
        sticky_bucket_used=draw.is_sticky,
        name=meta.name,
        passthrough=meta.passthrough,
    )


class _Results:
    """Makes the results of one feature."""

    def __init__(self, name: str, feature: Feature) -> None:
        self._name = name
        self._default_value = feature.default_value

    def default(self) -> FeatureResult:
        return FeatureResult(value=self._default_value, origin="defaultValue")

    def blocked(self, why: Blocked) -> FeatureResult:
        return FeatureResult(value=None, origin=why)

    def forced(self, rule: Rule) -> FeatureResult:
        return FeatureResult(value=rule.force, origin="force", rule_id=rule.id or "")

    def hashed(self, split: Split, variation: int) -> Callable[[int, Attributes], FeatureResult]:
        def result(bucket: int, attributes: Attributes) -> FeatureResult:
            draw = Draw(
                variation=variation,
                is_in=True,
                by_hash=True,
                bucket=bucket,
                attribute=split.rule.attribute,
            )
            return self.drawn(split, draw, attributes)

        return result

    def drawn(self, split: Split, draw: Draw, attributes: Attributes) -> FeatureResult:
        result = split_result(split, draw, attributes, feature=self._name)
        return FeatureResult(
            value=result.value,
            origin="experiment",
            rule_id=split.rule.id or "",
            split=split,
            draw=draw,
            result=result,
        )


class FeatureSet:
    """The features of a payload, evaluated as GrowthBook's SDKs do; compiled when first asked."""

    def __init__(
        self,
        features: Mapping[str, dict[str, Any]],
        *,
        saved_groups: Mapping[str, Any] | None = None,
        lines: HashLines | None = None,
    ) -> None:
        """Take the features and groups of a payload as decoded from JSON."""
        self._documents = features
        self._compiled: dict[str, CompiledFeature[FeatureResult]] = {}
        self.scope = Scope(
            saved_groups=saved_groups or {}, lines=lines or HashLines(), parent=self._parent
        )

    def evaluate(
        self, name: str, attributes: Attributes, *, outside: Outside | None = None
    ) -> FeatureResult:
        """The feature's result; `unknownFeature` if the payload has none of this name."""
        return self._within(name, attributes, Run(outside=outside))

    def run_experiment(
        self, document: dict[str, Any], attributes: Attributes, *, outside: Outside | None = None
    ) -> SplitResult:
        """The result of an experiment that stands by itself, outside any feature."""
        rule = read_rule(document, where="experiment")
        split = Split(rule, key=rule.key or "", lines=self.scope.lines)
        passes = compile_filters(rule.filters, self.scope.lines)
        matches = compile_condition(rule.condition or {}, self.scope.saved_groups)
        gate = compile_parents(rule.parent_conditions, self.scope)
        run = Run(outside=outside)
        draw = split.draw(
            attributes,
            outside or Outside(),
            admits=lambda: (
                passes(attributes) and matches(attributes) and gate(attributes, run) == "pass"
            ),
        )
        return split_result(split, draw, attributes, feature=None)

    def _within(self, name: str, attributes: Attributes, run: Run) -> FeatureResult:
        feature = self._compiled.get(name)
        if feature is None:
            if name not in self._documents:
                return FeatureResult(value=None, origin="unknownFeature")
            read = read_feature(name, self._documents[name])
            feature = CompiledFeature(name, read, answers=_Results(name, read), scope=self.scope)
            self._compiled[name] = feature
        return feature.answer_within(attributes, run)

    def _parent(self, name: str, attributes: Attributes, run: Run) -> ParentValue:
        result = self._within(name, attributes, run)
        return ParentValue(value=result.value, is_cyclic=result.origin == "cyclicPrerequisite")

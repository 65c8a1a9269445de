"""Features: rules compiled to functions, asked top-down; the first that answers wins.

What an answer is, the caller says: GrowthBook's own result (`results`), or a decision
(`evaluator`). Which rule answers is found here, once, for both.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

from trimtab.routing.conditions import compile_condition, compile_test
from trimtab.routing.draws import Draw, Outside, Split, compile_filters
from trimtab.routing.hashing import HashLines
from trimtab.routing.rules import Feature, ParentCondition, Rule
from trimtab.routing.splits import buckets

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)

Attributes = dict[str, Any]
Blocked = Literal["prerequisite", "cyclicPrerequisite"]

# Parents of parents beyond this count as a cycle.
_PARENTS_DEPTH = 64


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an evaluation beside the attributes.

    Attributes:
        path: Names of the features being evaluated, from the one asked for to this one.
        outside: What takes part from outside the payload; None in every decision of ours.
    """

    path: frozenset[str] = frozenset()
    outside: Outside | None = None


# From attributes to an answer; None = the next rule is asked.
Probe = Callable[[Attributes, Run], Answer | None]
Gate = Callable[[Attributes, Run], Literal["pass", "fail"] | Blocked]


class Answers(Protocol[Answer_co]):
    """Makes the answers of one feature; called while the feature is compiled."""

    def default(self) -> Answer_co:
        """The answer when no rule has one."""

    def blocked(self, why: Blocked) -> Answer_co:
        """The answer when a parent forbids one."""

    def forced(self, rule: Rule) -> Answer_co:
        """The answer of a rule that forces its value."""

    def hashed(self, split: Split, variation: int) -> Callable[[int, Attributes], Answer_co]:
        """The answer of a split when the hash chose, given the bucket and the attributes."""

    def drawn(self, split: Split, draw: Draw, attributes: Attributes) -> Answer_co:
        """The answer of a split when something outside the payload took part."""


class ParentValue(msgspec.Struct, frozen=True, kw_only=True):
    """A parent's value; `is_cyclic` if it depends on itself."""

    value: Any
    is_cyclic: bool = False


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the features of one payload share.

    Attributes:
        saved_groups: Groups that conditions may name.
        lines: Their hash lines.
        parent: Gives the value of another feature.
    """

    saved_groups: Mapping[str, Any]
    lines: HashLines
    parent: Callable[[str, Attributes, Run], ParentValue]


class CompiledFeature(Generic[Answer]):
    """One feature: its rules as functions, in order."""

    def __init__(
        self, name: str, feature: Feature, *, answers: Answers[Answer], scope: Scope
    ) -> None:
        """Compile a feature's rules; a rule that can never answer is left out."""
        self.name = name
        self.default = answers.default()
        self._cyclic = answers.blocked("cyclicPrerequisite")
        compiled = (
            compile_rule(rule, name, answers=answers, scope=scope) for rule in feature.rules
        )
        self._probes = [probe for probe in compiled if probe is not None]
        self._alone = Run(path=frozenset({name}))

    def answer(self, attributes: Attributes) -> Answer:
        """The answer for these attributes, with nothing from outside."""
        run = self._alone
        for probe in self._probes:
            answer = probe(attributes, run)
            if answer is not None:
                return answer
        return self.default

    def answer_within(self, attributes: Attributes, run: Run) -> Answer:
        """The answer as part of a larger evaluation; a feature on its own path is a cycle."""
        if self.name in run.path or len(run.path) >= _PARENTS_DEPTH:
            return self._cyclic
        inner = msgspec.structs.replace(run, path=run.path | {self.name})
        answers = (probe(attributes, inner) for probe in self._probes)
        return next((answer for answer in answers if answer is not None), self.default)


def compile_rule(
    rule: Rule, feature: str, *, answers: Answers[Answer], scope: Scope
) -> Probe[Answer] | None:
    """The function of a rule; None if it can never say anything."""
    if rule.force is msgspec.UNSET:
        probe = _compile_split(rule, feature, answers=answers, lines=scope.lines)
    else:
        probe = _compile_force(rule, feature, answers=answers, lines=scope.lines)
    if probe is not None and rule.filters:
        probe = _behind(compile_filters(rule.filters, scope.lines), probe)
    if probe is not None and rule.condition:
        probe = _behind(compile_test(rule.condition, scope.saved_groups), probe)
    if rule.parent_conditions:
        # A rule that can give nothing may still be a gate.
        gate = compile_parents(rule.parent_conditions, scope)
        probe = _gated(gate, probe or _nothing, answers=answers)
    return probe


def _nothing(_attributes: Attributes, _run: Run) -> None:
    return None


def compile_parents(conditions: list[ParentCondition], scope: Scope) -> Gate:
    """The gate of a rule's parent conditions: the first that does not pass decides."""
    tests = [
        (parent, compile_condition(parent.condition or {}, scope.saved_groups))
        for parent in conditions
    ]

    def gate(attributes: Attributes, run: Run) -> Literal["pass", "fail"] | Blocked:
        for parent, passes in tests:
            found = scope.parent(parent.id, attributes, run)
            if found.is_cyclic:
                return "cyclicPrerequisite"
            if not passes({"value": found.value}):
                return "prerequisite" if parent.gate else "fail"
        return "pass"

    return gate


def _behind(passes: Callable[[Attributes], bool | None], probe: Probe[Answer]) -> Probe[Answer]:
    return lambda attributes, run: probe(attributes, run) if passes(attributes) else None


def _gated(gate: Gate, probe: Probe[Answer], *, answers: Answers[Answer]) -> Probe[Answer]:
    prerequisite = answers.blocked("prerequisite")
    cyclic = answers.blocked("cyclicPrerequisite")

    def gated(attributes: Attributes, run: Run) -> Answer | None:
        match gate(attributes, run):
            case "pass":
                return probe(attributes, run)
            case "prerequisite":
                return prerequisite
            case "cyclicPrerequisite":
                return cyclic
        return None

    return gated


def _compile_force(
    rule: Rule, feature: str, *, answers: Answers[Answer], lines: HashLines
) -> Probe[Answer] | None:
    answer = answers.forced(rule)
    part = rule.range
    if part is None and rule.coverage is not None:
        part = (0.0, rule.coverage)
    if part is None:
        return lambda _attributes, _run: answer
    place = lines.placing(rule.attribute, rule.seed or feature, rule.version)
    if place is None:
        return None
    low, high = buckets(part)

    def probe(attributes: Attributes, _run: Run) -> Answer | None:
        bucket = place(attributes)
        return answer if bucket is not None and low <= bucket < high else None

    return probe


def _compile_split(
    rule: Rule, feature: str, *, answers: Answers[Answer], lines: HashLines
) -> Probe[Answer] | None:
    split = Split(rule, key=rule.key or feature, lines=lines)
    place = split.place
    if split.variations < 2 or place is None:
        return None
    is_passed_on = [rule.meta_of(i).passthrough for i in range(split.variations)]
    sides = [
        (low, high, None if is_passed_on[i] else answers.hashed(split, i))
        for i, (low, high) in enumerate(split.bounds)
    ]

    def probe(attributes: Attributes, run: Run) -> Answer | None:
        if run.outside is not None:
            draw = split.draw(attributes, run.outside)
            if not draw.is_in or is_passed_on[draw.variation]:
                return None
            return answers.drawn(split, draw, attributes)
        bucket = place(attributes)
        if bucket is None:
            return None
        for low, high, answer in sides:
            if low <= bucket < high:
                return None if answer is None else answer(bucket, attributes)
        return None

    return probe

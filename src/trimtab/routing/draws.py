"""One draw of a split: which variation a unit gets, and whether the hash chose it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from trimtab.routing.hashing import HashLines, Placing, hash_text
from trimtab.routing.rules import Filter, Rule
from trimtab.routing.splits import buckets, containing, rule_ranges

Document = Mapping[str, Any]


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What takes part in a draw from outside the payload.

    Attributes:
        enabled: False = nobody is in any split.
        qa_mode: True = only forced variations are given.
        forced: Variation by the split's key.
        sticky: Kept assignments, by `attribute||value`; None = nothing is kept.
    """

    enabled: bool = True
    qa_mode: bool = False
    forced: dict[str, int] = {}
    sticky: Mapping[str, Document] | None = None


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit drew.

    Attributes:
        variation: Index of the variation; 0 outside the split.
        is_in: Whether the unit is in the split.
        by_hash: Whether the hash chose, now or (sticky) earlier.
        bucket: Place on the hash line, 0 … 9,999, if it was looked up.
        attribute: Name of the attribute that was hashed.
        is_sticky: Whether a kept assignment decided.
    """

    variation: int = 0
    is_in: bool = False
    by_hash: bool = False
    bucket: int | None = None
    attribute: str
    is_sticky: bool = False


def compile_filters(
    filters: Sequence[Filter], lines: HashLines
) -> Callable[[dict[str, Any]], bool]:
    """Predicate on attributes: every filter lets the unit through; one without an id is not."""
    tests: list[tuple[Placing, Callable[[int], bool]]] = []
    for each in filters:
        place = lines.placing(each.attribute or "id", each.seed, each.hash_version)
        if place is None:
            return lambda _attributes: False
        tests.append((place, containing(each.ranges)))
    if len(tests) == 1:
        return _one_filter(*tests[0])

    def passes(attributes: dict[str, Any]) -> bool:
        for place, holds in tests:
            bucket = place(attributes)
            if bucket is None or not holds(bucket):
                return False
        return True

    return passes


def _one_filter(place: Placing, holds: Callable[[int], bool]) -> Callable[[dict[str, Any]], bool]:
    """What most rules with filters have."""

    def passes(attributes: dict[str, Any]) -> bool:
        bucket = place(attributes)
        return bucket is not None and holds(bucket)

    return passes


class Split:
    """A rule's variations on its hash line."""

    def __init__(self, rule: Rule, *, key: str, lines: HashLines) -> None:
        """Compile a rule.

        Args:
            rule: It has variations.
            key: The rule's own key, or its feature's name.
            lines: Hash lines to take part in.
        """
        self.rule = rule
        self.key = key
        self.variations = len(rule.variations or ())
        self.bounds = [buckets(part) for part in rule_ranges(rule)][: self.variations]
        self.place = self._placing(rule.attribute, lines)
        self._lines = lines

    def _placing(self, attribute: str, lines: HashLines) -> Placing | None:
        """The unit's bucket; None outside the older form of a namespace."""
        place = lines.placing(attribute, self.rule.seed or self.key, self.rule.version)
        if place is None or self.rule.namespace is None or self.rule.filters:
            return place
        name, low, high = self.rule.namespace
        namespace = Filter(
            attribute=attribute, seed=f"__{name}", hash_version=1, ranges=[(low, high)]
        )
        is_inside = compile_filters([namespace], lines)
        return lambda attributes: place(attributes) if is_inside(attributes) else None

    def draw(
        self,
        attributes: dict[str, Any],
        outside: Outside,
        *,
        admits: Callable[[], bool] = lambda: True,
    ) -> Draw:
        """One draw with everything that takes part.

        Args:
            attributes: The request's.
            outside: What takes part from outside.
            admits: Conditions that a kept assignment passes over.
        """
        nobody = Draw(attribute=self.rule.attribute)
        if self.variations < 2 or not outside.enabled:
            return nobody
        if (forced := outside.forced.get(self.key)) is not None:
            return self._given(forced)
        attribute = self._hashed_attribute(attributes, outside)
        if not self.rule.active or attribute is None:
            return nobody
        kept = self._kept(attributes, outside)
        if kept is None and not admits():
            return msgspec.structs.replace(nobody, attribute=attribute)
        drawn = self._hashed(attributes, attribute, kept)
        if drawn.is_in and isinstance(self.rule.force, int):
            return self._given(self.rule.force)
        return nobody if outside.qa_mode else drawn

    def _given(self, variation: int) -> Draw:
        is_in = 0 <= variation < self.variations
        return Draw(variation=variation if is_in else 0, is_in=is_in, attribute=self.rule.attribute)

    def _hashed(self, attributes: dict[str, Any], attribute: str, kept: int | None) -> Draw:
        nobody = Draw(attribute=attribute)
        place = (
            self.place
            if attribute == self.rule.attribute
            else self._placing(attribute, self._lines)
        )
        bucket = None if place is None else place(attributes)
        if kept == BLOCKED:
            return msgspec.structs.replace(nobody, is_sticky=True)
        if bucket is None:
            return nobody
        variation = self.variation_at(bucket) if kept is None else kept
        if variation is None:
            return nobody
        return Draw(
            variation=variation,
            is_in=True,
            by_hash=True,
            bucket=bucket,
            attribute=attribute,
            is_sticky=kept is not None,
        )

    def variation_at(self, bucket: int) -> int | None:
        """The first variation whose part holds the bucket."""
        return next((i for i, (low, high) in enumerate(self.bounds) if low <= bucket < high), None)

    def _hashed_attribute(self, attributes: dict[str, Any], outside: Outside) -> str | None:
        """The attribute that names the unit; the fallback only where assignments are kept."""
        if hash_text(attributes.get(self.rule.attribute)) is not None:
            return self.rule.attribute
        fallback = self.rule.fallback_attribute
        if fallback is None or not self._keeps(outside):
            return None
        return fallback if hash_text(attributes.get(fallback)) is not None else None

    def _keeps(self, outside: Outside) -> bool:
        return outside.sticky is not None and not self.rule.disable_sticky_bucketing

    def _kept(self, attributes: dict[str, Any], outside: Outside) -> int | None:
        """The variation kept for the unit, `BLOCKED`, or None."""
        if outside.sticky is None or self.rule.disable_sticky_bucketing:
            return None
        assignments: dict[str, str] = {}
        for attribute in (self.rule.fallback_attribute, self.rule.attribute):
            text = hash_text(attributes.get(attribute)) if attribute else None
            document = outside.sticky.get(f"{attribute}||{text}", {})
            assignments |= document.get("assignments", {})
        if any(self._versioned(i) in assignments for i in range(self.rule.min_bucket_version)):
            return BLOCKED
        name = assignments.get(self._versioned(self.rule.bucket_version))
        named = (i for i in range(self.variations) if self.rule.meta_of(i).key == name)
        return next(named, None) if name else None

    def _versioned(self, bucket_version: int) -> str:
        return f"{self.key}__{bucket_version}"

    def keep(
        self, draw: Draw, attributes: dict[str, Any], documents: Mapping[str, Document]
    ) -> dict[str, Document]:
        """The kept assignments after a draw; unchanged unless the hash chose."""
        if not draw.by_hash or self.rule.disable_sticky_bucketing:
            return dict(documents)
        value = hash_text(attributes.get(draw.attribute))
        place = f"{draw.attribute}||{value}"
        name = self.rule.meta_of(draw.variation).key or str(draw.variation)
        assignments = documents.get(place, {}).get("assignments", {})
        kept = {**assignments, self._versioned(self.rule.bucket_version): name}
        document = {"attributeName": draw.attribute, "attributeValue": value, "assignments": kept}
        return {**documents, place: document}


# A kept assignment of a version that the rule no longer takes: the unit is out for good.
BLOCKED = -1

"""How a line of 10,000 buckets is divided among variations."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from trimtab.routing.hashing import bound, hash_fraction
from trimtab.routing.rules import Range, Rule

Side = TypeVar("Side")


def equal_weights(variations: int) -> list[float]:
    """One equal weight for each variation; none for fewer than one."""
    return [1 / variations] * variations if variations > 0 else []


def bucket_ranges(
    variations: int, *, coverage: float = 1, weights: Sequence[float] | None = None
) -> list[Range]:
    """The part [a, b) of the line each variation gets.

    Args:
        variations: How many there are.
        coverage: Part of each weight that is used; cut to [0, 1].
        weights: Shares of the variations; replaced by equal ones unless there is one for each,
            none is negative, and they sum to 0.99 … 1.01.
    """
    coverage = min(max(coverage, 0), 1)
    if weights is None or not _are_shares(weights, variations):
        weights = equal_weights(variations)
    ranges = []
    start = 0.0
    for weight in weights:
        ranges.append((start, start + coverage * weight))
        start += weight
    return ranges


def _are_shares(weights: Sequence[float], variations: int) -> bool:
    return (
        len(weights) == variations
        and all(math.isfinite(weight) and weight >= 0 for weight in weights)
        and 0.99 <= sum(weights) <= 1.01
    )


def rule_ranges(rule: Rule) -> list[Range]:
    """The variations' parts of the line: as given, else by weights and coverage."""
    if rule.ranges:
        return rule.ranges
    coverage = 1 if rule.coverage is None else rule.coverage
    return bucket_ranges(len(rule.variations or ()), coverage=coverage, weights=rule.weights)


def choose_variation(place: float, ranges: Sequence[Range]) -> int:
    """The first variation whose part holds the place; -1 if none does."""
    return next((i for i, (low, high) in enumerate(ranges) if low <= place < high), -1)


def in_namespace(value: str, namespace: tuple[str, float, float]) -> bool:
    """Whether a unit is in a part of a namespace (the older form of filters)."""
    name, low, high = namespace
    place = hash_fraction(f"__{name}", value, version=1)
    return place is not None and low <= place < high


def buckets(part: Range) -> tuple[int, int]:
    """The same part in whole buckets: [low, high) of 0 … 10,000."""
    return bound(part[0]), bound(part[1])


def containing(parts: Sequence[Range]) -> Callable[[int], bool]:
    """Predicate on buckets: one of the parts holds it."""
    bounds = [buckets(part) for part in parts]
    if len(bounds) == 1:
        ((low, high),) = bounds
        return lambda place: low <= place < high
    return lambda place: any(low <= place < high for low, high in bounds)

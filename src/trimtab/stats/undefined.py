"""Estimates, and the honest answer where a number does not exist."""

from typing import Literal

import msgspec

UndefinedReason = Literal[
    "n<2",
    "too_few",
    "zero_variance",
    "zero_denominator",
    "no_traffic",
    "non_finite",
]

ZERO_VARIANCE = 1e-20
"""A variance of at most this part of the squared mean is rounding, not spread."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True, tag="estimate", tag_field="kind"):
    """A value with its interval; a bound of `None` is infinite on that side."""

    value: float
    low: float | None
    high: float | None


class Undefined(msgspec.Struct, frozen=True, kw_only=True, tag="undefined", tag_field="kind"):
    """No number exists, and why."""

    reason: UndefinedReason

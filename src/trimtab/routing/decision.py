"""Context and decision: what is known of a request, and which version it gets, and why."""

from typing import Any

import msgspec

from trimtab.errors import BadUnit
from trimtab.routing.payload import Reason, UnitKind

UNIT_ID_BYTES = 256


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The units of one request, and facts about them.

    Ids come from these three fields alone: attributes named `id`, `thread_id` or `request_id`
    are not looked at, so that what is hashed is what the events say.

    Attributes:
        unit_id: The user; attribute `id` in conditions and rules.
        thread_id: The conversation.
        request_id: This request.
        attributes: Facts for targeting conditions, as JSON values (tier, region, …).
    """

    unit_id: str | None = None
    thread_id: str | None = None
    request_id: str | None = None
    attributes: dict[str, Any] = {}


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Which version a unit gets, and why.

    Attributes:
        prompt: The prompt asked for.
        reason: Why this version.
        sha: The version's full sha; None if nothing can be served.
        version: Its semver.
        variant: The plan's side; set only when the plan's own hash chose.
        plan_id: The plan that chose.
        epoch: Its epoch.
        rule_id: Id of the rule that chose, `<plan>:<epoch>` for a plan.
        bucket: Place on the hash line, 0 … 9,999.
        unit_kind: What was hashed.
        model: The version's model pin.
        sampling: The version's sampling; shared between decisions, so never change it.
    """

    prompt: str
    reason: Reason
    sha: str | None
    version: str | None
    variant: str | None = None
    plan_id: str | None = None
    epoch: int | None = None
    rule_id: str | None = None
    bucket: int | None = None
    unit_kind: UnitKind | None = None
    model: str | None = None
    sampling: dict[str, Any] = {}


def check_unit(name: str, value: object) -> None:
    """Check that an id can name a unit: a non-empty string of at most 256 bytes.

    Args:
        name: What the caller calls it, e.g. `unit_id`.
        value: The id given.

    Raises:
        BadUnit: It is something else, or has lone surrogates.
    """
    if not isinstance(value, str):
        raise BadUnit(f"{name} is {value!r}; give a string, e.g. {str(value)!r}")
    if not value:
        raise BadUnit(f'{name} is ""; give a non-empty string, or leave it out')
    try:
        length = len(value.encode())
    except UnicodeEncodeError as trouble:
        raise BadUnit(
            f"{name} {value[:64]!r} has a lone surrogate; give valid Unicode text"
        ) from trouble
    if length > UNIT_ID_BYTES:
        raise BadUnit(
            f"{name} {value[:32]!r}… has {length} bytes, at most {UNIT_ID_BYTES}; hash longer ids"
        )

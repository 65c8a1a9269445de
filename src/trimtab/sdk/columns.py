"""Columns that events of an application share: ids, times, the decision and its unit."""

import os
from datetime import UTC, datetime
from time import time_ns
from typing import Any

from trimtab.events.ids import uuid7
from trimtab.routing.evaluator import Decision, check_unit
from trimtab.sdk.prompt import Prompt
from trimtab.sdk.snapshot import decision_fields

SDK_VERSION = "python/0.1.0"


def new_id() -> str:
    """A new UUIDv7."""
    return uuid7(time_ns(), os.urandom(10))


def event_times() -> dict[str, Any]:
    """A fresh event id and the time."""
    now = datetime.now(UTC)
    return {"event_id": new_id(), "occurred_at": now.isoformat(timespec="microseconds")}


def unit_of(decision: Decision, prompt: Prompt) -> str | None:
    """The raw id of the unit the decision is about; the user's when no plan decided."""
    if decision.unit_kind == "thread":
        return prompt.thread_id
    if decision.unit_kind == "request":
        return prompt.request_id
    return prompt.unit_id


def decision_columns(prompt: Prompt) -> dict[str, Any]:
    """What was decided for a prompt's request, why, and for whom."""
    decision = prompt.decision
    columns = decision_fields(decision, prompt.snapshot)
    columns.update(source=prompt.source, request_id=prompt.request_id, sdk_version=SDK_VERSION)
    if prompt.thread_id is not None:
        columns["thread_id"] = prompt.thread_id
    unit = unit_of(decision, prompt)
    if unit is not None:
        columns["unit_id"] = unit
        columns["unit_kind"] = decision.unit_kind or "user"
    return columns


def check_ids(**ids: str | None) -> None:
    """Refuse an id that is given and is not a non-empty string of at most 256 bytes.

    Raises:
        BadUnit: The id's name, its value, and what it should be.
    """
    for name, value in ids.items():
        if value is not None:
            check_unit(name, value)

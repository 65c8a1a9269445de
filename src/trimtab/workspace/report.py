"""Reports that read registry and events together: one plan, one request."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from trimtab.autopilot.controller import Controller, Sight
from trimtab.errors import NotFound, TrimtabError
from trimtab.events.lake import Lake, PlanExposures
from trimtab.registry.plan_rows import PlanMove
from trimtab.registry.plans import PlanDetail
from trimtab.registry.registry import Registry

ENDS = ("take_back", "finish", "abort", "rollback", "kill")


class PlanReport(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with its life, its guardrails, and whom it met.

    Attributes:
        candidate: How people call the candidate; `baseline` likewise, None before the start.
        now: What the autopilot sees now; for a plan that has ended, all that came in since too.
        end: The move that ended it; its `evidence` holds the numbers used.
        exposures: Units and requests until the end, or until now.
        seconds_to_end: From the first treated exposure to the commit of the end.
    """

    detail: PlanDetail
    candidate: str
    baseline: str | None
    now: Sight | None
    end: PlanMove | None
    exposures: PlanExposures
    seconds_to_end: float | None


class PlanReports:
    """Reports of plans; whom an ended plan met is read from the events once and kept.

    Args:
        registry: Holds the plans.
        controller: Says what it sees of them.
        lake: Knows whom they met.
        clock: Gives the time, aware and in UTC.
    """

    def __init__(
        self,
        registry: Registry,
        controller: Controller,
        lake: Lake,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._registry = registry
        self._controller = controller
        self._lake = lake
        self._clock = clock
        self._kept: dict[str, PlanExposures] = {}

    def report(self, plan_id: str) -> PlanReport:
        """Everything there is to say of one plan."""
        detail = self._registry.plans.get(plan_id)
        record = detail.plan
        end = next((move for move in reversed(detail.moves) if move.action in ENDS), None)
        exposures = self._exposures(detail, end)
        baseline = record.baseline
        return PlanReport(
            detail=detail,
            candidate=self._version(record.prompt, record.candidate),
            baseline=None if baseline is None else self._version(record.prompt, baseline),
            now=self._controller.look(record),
            end=end,
            exposures=exposures,
            seconds_to_end=_seconds(exposures.first_treated_at, end),
        )

    def _exposures(self, detail: PlanDetail, end: PlanMove | None) -> PlanExposures:
        record = detail.plan
        if record.status == "draft":
            return NOBODY
        if record.id in self._kept:
            return self._kept[record.id]
        found = self._lake.plan_exposures(
            record.id, since=record.created_at.date(), until=None if end is None else end.at
        )
        if end is not None and self._clock() - end.at > SETTLED:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[record.id] = found
        return found

    def _version(self, prompt: str, sha: str) -> str:
        return self._registry.versions.resolve(f"{prompt}@sha:{sha}").version


NOBODY = PlanExposures(
    treated_units=0, treated_requests=0, control_units=0, control_requests=0, first_treated_at=None
)
SETTLED = timedelta(seconds=10)  # by then every event received before the end is in a journal
MOST_KEPT = 1_000


def _seconds(first: datetime | None, end: PlanMove | None) -> float | None:
    if first is None or end is None:
        return None
    return round((end.at - first).total_seconds(), 3)


# Any: events have the columns of their kind.
def explain_request(registry: Registry, lake: Lake, request_id: str) -> dict[str, Any]:
    """What was decided for a request and why, what came of it, and by whose plan.

    Raises:
        NotFound: No event names the request.
    """
    events = lake.events_of(request_id)
    if not events:
        raise NotFound(
            f"no event names the request {request_id!r}; events arrive within a second, and ids of"
            " requests stand in the header x-trimtab-request-id"
        )
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_kind.setdefault(event["kind"], []).append(event)
    newest = (by_kind.get("generation") or by_kind.get("exposure") or events)[0]
    decision = {key: newest[key] for key in DECISION_COLUMNS if key in newest}
    return {
        "request_id": request_id,
        "decision": decision,
        "generation": next(iter(by_kind.get("generation", [])), None),
        "exposure": next(iter(by_kind.get("exposure", [])), None),
        "feedback": by_kind.get("feedback", []),
        "outcomes": by_kind.get("outcome", []) + by_kind.get("evaluation", []),
        "plan": _plan_of(registry, newest.get("plan_id")),
        "version": _version_of(registry, newest.get("prompt"), newest.get("sha")),
    }


DECISION_COLUMNS = (
    *("prompt", "version", "sha", "environment", "revision", "reason", "source", "plan_id"),
    *("epoch", "variant", "bucket", "unit_kind", "unit_key"),
)


def _plan_of(registry: Registry, plan_id: str | None) -> dict[str, Any] | None:
    if plan_id is None:
        return None
    try:
        plan = registry.plans.get(plan_id).plan
    except TrimtabError:
        return None  # the events of a restored folder may name plans of another lineage
    return {
        "id": plan.id,
        "status": plan.status,
        "why": plan.why,
        "candidate": plan.candidate,
        "baseline": plan.baseline,
    }


def _version_of(registry: Registry, prompt: str | None, sha: str | None) -> object:
    if prompt is None or sha is None:
        return None
    try:
        return registry.versions.resolve(f"{prompt}@sha:{sha}")
    except TrimtabError:
        return None  # the same

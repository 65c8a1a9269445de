"""Routes that only read: status, history, rollups, audit, explanations, settings."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator

from trimtab.server.auth import check_environment, may_read
from trimtab.server.reply import reply
from trimtab.workspace import Workspace

MAX_SEQ = 2**63 - 1  # what a row's number can be


def moment(at: datetime) -> datetime:
    """The time if it has a zone and lies where every store and every zone can follow.

    Raises:
        ValueError: It does not.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone; write {at.isoformat()}Z for UTC")
    if not 1970 <= at.year <= 9000:
        raise ValueError(f"{at.isoformat()} is out of range; give a year from 1970 to 9000")
    return at


Moment = Annotated[datetime, AfterValidator(moment)]
RowNumber = Annotated[int, Query(ge=0, le=MAX_SEQ)]


def insight_routes(workspace: Workspace) -> APIRouter:
    """The routes, bound to a workspace."""
    routes = APIRouter(prefix="/api/v1")
    _status_routes(workspace, routes)
    _audit_routes(workspace, routes)
    _event_routes(workspace, routes)
    return routes


def _status_routes(workspace: Workspace, routes: APIRouter) -> None:
    registry = workspace.registry

    @routes.get("/status", tags=["insight"])
    def status(
        request: Request, at: Moment | None = None, environment: str | None = None
    ) -> Response:
        """What runs where, now or at a past time."""
        may_read(workspace, request)
        return reply(registry.board.status(at=at, environment=environment))

    @routes.get("/prompts/{name}/log", tags=["insight"])
    def log(name: str, request: Request, environment: str | None = None) -> Response:
        """Moves of a prompt's release pointers, newest first."""
        may_read(workspace, request)
        names = {each.sha: each.version for each in registry.versions.versions(name)}
        places = [environment] if environment is not None else list(workspace.settings.policies)
        moves: list[dict[str, Any]] = [
            {"environment": place, "version": names.get(move.sha), **msgspec.structs.asdict(move)}
            for place in places
            for move in registry.board.history(place, name)
        ]
        moves.sort(key=lambda move: move["at"], reverse=True)
        return reply({"moves": moves})


def _audit_routes(workspace: Workspace, routes: APIRouter) -> None:
    registry = workspace.registry

    @routes.get("/audit", tags=["insight"])
    def audit(
        request: Request,
        *,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        environment: str | None = None,
        prompt: str | None = None,
        action: str | None = None,
        before: RowNumber | None = None,
    ) -> Response:
        """What was decided, newest first; `before` pages on."""
        may_read(workspace, request)
        rows = registry.audit.rows(
            limit=limit, environment=environment, prompt=prompt, action=action, before_seq=before
        )
        check_environment(workspace, environment, found=rows)
        return reply({"rows": rows})

    @routes.get("/audit/verify", tags=["insight"])
    def verify(
        request: Request, count: RowNumber | None = None, head: str | None = None
    ) -> Response:
        """Follow the whole hash chain; a `count` and `head` kept elsewhere are held against it."""
        may_read(workspace, request)
        return reply(registry.audit.verify(count=count, head=head))

    @routes.get("/settings", tags=["insight"])
    def settings(request: Request) -> Response:
        """Environments in rank order with their policies, and the providers' names."""
        may_read(workspace, request)
        found = workspace.settings
        environments = [
            {"name": name, **msgspec.structs.asdict(policy)}
            for name, policy in found.policies.items()
        ]
        pinned = {name: each.pinned_models for name, each in found.providers.items()}
        return reply(
            {"environments": environments, "providers": list(pinned), "pinned_models": pinned}
        )


def _event_routes(workspace: Workspace, routes: APIRouter) -> None:
    @routes.get("/rollup", tags=["insight"])
    def rollup(
        request: Request,
        environment: str | None = None,
        prompt: str | None = None,
        since: Moment | None = None,
    ) -> Response:
        """Requests, latency, tokens, cost and rates by version; `since` means that whole hour."""
        may_read(workspace, request)
        check_environment(workspace, environment)
        versions = workspace.rollup(environment, prompt=prompt, since=since)
        return reply({"versions": versions})

    @routes.get("/feedback", tags=["insight"])
    def feedback(
        request: Request, environment: str | None = None, prompt: str | None = None
    ) -> Response:
        """Feedback by the version that served its request."""
        may_read(workspace, request)
        check_environment(workspace, environment)
        found = workspace.lake.feedback_by_version(environment, prompt=prompt)
        return reply({"feedback": found})

    @routes.get("/history", tags=["insight"])
    def history(request: Request, environment: str, prompt: str) -> Response:
        """How many requests the live version has behind it: what a plan's thresholds come from."""
        may_read(workspace, request)
        found = workspace.history(environment, prompt)
        return reply({"n_requests": found.n_requests if found is not None else 0})

    @routes.get("/counters", tags=["insight"])
    def counters(request: Request) -> Response:
        """What the fold has counted since the beginning: events, duplicates, late ones."""
        may_read(workspace, request)
        workspace.fold()
        return reply(
            {
                "fold": workspace.evidence.counters(),
                "unjoined": workspace.evidence.unjoined(),
                "requests": workspace.lake.count_requests(),
            }
        )

    @routes.get("/requests/{request_id}/explain", tags=["insight"])
    def explain(request_id: str, request: Request) -> Response:
        """What was decided for one request, why, and what came of it."""
        may_read(workspace, request)
        return reply(workspace.explain(request_id))

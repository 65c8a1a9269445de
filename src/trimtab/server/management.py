"""The management API: typed routes for people and their tools, in FastAPI's thread pool."""

import hashlib
import json
from collections.abc import Awaitable, Callable

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from trimtab.errors import BadInput, NotFound, TrimtabError
from trimtab.gateway.http import problem
from trimtab.registry.idempotency import Answer
from trimtab.registry.principals import Principal
from trimtab.server.auth import principal_of
from trimtab.server.authoring import authoring_routes
from trimtab.server.insight import insight_routes
from trimtab.server.promoting import promoting_routes
from trimtab.server.reply import reply
from trimtab.server.ui.page import page_routes
from trimtab.workspace import Workspace

MAX_BODY = 8 * 1024 * 1024
DESCRIPTION = """Versions, promotions, plans and what came of them.

Send `Authorization: Bearer KEY`. Writes take an `Idempotency-Key`. Errors are problem+json and say
what happened, with which value, and the way out.
"""

Next = Callable[[Request], Awaitable[Response]]


def management_app(workspace: Workspace) -> FastAPI:
    """The FastAPI application of a workspace."""
    app = FastAPI(
        title="trimtab",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.workspace = workspace
    app.add_exception_handler(TrimtabError, _our_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.middleware("http")(_once)
    for routes in (authoring_routes, promoting_routes, insight_routes, page_routes):
        app.include_router(routes(workspace))
    return app


async def _once(request: Request, call_next: Next) -> Response:
    """Answer a write that was sent before with what it was answered then."""
    key = request.headers.get("idempotency-key")
    if key is None or request.method not in {"POST", "PUT", "DELETE"}:
        return await call_next(request)
    workspace: Workspace = request.app.state.workspace
    body = await request.body()
    digest = hashlib.sha256(
        b"\n".join([request.method.encode(), request.url.path.encode(), body])
    ).hexdigest()
    try:
        principal = principal_of(workspace, request)
        before = workspace.registry.idempotency.begin(principal, key, digest=digest)
    except TrimtabError as error:
        return problem_response(error)
    if before is not None:
        return reply(before.body, status=before.status)
    return await _keep(workspace, principal, key, await call_next(request))


async def _keep(
    workspace: Workspace, principal: Principal, key: str, response: Response
) -> Response:
    """Remember the answer of a write; one that changed nothing is forgotten."""
    content = b"".join([piece async for piece in response.body_iterator])  # type: ignore[attr-defined]  # every middleware response streams
    if response.status_code >= 400:
        workspace.registry.idempotency.forget(principal, key)
    else:
        answer = Answer(status=response.status_code, body=json.loads(content or b"null"))
        workspace.registry.idempotency.finish(principal, key, answer=answer)
    return Response(content, response.status_code, dict(response.headers))


def problem_response(error: TrimtabError) -> Response:
    """An error as problem+json."""
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return Response(
        msgspec.json.encode(problem(error), order="deterministic"),
        error.status,
        headers,
        media_type="application/problem+json",
    )


async def _our_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, TrimtabError):
        raise error
    return problem_response(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    first = found[0] if found else {"loc": ("body",), "msg": "is not valid", "input": None}
    where = ".".join(str(part) for part in first["loc"] or ())
    shown = repr(first.get("input"))[:120]
    return problem_response(
        BadInput(f"{where}: {first['msg']} (got {shown}); see /api/v1/openapi.json")
    )


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return problem_response(
            NotFound(f"no route {request.method} {request.url.path}; see /api/v1/openapi.json")
        )
    refused = BadInput(f"{request.method} {request.url.path}: {error.detail}")
    refused.status = error.status_code
    return problem_response(refused)

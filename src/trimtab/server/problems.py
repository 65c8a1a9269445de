"""Errors as answers: problem+json, whoever finds the fault."""

import json

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from trimtab.errors import BadInput, NotFound, TrimtabError
from trimtab.gateway.http import problem

SHOWN = 120  # characters of a refused value in a message
MAX_SHOWN_PATH = 300


def answer_with_problems(app: FastAPI) -> None:
    """Let every refusal of an application be problem+json."""
    app.add_exception_handler(TrimtabError, _our_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)


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
    says = str(first["msg"]).removeprefix("Value error, ")
    return problem_response(
        BadInput(
            f"{where[:SHOWN]}: {says} (got {_shown(first.get('input'))}); see"
            " /api/v1/openapi.json for what this route takes"
        )
    )


def _shown(value: object) -> str:
    """A value as the sender wrote it, cut to what a message can hold."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    route = f"{request.method} {request.url.path}"[:MAX_SHOWN_PATH]
    if error.status_code == 404:
        return problem_response(NotFound(f"no route {route}; see /api/v1/openapi.json"))
    refused = BadInput(f"{route}: {error.detail}; see /api/v1/openapi.json")
    refused.status = error.status_code
    response = problem_response(refused)
    response.headers.update(error.headers or {})
    return response

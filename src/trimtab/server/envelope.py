"""What every management request passes: a bounded body, one effect a write, no bare failure."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from fastapi import Request

from trimtab.errors import BadInput, BodyTooLarge, MalformedBody, TrimtabError
from trimtab.gateway.http import (
    JSON_TYPE,
    ClientGone,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    answer_problem,
    read_body,
    request_headers,
)
from trimtab.registry.idempotency import Answer, Idempotency
from trimtab.registry.principals import Principal
from trimtab.server.auth import principal_of
from trimtab.workspace import Workspace

MAX_BODY = 8 * 1024 * 1024
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

logger = logging.getLogger("trimtab")

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Envelope:
    """Stands around the management routes.

    A body is read once, refused beyond 8 MiB before it is parsed, and must be JSON, whatever its
    `Content-Type` says (`curl -d` calls it a form). A write with an
    `Idempotency-Key` that was answered before gets that answer again. What a route did not foresee
    becomes a problem and a traceback in the log.

    Args:
        app: The routes.
        workspace: Knows the keys, and the writes that were answered.
        log: Where a reader of the problem finds the traceback.
    """

    def __init__(self, app: Application, workspace: Workspace, *, log: str) -> None:
        self._app = app
        self._workspace = workspace
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._handle(scope, receive, watched)
        except ClientGone:
            return
        except TrimtabError as error:
            await answer_problem(send, error)
        except Exception as error:
            if begun:
                raise
            route = f"{scope['method']} {scope['path'][:200]}"
            logger.exception("%s failed", route)
            await answer_problem(send, self._unforeseen(route, error))

    def _unforeseen(self, route: str, error: Exception) -> TrimtabError:
        kind = type(error).__name__
        return TrimtabError(
            f"{route} failed inside trimtab ({kind}); {self._log} has the traceback, which we would"
            " like to see"
        )

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = request_headers(scope)
        _check_length(headers.get("content-length", ""))
        body = await read_body(receive, limit=MAX_BODY)
        if body and scope["method"] in WRITES:
            await asyncio.to_thread(check_json, body)
            scope = {**scope, "headers": _as_json(scope["headers"])}
        key = headers.get("idempotency-key")
        if key is None or scope["method"] not in WRITES:
            await self._app(scope, _again(body, receive), send)
            return
        await self._once(scope, body, send, key=key)

    async def _once(self, scope: Scope, body: bytes, send: Send, *, key: str) -> None:
        """Do a write unless it was done, and answer it as it was answered."""
        kept = self._workspace.registry.idempotency
        principal, before = await asyncio.to_thread(
            self._begin, kept, Request(scope), key=key, digest=_digest(scope, body)
        )
        if before is not None:
            await _answer_again(send, before)
            return
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        try:
            await self._app(scope, _again(body, _never), collect)
        except Exception:
            await asyncio.to_thread(kept.forget, principal, key)
            raise
        await asyncio.to_thread(_keep, kept, principal, key, messages=messages)
        for message in messages:
            await send(message)

    def _begin(
        self, kept: Idempotency, request: Request, *, key: str, digest: str
    ) -> tuple[Principal, Answer | None]:
        principal = principal_of(self._workspace, request)
        return principal, kept.begin(principal, key, digest=digest)


def check_json(body: bytes) -> None:
    """Do nothing if the bytes are JSON that every store can hold.

    Raises:
        MalformedBody: They are not JSON: syntax, UTF-8, NaN, half a surrogate pair, a number out of
            range, too deep.
        BadInput: A string no database keeps.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        begin = body[:40].decode("utf-8", "replace")
        raise MalformedBody(
            f"the body is not JSON: {error} (it begins {begin!r}); send one JSON object"
        ) from error
    if b"\\u0000" in body and _has_nul(document):
        raise BadInput(
            "the body has a string with the character U+0000, which cannot be kept; leave it out"
        )


def _has_nul(value: Any) -> bool:  # noqa: ANN401 - JSON of any shape
    match value:
        case str():
            return "\x00" in value
        case list():
            return any(_has_nul(each) for each in value)
        case dict():
            return any("\x00" in key or _has_nul(each) for key, each in value.items())
        case _:
            return False


def _check_length(stated: str) -> None:
    """Refuse by what the sender says, before a byte is read."""
    if stated.isdecimal() and int(stated[:20]) > MAX_BODY:
        raise BodyTooLarge(f"the body has {stated[:20]} bytes, at most {MAX_BODY} are taken")


def _as_json(headers: Iterable[Header]) -> list[Header]:
    return [*(each for each in headers if each[0] != b"content-type"), JSON_TYPE]


def _digest(scope: Scope, body: bytes) -> str:
    """What makes two writes one: method, path, query and body."""
    route = f"{scope['method']}\n{scope['path']}\n".encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"\n".join([route, scope["query_string"], body])).hexdigest()


def _keep(kept: Idempotency, principal: Principal, key: str, *, messages: list[Message]) -> None:
    """Remember what a write was answered; a refused one may be sent again.

    An answer that must not be stored (a new key's secret) is not: sent again, the write meets what
    it made.
    """
    start, *pieces = messages
    headers = dict(start["headers"])
    if start["status"] >= 400 or headers.get(b"cache-control") == b"no-store":
        kept.forget(principal, key)
        return
    content = b"".join(piece.get("body", b"") for piece in pieces)
    body = msgspec.json.decode(content) if content else None
    kept.finish(principal, key, answer=Answer(status=start["status"], body=body))


async def _answer_again(send: Send, before: Answer) -> None:
    headers = [JSON_TYPE, (b"idempotent-replay", b"true")]
    content = b"" if before.body is None else msgspec.json.encode(before.body)
    await answer(send, before.status, headers, content)


def _again(body: bytes, rest: Receive) -> Receive:
    """The body that was read, handed out once more; then whatever the line brings."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await rest()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _never() -> Message:
    """Nothing: a write that was begun is finished, whether its sender waits or not."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}

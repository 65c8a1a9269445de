"""Decisions on the wire: payload, stream, bodies for our SDK; features, sub for GrowthBook's."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine

from trimtab.errors import Forbidden, TrimtabError, Unauthorized, UnknownVersion
from trimtab.gateway.calls import OpenCalls, ServerEnding
from trimtab.gateway.http import (
    JSON_TYPE,
    Header,
    Receive,
    Scope,
    Send,
    StreamAborted,
    answer,
    bearer,
    request_headers,
)
from trimtab.registry.principals import Principal
from trimtab.server.hub import Edition, Hub

PING_S = 10.0
RECYCLE_S = (300.0, 600.0)  # streams are cut and opened anew: half-open lines would last for ever
STUCK_S = 30.0
DATA_LINE = 64 * 1024  # one SDK's reader dies of a longer line than 512 KiB
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|,')

CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-sse-support, etag"),
)
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"if-none-match, cache-control, last-event-id"),
    (b"access-control-max-age", b"86400"),
)
STREAM_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class Delivery:
    """The routes that answer from memory.

    Args:
        hub: The newest editions.
        authenticate: The principal of a token; raises `Unauthorized`.
        body: The canonical bytes of a version by full sha; None if it is not registered.
        recycle_s: Shortest and longest life of a stream.
        stuck_s: A reader that takes nothing for so long is cut off.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        authenticate: Callable[[str | None], Principal],
        body: Callable[[str], bytes | None],
        recycle_s: tuple[float, float] = RECYCLE_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        self.calls = OpenCalls()
        self._recycle_s = recycle_s
        self._stuck_s = stuck_s
        self._hub = hub
        self._authenticate = authenticate
        self._body = body

    async def payload(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """`GET /api/v1/payload`: with bodies for a `render` key, without for a `decide` key."""
        headers = request_headers(scope)
        principal = self._authenticate(bearer(headers))
        environment = _environment(principal)
        edition = self._hub.edition(environment)
        full = "render" in principal.scopes
        if not full:
            principal.require("decide", environment)
        await _answer_edition(send, headers, edition, full=full)

    async def bodies(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """`GET /api/v1/bodies/{sha}`: one identity object, immutable."""
        principal = self._authenticate(bearer(request_headers(scope)))
        principal.require("render")
        sha = scope["path"].rpartition("/")[2]
        content = self._body(sha) if re.fullmatch("[0-9a-f]{64}", sha) else None
        if content is None:
            raise UnknownVersion(f"no version has the sha {sha[:80]!r}; give all 64 hex digits")
        cache = (b"cache-control", b"private, max-age=31536000, immutable")
        await answer(send, 200, [JSON_TYPE, cache, (b"etag", f'"{sha}"'.encode())], content)

    async def features(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """`GET /api/features/{client_key}`: the decision part, for GrowthBook's SDKs."""
        environment = self._client_environment(scope)
        edition = self._hub.edition(environment)
        sse = (b"x-sse-support", b"enabled")
        await _answer_edition(send, request_headers(scope), edition, extra=(*CORS, sse))

    async def preflight(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """What a browser asks before it reads from another site's page."""
        await send({"type": "http.response.start", "status": 204, "headers": [*PREFLIGHT]})
        await send({"type": "http.response.body", "body": b""})

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/v1/stream`: the snapshot first, then every change, without bodies."""
        principal = self._authenticate(bearer(request_headers(scope)))
        environment = _environment(principal)
        principal.require("render", environment)
        stream = self._hold(environment, send, event=b"payload", ping=b": ping\n\n", retry_ms=1000)
        await self._until_cut(receive, stream)

    async def sub(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /sub/{client_key}`: the same for GrowthBook's SDKs; 401 is the only refusal."""
        environment = self._client_environment(scope)
        stream = self._hold(
            environment, send, event=b"features", ping=b"data: \n\n", retry_ms=10_000, extra=CORS
        )
        await self._until_cut(receive, stream)

    async def _until_cut(self, receive: Receive, stream: Coroutine[None, None, None]) -> None:
        try:
            await self.calls.run(receive, stream)
        except ServerEnding as error:
            raise StreamAborted from error

    def _client_environment(self, scope: Scope) -> str:
        """The environment of the key in the path; any trouble with it is 401."""
        key = scope["path"].rpartition("/")[2]
        try:
            principal = self._authenticate(key)
            principal.require("decide")
            return self._hub.edition(_environment(principal)).environment
        except TrimtabError as error:
            raise Unauthorized(
                "the client key in the address is unknown, revoked, or has no scope `decide`;"
                " `trimtab init` made one for each environment"
            ) from error

    async def _hold(
        self,
        environment: str,
        send: Send,
        *,
        event: bytes,
        ping: bytes,
        retry_ms: int,
        extra: tuple[Header, ...] = (),
    ) -> None:
        """Send the current edition and each newer one; ends by being cut, never by an end."""
        headers = [*STREAM_HEADERS, *extra]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._piece(send, b"retry: %d\n\n" % retry_ms)
        async for edition in self._editions(environment):
            if edition is None:
                await self._piece(send, ping)
            else:
                await self._piece(send, edition.as_event(event, sse_event))
        raise StreamAborted

    async def _piece(self, send: Send, body: bytes) -> None:
        """Send a piece; a reader that does not take it is cut off, as is what waits for it."""
        try:
            async with asyncio.timeout(self._stuck_s):
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError as error:
            raise StreamAborted from error

    async def _editions(self, environment: str) -> AsyncIterator[Edition | None]:
        """The current edition, then newer ones; None when it is time for a ping."""
        held = self._hub.edition(environment)
        yield held
        until = time.monotonic() + random.uniform(*self._recycle_s)  # noqa: S311 - jitter, no secret
        while time.monotonic() < until:
            wait_s = min(PING_S, max(until - time.monotonic(), 0.0))
            newer = await self._hub.changed(environment, after=held.revision, timeout_s=wait_s)
            if self._hub.closing:
                return
            if newer is not None:
                held = newer
            yield newer


def _environment(principal: Principal) -> str:
    if principal.environment is None:
        raise Forbidden(
            f'key "{principal.name}" belongs to no single environment; payloads need a key with the'
            " scope `render` or `decide`"
        )
    return principal.environment


async def _answer_edition(
    send: Send,
    headers: dict[str, str],
    edition: Edition,
    *,
    full: bool = False,
    extra: tuple[Header, ...] = (),
) -> None:
    """Send the bytes with an ETag that stands for them; 304 if the caller has them."""
    etag = edition.etag("render" if full else "decide")
    sent = [(b"etag", etag.encode()), (b"cache-control", b"no-cache"), *extra]
    known = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        await send({"type": "http.response.start", "status": 304, "headers": sent})
        await send({"type": "http.response.body", "body": b""})
        return
    body = edition.full if full else edition.decision
    await answer(send, 200, [JSON_TYPE, *sent], body)


def sse_event(event: bytes, revision: int, data: bytes) -> bytes:
    """One event; long data is cut between JSON tokens into lines of at most 64 KiB."""
    lines = b"".join(b"data: " + line + b"\n" for line in cut_json(data, DATA_LINE))
    return b"id: %d\nevent: %s\n%s\n" % (revision, event, lines)


def cut_json(data: bytes, limit: int) -> list[bytes]:
    """JSON text cut after commas that stand between tokens, in pieces of at most `limit` bytes.

    A single string longer than `limit` stays whole.
    """
    if len(data) <= limit:
        return [data]
    pieces: list[bytes] = []
    start = last = 0
    for token in _TOKENS.finditer(data):
        if token.group() != b",":
            continue
        if token.end() - start > limit and last > start:
            pieces.append(data[start:last])
            start = last
        last = token.end()
    if len(data) - start > limit and last > start:
        pieces.append(data[start:last])
        start = last
    pieces.append(data[start:])
    return pieces

"""The little of ASGI that the data routes need: bodies, headers, answers, broken streams."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from trimtab.errors import BodyTooLarge, TrimtabError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON_TYPE: Header = (b"content-type", b"application/json")


class ClientGone(Exception):
    """The caller hung up."""


class StreamAborted(Exception):
    """Raised to cut a response that has begun: its end must not look like one."""


def request_headers(scope: Scope) -> dict[str, str]:
    """Lower-case names to values; a repeated header keeps its first value."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found


async def read_body(receive: Receive, *, limit: int) -> bytes:
    """The whole request body.

    Raises:
        BodyTooLarge: More than `limit` bytes.
        ClientGone: The caller hung up before the end.
    """
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(f"the body is larger than {limit} bytes; send less at a time")
        pieces.append(piece)
        if not message.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def answer(send: Send, status: int, headers: Iterable[Header], body: bytes) -> None:
    """Send a whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def answer_json(
    send: Send, status: int, document: object, headers: Iterable[Header] = ()
) -> None:
    """Send a JSON document."""
    await answer(send, status, [JSON_TYPE, *headers], msgspec.json.encode(document))


def problem(error: TrimtabError) -> dict[str, object]:
    """An error as problem+json. Source: RFC 9457."""
    return {
        "type": f"urn:trimtab:{error.code}",
        "title": error.code.replace("_", " "),
        "status": error.status,
        "detail": str(error),
        **error.detail,
    }


async def answer_problem(send: Send, error: TrimtabError) -> None:
    """Send an error as problem+json."""
    headers = [(b"content-type", b"application/problem+json")]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await answer(send, error.status, headers, msgspec.json.encode(problem(error)))


def bearer(headers: MutableMapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer …`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

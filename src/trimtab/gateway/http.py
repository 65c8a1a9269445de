"""The little of ASGI that the data routes need: bodies, headers, answers, broken streams."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import msgspec

from trimtab.errors import BadInput, BodyTooLarge, TrimtabError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
JSON_TYPE: Header = (b"content-type", b"application/json")


class ClientGone(Exception):
    """The caller hung up."""


class StreamAborted(Exception):
    """Raised to cut a response that has begun: its end must not look like one."""


class RepeatedHeader(BadInput):
    """A header of ours came twice with different values; none of them is guessed."""

    status = 400
    code = "repeated_header"


def request_headers(scope: Scope) -> dict[str, str]:
    """Lower-case names to values, read as UTF-8 where they are; repeated ones as one list.

    Raises:
        RepeatedHeader: One that begins with `x-trimtab-` has two values.
    """
    found: dict[str, str] = {}
    for raw_name, raw in scope["headers"]:
        name, value = raw_name.decode("latin-1"), _header_text(raw)
        held = found.setdefault(name, value)
        if held == value:
            continue
        if name.startswith("x-trimtab-"):
            raise RepeatedHeader(f"{name} is {held!r} and {value!r}; send it once")
        found[name] = f"{held}, {value}"
    return found


def _header_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


async def read_body(
    receive: Receive, *, limit: int, headers: Mapping[str, str] = NO_HEADERS
) -> bytes:
    """The whole request body; one whose headers say that it is too large is not read.

    Raises:
        BodyTooLarge: More than `limit` bytes.
        ClientGone: The caller hung up before the end.
    """
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        raise BodyTooLarge(
            f"the body has {length[:20]} bytes, at most {limit}; send less at a time"
        )
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


async def answer_problem(send: Send, error: TrimtabError, extra: Iterable[Header] = ()) -> None:
    """Send an error as problem+json."""
    headers = [(b"content-type", b"application/problem+json"), *extra]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await answer(send, error.status, headers, msgspec.json.encode(problem(error)))


def bearer(headers: MutableMapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer …`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

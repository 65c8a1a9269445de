"""The door for events from outside: a batch is validated, appended, and only then acknowledged."""

import zlib
from collections.abc import Callable, Collection
from datetime import datetime

from trimtab.errors import BodyTooLarge, Forbidden, MalformedBody
from trimtab.events.door import admit
from trimtab.events.journal import Journal
from trimtab.gateway.http import (
    Receive,
    Scope,
    Send,
    answer_json,
    bearer,
    read_body,
    request_headers,
)
from trimtab.registry.principals import Principal

MAX_BODY = 8 * 1024 * 1024
MAX_MEMBERS = 16  # the rest of the body is copied once a member
MAX_INFLATED = 32 * 1024 * 1024


class Ingest:
    """`POST /api/v1/events`: JSON or NDJSON, gzip if said so; needs the scope `render`."""

    def __init__(
        self,
        journal: Journal,
        *,
        authenticate: Callable[[str | None], Principal],
        unit_key: Callable[[str, str], str],
        attributes: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._authenticate = authenticate
        self._unit_key = unit_key
        self._attributes = attributes
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Append what is valid; the answer counts it and names each refused event."""
        headers = request_headers(scope)
        principal = self._authenticate(bearer(headers))
        principal.require("render")
        if principal.environment is None:
            raise Forbidden(f'key "{principal.name}" belongs to no single environment')
        body = await read_body(receive, limit=MAX_BODY, headers=headers)
        batch = admit(
            inflate(body, headers.get("content-encoding", "identity")),
            environment=principal.environment,
            received_at=self._now(),
            unit_key=self._unit_key,
            attributes=self._attributes,
        )
        if batch.lines:
            self._journal.append(batch.lines)
        await answer_json(send, 200, {"accepted": batch.accepted, "rejected": batch.rejected})


def inflate(body: bytes, encoding: str) -> bytes:
    """The body without its content coding; gzip is the one that is read.

    Raises:
        MalformedBody: Another coding, or bytes that are not gzip.
        BodyTooLarge: More than 32 MiB inflated.
    """
    coding = encoding.strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in {"gzip", "x-gzip"}:
        raise MalformedBody(f"content-encoding {encoding!r} is not read here; send gzip or none")
    pieces: list[bytes] = []
    room = MAX_INFLATED
    while body:  # a gzip body may have several members
        if len(pieces) == MAX_MEMBERS:
            raise MalformedBody(f"the gzip body has more than {MAX_MEMBERS} members; send one")
        inflater = zlib.decompressobj(wbits=31)
        try:
            pieces.append(inflater.decompress(body, room + 1))
        except zlib.error as error:
            raise MalformedBody(f"the body is not gzip: {error}") from error
        room -= len(pieces[-1])
        if room < 0:
            raise BodyTooLarge(
                f"the body inflates to more than {MAX_INFLATED} bytes; send less at once"
            )
        if not inflater.eof:
            raise MalformedBody("the gzip body breaks off before its end; send it again")
        body = inflater.unused_data
    return b"".join(pieces)

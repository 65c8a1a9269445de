"""Records as JSON answers: encoded once, by msgspec, without a second model class."""

import msgspec
from starlette.responses import Response


def reply(document: object, *, status: int = 200, secret: bool = False) -> Response:
    """A record, or plain JSON values, as an answer; a secret one is stored by nobody."""
    headers = {"Cache-Control": "no-store"} if secret else None
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")

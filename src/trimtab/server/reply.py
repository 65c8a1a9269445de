"""Records as JSON answers: encoded once, by msgspec, without a second model class."""

import msgspec
from starlette.responses import Response


def reply(document: object, *, status: int = 200) -> Response:
    """A record, or plain JSON values, as an answer."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")

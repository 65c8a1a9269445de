"""Who calls: the principal of a management request."""

from fastapi import Request

from trimtab.errors import Unauthorized
from trimtab.registry.principals import Principal
from trimtab.workspace import Workspace

LOOPBACK = frozenset({"127.0.0.1", "::1"})


def principal_of(workspace: Workspace, request: Request) -> Principal:
    """The principal of the request's bearer key.

    Raises:
        Unauthorized: No key, or one that is not known.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return workspace.authenticate(token.strip() if scheme.lower() == "bearer" else None)


def may_read(workspace: Workspace, request: Request) -> None:
    """Let a reader in: with the scope `read`, or without a key from this very machine.

    Raises:
        Unauthorized: No key, from elsewhere.
        Forbidden: The key lacks the scope.
    """
    if "authorization" in request.headers:
        principal_of(workspace, request).require("read")
        return
    host = request.client.host if request.client is not None else None
    forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    if host not in LOOPBACK or forwarded:
        raise Unauthorized(
            "reading needs a key with the scope `read` from anywhere but this machine; send"
            " `Authorization: Bearer KEY`"
        )

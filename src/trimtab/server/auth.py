"""Who calls, and whether what a request names is there."""

from collections.abc import Collection

from fastapi import Request

from trimtab.errors import Unauthorized, UnknownEnvironment
from trimtab.registry.principals import Principal
from trimtab.workspace import Workspace

LOOPBACK = frozenset({"127.0.0.1", "::1"})
# A page elsewhere can point a name of its own at 127.0.0.1 and let a browser here ask for it.
LOOPBACK_NAMES = LOOPBACK | {"localhost", "[::1]"}
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


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
    if not _is_from_here(request):
        raise Unauthorized(
            "reading needs a key with the scope `read` from anywhere but this machine (asked for by"
            " its own name, without a proxy); send `Authorization: Bearer KEY`"
        )


def _is_from_here(request: Request) -> bool:
    """Whether someone on this machine asks it by a name that means this machine."""
    sender = request.client.host if request.client is not None else None
    if sender not in LOOPBACK or any(name in request.headers for name in PROXY_HEADERS):
        return False
    asked = request.headers.get("host", "").rpartition(":")
    name = asked[0] if asked[0] and asked[2].isdecimal() else request.headers.get("host", "")
    return name.lower() in LOOPBACK_NAMES


def check_environment(
    workspace: Workspace, environment: str | None, *, found: Collection[object] = ()
) -> None:
    """Do nothing for an environment of the settings, for None (all), or where anything was found.

    Raises:
        UnknownEnvironment: There is none of this name; an empty list would hide a slip of the pen.
    """
    known = workspace.settings.policies
    if environment is not None and environment not in known and not found:
        raise UnknownEnvironment(
            f'there is no environment "{environment}"; choose from {", ".join(known)}'
        )

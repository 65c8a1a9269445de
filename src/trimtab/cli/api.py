"""Asking the server: one transport for HTTP, one for a data folder that no server holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode
from uuid import uuid4

import msgspec

from trimtab.errors import ConfigError, ServerRefused, ServerUnreachable
from trimtab.sdk.http import Connection

DEFAULT_URL = "http://127.0.0.1:8321"
TIMEOUT_S = 60.0
KEY_FROM = "TRIMTAB_KEY (or --key): `trimtab init` printed keys, `trimtab keys create` makes more"

JsonObject = dict[str, Any]  # JSON as the routes give it


class Transport(Protocol):
    """Carries one request of the management routes."""

    def request(self, method: str, path: str, body: object) -> tuple[int, object]:
        """Status and decoded JSON of the answer; `body` None sends none."""

    def close(self) -> None:
        """Let go of what the transport holds."""


class HttpTransport:
    """Asks a running server; every write carries an idempotency key, so that a retry is safe."""

    def __init__(self, url: str, key: str) -> None:
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigError(
                "the key has characters no key has; copy TRIMTAB_KEY as `trimtab init` printed it"
            )
        try:
            self._connection = Connection(url, key, timeout_s=TIMEOUT_S)
        except ValueError as error:
            raise ConfigError(f"server url {url!r} cannot be read: {error}") from error

    def request(self, method: str, path: str, body: object) -> tuple[int, object]:
        """Send, wait, decode.

        Raises:
            ServerUnreachable: Nothing answered.
            ServerRefused: What answered does not speak JSON.
        """
        headers = {"Accept": "application/json"}
        if method != "GET":
            headers["Idempotency-Key"] = uuid4().hex
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        try:
            reply = self._connection.request(method, path, body=content, headers=headers)
        except ServerUnreachable as error:
            raise ServerUnreachable(
                f"{error}; start the server with `trimtab serve --data DIR`, or set TRIMTAB_URL "
                "(--url) to where it runs"
            ) from error
        if not reply.body:
            return reply.status, {}
        try:
            return reply.status, msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ServerRefused(
                f"{self._connection.url}{path} answered {reply.status} with something that is not "
                "JSON; is TRIMTAB_URL the address of a trimtab server? If so, its log says more",
                status=502,
                code="not_trimtab",
            ) from error

    def close(self) -> None:
        """Drop the line."""
        self._connection.close()


def open_folder(folder: Path, key: str) -> Transport:
    """A transport that opens a data folder itself.

    Raises:
        DataFolderLocked: A server holds it.
    """
    from trimtab.server.local import LocalTransport

    transport: Transport = LocalTransport(folder, key)
    return transport


class Api:
    """The management routes, with problems raised as errors.

    Args:
        transport: Carries the requests.
        has_key: Whether it acts with a key; without one it may read at most.
    """

    def __init__(self, transport: Transport, *, has_key: bool = True) -> None:
        self._transport = transport
        self._has_key = has_key

    def get(self, path: str, query: Mapping[str, object] | None = None) -> JsonObject:
        """Read; values of None are left out of the query."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self.call("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(self, path: str, body: Mapping[str, object]) -> JsonObject:
        """Create or act."""
        return self.call("POST", path, body)

    def delete(self, path: str, query: Mapping[str, object]) -> JsonObject:
        """Take away."""
        return self.call("DELETE", f"{path}?{urlencode(query)}" if query else path)

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> JsonObject:
        """Send one request and give the object that answers it.

        Raises:
            ConfigError: It changes something, and no key is given.
            ServerRefused: The answer is a problem; message, status and code are the server's.
        """
        if method != "GET" and not self._has_key:
            raise ConfigError(f"no key is given, and acting needs one; set {KEY_FROM}")
        status, document = self._transport.request(method, path, body)
        if not isinstance(document, dict):
            raise ServerRefused(
                f"{method} {path} was answered with {document!r:.80}, not a JSON object; "
                "are command line and server of one version?",
                status=502,
                code="not_trimtab",
            )
        if status >= 400:
            raise _refusal(status, document)
        return document

    def close(self) -> None:
        """Let go of the transport."""
        self._transport.close()


def prompt_path(name: str) -> str:
    """The route of a prompt."""
    return f"/api/v1/prompts/{segment(name)}"


def pointer_path(environment: str, prompt: str) -> str:
    """The route of a prompt in an environment."""
    return f"/api/v1/environments/{segment(environment)}/prompts/{segment(prompt)}"


def segment(text: str) -> str:
    """A value as one segment of a path; "." and ".." would climb."""
    return quote(text, safe=":@") if text.strip(".") else text.replace(".", "%2E")


def _refusal(status: int, document: JsonObject) -> ServerRefused:
    code = str(document.get("type", "")).removeprefix("urn:trimtab:") or "refused"
    message = document.get("detail")
    if not isinstance(message, str):
        # Not of the problem form: show what there is.
        message = f"the server answered {status}: {str(message or document)[:500]}"
    if status == 401:
        message = f"{message}; set {KEY_FROM}"
    facts = {
        name: value
        for name, value in document.items()
        if name not in {"type", "title", "status", "detail"}
    }
    return ServerRefused(message, status=status, code=code, facts=facts)

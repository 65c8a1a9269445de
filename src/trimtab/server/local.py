"""The management routes without a server: one process opens the folder and asks itself."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from trimtab.gateway.http import Message, Scope
from trimtab.registry.ledger import Published
from trimtab.server.envelope import Application
from trimtab.server.management import management_app
from trimtab.workspace import Workspace

LOG_FILE = "trimtab.log"


class LocalReply(NamedTuple):
    """Status, lower-case headers, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


class LocalTransport:
    """Carries management requests into a data folder that no server holds.

    The same routes and the same key check as over HTTP; nothing is decided anew here. An empty key
    reads, as from this machine over HTTP. Failures are logged into the folder.

    Raises:
        DataFolderLocked: A server holds the folder.
        ConfigError: It is no trimtab folder.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._workspace = Workspace.open(folder)
        log = folder / LOG_FILE
        self._log = logging.FileHandler(log, delay=True, encoding="utf-8")
        logging.getLogger("trimtab").addHandler(self._log)
        try:
            # FastAPI's type is an ASGI callable.
            self._app: Any = management_app(self._workspace, log=str(log))
            self._workspace.registry.on_publish(self._refresh)
            for environment in self._workspace.settings.policies:
                self._workspace.serving.refresh(environment)
        except BaseException:
            self._stop()
            raise
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def request(self, method: str, path: str, body: object) -> tuple[int, object]:
        """Status and decoded JSON of the answer."""
        content = b"" if body is None else msgspec.json.encode(body)
        reply = asyncio.run(ask(self._app, method, path, content=content, headers=self._headers))
        return reply.status, msgspec.json.decode(reply.body) if reply.body else {}

    def close(self) -> None:
        """Give the folder back."""
        try:
            self._workspace.fold()
        finally:
            self._stop()

    def _stop(self) -> None:
        logging.getLogger("trimtab").removeHandler(self._log)
        self._log.close()
        self._workspace.stop()

    def _refresh(self, published: Published) -> None:
        self._workspace.serving.refresh(published.environment)


async def ask(
    app: Application,
    method: str,
    path: str,
    *,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> LocalReply:
    """Send one request into an application of this process, as from this machine.

    Args:
        app: The ASGI application.
        method: GET, POST, …
        path: Path and query, quoted.
        content: The body.
        headers: Names and values besides `content-type`, which is JSON unless given.
    """
    sent: list[Message] = []
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(_scope(method, path, headers or {}), receive, send)
    start, *pieces = sent
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    return LocalReply(start["status"], found, b"".join(each.get("body", b"") for each in pieces))


def _scope(method: str, path: str, headers: Mapping[str, str]) -> Scope:
    route, _, query = path.partition("?")
    named = {"host": "localhost", "content-type": "application/json", **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(route),
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }

"""The management routes without a server: one process opens the folder and asks itself."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from trimtab.server.management import management_app
from trimtab.workspace import Workspace


class LocalTransport:
    """Carries management requests into a data folder that no server holds.

    The same routes and the same key check as over HTTP; nothing is decided anew here.

    Raises:
        DataFolderLocked: A server holds the folder.
        ConfigError: It is no trimtab folder.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._workspace = Workspace.open(folder)
        self._app: Any = management_app(self._workspace)  # FastAPI's own type is an ASGI callable
        for environment in self._workspace.settings.policies:
            self._workspace.serving.refresh(environment)
        self._key = key

    def request(self, method: str, path: str, body: object) -> tuple[int, object]:
        """Status and decoded JSON of the answer."""
        content = b"" if body is None else msgspec.json.encode(body)
        status, answer = asyncio.run(self._call(method, path, content))
        return status, msgspec.json.decode(answer) if answer else {}

    def close(self) -> None:
        """Give the folder back."""
        self._workspace.fold()
        self._workspace.stop()

    async def _call(self, method: str, path: str, content: bytes) -> tuple[int, bytes]:
        route, _, query = path.partition("?")
        headers = [(b"authorization", f"Bearer {self._key}".encode())] if self._key else []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(route),
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"content-type", b"application/json"), *headers],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        sent: list[dict[str, Any]] = []
        given = False

        async def receive() -> dict[str, Any]:
            nonlocal given
            if given:
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        status = next(each["status"] for each in sent if each["type"] == "http.response.start")
        pieces = [each.get("body", b"") for each in sent if each["type"] == "http.response.body"]
        return int(status), b"".join(pieces)

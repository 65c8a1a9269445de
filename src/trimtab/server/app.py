"""The server: data routes through a small switch, everything else through FastAPI."""

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import uvicorn

from trimtab.errors import TrimtabError
from trimtab.gateway.app import Gateway
from trimtab.gateway.http import (
    ClientGone,
    Receive,
    Scope,
    Send,
    StreamAborted,
    answer_json,
    answer_problem,
)
from trimtab.providers.upstream import Upstream
from trimtab.server.delivery import CORS, RECYCLE_S, Delivery
from trimtab.server.hub import Edition, Hub
from trimtab.server.ingest import Ingest
from trimtab.server.management import management_app
from trimtab.workspace import Workspace
from trimtab.workspace.serving import Serving
from trimtab.workspace.workspace import now

logger = logging.getLogger("trimtab")

GRACE_S = 1.0  # for answers of the gateway that are under way when the server is told to stop
CLOSE_S = 2  # then connections are dropped, even of readers that take nothing

Route = Callable[[Scope, Receive, Send], Awaitable[None]]


class App:
    """The ASGI application of a workspace.

    Data routes are answered from memory in the event loop; management routes are plain functions
    in FastAPI's thread pool. One process, one event loop.

    Args:
        workspace: Opened; started and stopped with the server.
        recycle_s: Shortest and longest life of a stream.
    """

    def __init__(self, workspace: Workspace, *, recycle_s: tuple[float, float] = RECYCLE_S) -> None:
        self.workspace = workspace
        self.hub = Hub(self._edition)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._upstreams: dict[str, Upstream] = {}
        self.delivery = Delivery(
            self.hub,
            authenticate=workspace.authenticate,
            body=workspace.body,
            recycle_s=recycle_s,
        )
        self._ingest = Ingest(
            workspace.journal,
            authenticate=workspace.authenticate,
            unit_key=workspace.unit_key,
            attributes=workspace.settings.event_attributes,
            now=now,
        )
        self._gateway = Gateway(
            authenticate=workspace.authenticate,
            snapshot=workspace.snapshot,
            record=workspace.record,
            price=workspace.price,
            upstreams=self._upstreams,
            environments=workspace.settings.policies,
            logged_attributes=workspace.settings.event_attributes,
        )
        self._management: Any = management_app(workspace)  # FastAPI's own type is an ASGI callable
        self._exact: dict[tuple[str, str], Route] = {
            ("GET", "/api/v1/payload"): self.delivery.payload,
            ("GET", "/api/v1/stream"): self.delivery.stream,
            ("POST", "/api/v1/events"): self._ingest,
            ("GET", "/healthz"): self._healthz,
            ("GET", "/readyz"): self._readyz,
        }
        self._prefixes: list[tuple[str, re.Pattern[str], Route]] = [
            ("GET", re.compile(r"/api/v1/bodies/[^/]+"), self.delivery.bodies),
            ("GET", re.compile(r"/api/features/[^/]+"), self.delivery.features),
            ("GET", re.compile(r"/sub/[^/]+"), self.delivery.sub),
            ("OPTIONS", re.compile(r"/(api/features|sub)/[^/]+"), self.delivery.preflight),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path.startswith("/v1/"):
            await self._gateway(scope, receive, send)
            return
        if method == "HEAD" and not path.startswith(("/sub/", "/api/v1/stream")):
            method = "GET"  # answered alike; the server sends no body
        route = self._exact.get((method, path)) or self._matching(method, path)
        if route is None:
            await self._management(scope, receive, send)
            return
        await self._guarded(route, scope, receive, send)

    def _matching(self, method: str, path: str) -> Route | None:
        for wanted, pattern, route in self._prefixes:
            if method == wanted and pattern.fullmatch(path):
                return route
        return None

    async def _guarded(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await route(scope, receive, send)
        except ClientGone:
            return
        except TrimtabError as error:
            public = scope["path"].startswith(("/api/features/", "/sub/"))
            await answer_problem(send, error, CORS if public else ())

    def end(self) -> None:
        """Cut the streams at once, and the gateway's calls after a moment; from any thread."""
        self.hub.close()
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.delivery.calls.cut)
            loop.call_soon_threadsafe(loop.call_later, GRACE_S, self._gateway.calls.cut)

    def _edition(self, environment: str) -> Edition:
        snapshot = self.workspace.snapshot(environment)
        return Edition(
            environment,
            lineage=snapshot.lineage,
            revision=snapshot.revision,
            decision=Serving.decision_bytes(snapshot),
            full=lambda: Serving.full_bytes(snapshot),
        )

    # --- health ----------------------------------------------------------------------------

    async def _healthz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await answer_json(send, 200, {"status": "ok"})

    async def _readyz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        ready = self.workspace.ready
        await answer_json(send, 200 if ready else 503, {"ready": ready})

    # --- lifetime --------------------------------------------------------------------------

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self._start()
                except TrimtabError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.hub.attach(self._loop)
        for name, settings in self.workspace.settings.providers.items():
            self._upstreams[name] = Upstream(settings)
        self.workspace.start(self.hub.publish)

    async def _stop(self) -> None:
        self.hub.close()
        for upstream in self._upstreams.values():
            await upstream.close()
        await asyncio.to_thread(self.workspace.stop)


class _HideAborts(logging.Filter):
    """Keeps the private signal that cuts a stream out of the log: it is no failure."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], StreamAborted))


class TrimtabServer(uvicorn.Server):
    """uvicorn that cuts the open streams first when it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app
        self.on_started: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the sockets, then say so."""
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Cut the streams, then let uvicorn finish the rest."""
        self._app.end()
        super().handle_exit(sig, frame)


def serve(
    workspace: Workspace, *, host: str, port: int, on_ready: Callable[[str], None] | None = None
) -> None:
    """Run until SIGINT or SIGTERM; `on_ready` gets the address once it answers."""
    app = App(workspace)
    logging.getLogger("uvicorn.error").addFilter(_HideAborts())
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=CLOSE_S,
        timeout_keep_alive=75,  # longer than clients keep a line: they should be the ones to close
        server_header=False,
        proxy_headers=False,  # who may read without a key depends on the true peer
        backlog=4096,
    )
    server = TrimtabServer(config, app)
    sock = config.bind_socket()
    bound = sock.getsockname()[1]
    address = f"http://{host if ':' not in host else f'[{host}]'}:{bound}"

    server.on_started = (lambda: on_ready(address)) if on_ready is not None else None
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[sock])

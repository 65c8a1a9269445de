"""A server whose answers the test writes: it plays trimtab's side of the SDK's wire."""

import http.server
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import msgspec

from trimtab.prompts.version import Version, version_from_identity


def eventually(look: Callable[[], Any], *, within_s: float = 5.0) -> Any:
    """The first truthy value of `look`; fails when none comes in time."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come in time"
        pause.wait(0.005)
    return found


def version_of(word: str, *, includes: dict[str, str] | None = None) -> Version:
    """A version with one system message."""
    identity: dict[str, Any] = {
        "model": "openai/gpt-4o-2024-11-20",
        "messages": [{"role": "system", "template": word}],
    }
    if includes:
        identity["includes"] = includes
    return version_from_identity(identity)


def fragment_of(word: str) -> Version:
    """A fragment with one text."""
    return version_from_identity({"kind": "fragment", "messages": [{"template": word}]})


def payload(version: Version, *, revision: int = 1, lineage: str = "one") -> dict[str, Any]:
    """A payload that serves one version of `greet` to everyone, without bodies."""
    value = {"prompt": "greet", "version": f"1.0.{revision}", "sha": version.sha, "model": None}
    state = {
        "live": version.sha,
        "serving": version.sha,
        "versions": {version.sha: {"version": f"1.0.{revision}"}},
    }
    return {
        "features": {"greet": {"defaultValue": value}},
        "trimtab": {
            "format": 1,
            "lineage": lineage,
            "environment": "prod",
            "revision": revision,
            "published_at": "2026-01-01T00:00:00Z",
            "prompts": {"greet": state},
            "plans": {},
            "audit": {"count": 0, "head": ""},
        },
    }


class ScriptedServer:
    """Answers payload, stream, bodies and events as told; remembers what was asked."""

    def __init__(self) -> None:
        self.payload: tuple[int, bytes] = (503, b"")
        self.bodies: dict[str, Version] = {}
        self.streams = True
        self.events: Callable[[bytes], tuple[int, bytes] | None] = accept
        self.asked: list[str] = []
        self.etags: list[str | None] = []
        self.posted: list[bytes] = []
        self._gone = threading.Event()
        self._cut = threading.Event()
        self._news: list[bytes] = []
        self._changed = threading.Condition()
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                script.answer(self)

            def do_POST(self) -> None:
                script.take(self)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._gone.set()
        self.cut_streams()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    # --- what a test says -------------------------------------------------------------------

    def serve(self, version: Version, *, revision: int = 1, lineage: str = "one") -> None:
        """Serve this from now on, to pollers and to open streams."""
        document = payload(version, revision=revision, lineage=lineage)
        self.bodies[version.sha] = version
        data = msgspec.json.encode(document)
        self.payload = (200, data)
        self.push(data)

    def push(self, data: bytes) -> None:
        """Send this to the open streams as a payload."""
        with self._changed:
            self._news.append(data)
            self._changed.notify_all()

    def cut_streams(self) -> None:
        """Break the open streams."""
        with self._changed:
            self._cut.set()
            self._changed.notify_all()
            self._cut = threading.Event()

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked.startswith(path) for asked in self.asked)

    # --- the wire ---------------------------------------------------------------------------

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a GET."""
        path = handler.path
        self.asked.append(path)
        if path == "/api/v1/stream":
            self._stream(handler)
        elif path.startswith("/api/v1/bodies/"):
            version = self.bodies.get(path.rpartition("/")[2])
            found = (200, msgspec.json.encode(version.identity)) if version else (404, b"{}")
            send(handler, *found)
        else:
            self.etags.append(handler.headers["If-None-Match"])
            status, body = self.payload
            tag = f'"{hash(body)}"'
            if status == 200 and handler.headers["If-None-Match"] == tag:
                send(handler, 304, b"")
            else:
                send(handler, status, body, etag=tag)

    def take(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a POST."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.asked.append(handler.path)
        found = self.events(body)
        if found is None:
            handler.close_connection = True
            handler.connection.close()
            return
        self.posted.append(body)
        send(handler, *found)

    def _stream(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        if not self.streams:
            send(handler, 404, b"no")
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        cut = self._cut
        sent = len(self._news)
        self.asked.append("open stream")
        pieces = [self.payload[1]] if self.payload[0] == 200 else []
        while not (cut.is_set() or self._gone.is_set()):
            try:
                for piece in pieces:
                    lines = b"".join(b"data: " + line + b"\n" for line in piece.split(b"\n"))
                    handler.wfile.write(b"event: payload\n" + lines + b"\n")
                handler.wfile.write(b": ping\n\n")
                handler.wfile.flush()
            except OSError:
                return
            with self._changed:
                self._changed.wait(0.05)
                pieces, sent = self._news[sent:], len(self._news)


def send(
    handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes, *, etag: str = ""
) -> None:
    """A whole response."""
    handler.send_response(status)
    if etag:
        handler.send_header("ETag", etag)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def accept(_body: bytes) -> tuple[int, bytes]:
    """The answer of a server that takes every event."""
    return 200, b'{"accepted": 1, "rejected": []}'

"""A provider that answers as the test says: it plays the foreign side of the gateway's wire."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def completion(text: str = "hello", **changes: Any) -> dict[str, Any]:
    """A chat completion as OpenAI sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-11-20",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
        **changes,
    }


def chunk(delta: dict[str, Any], *, finish: str | None = None, **changes: Any) -> bytes:
    """One event of a streamed completion."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-11-20",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **changes,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def answer_plainly(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """`hello`, whole or streamed as asked."""
    if not body.get("stream"):
        return web.json_response(completion())
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(_request)
    for word in ("hel", "lo"):
        await response.write(chunk({"content": word}))
    await response.write(chunk({}, finish="stop"))
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
        await response.write(chunk({}, choices=[], usage=usage))
    await response.write(b"data: [DONE]\n\n")
    return response


class ScriptedProvider:
    """An aiohttp server in a thread; `handler` may be replaced at any time."""

    def __init__(self, *, keepalive_s: float = 75.0) -> None:
        self.handler: Handler = answer_plainly
        self.bodies: list[dict[str, Any]] = []
        self.peers: list[Any] = []
        self.cancelled = threading.Event()
        self._keepalive_s = keepalive_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        """Base address, up to `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *details: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            keepalive_timeout=self._keepalive_s,
            shutdown_timeout=0.2,
            access_log=None,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.peers.append(request.transport.get_extra_info("peername") if request.transport else 0)
        try:
            return await self.handler(request, body)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

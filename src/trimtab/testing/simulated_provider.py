"""The simulated provider: a loopback HTTP process that speaks OpenAI's chat completions.

    python -m trimtab.testing.simulated_provider --port 0 --seed 7

It prints one JSON line with its port when it listens. How it behaves is in `simulation_rules`.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from trimtab.testing.simulated_replies import Reply, reply_to

MODELS = ("gpt-4o-2024-11-20", "gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14")
_FIRST_CHUNK_AT = 0.35  # of the latency: the time to the first chunk of a stream
_MAX_TEXT_CHUNKS = 8  # a stream has at most eleven chunks: each costs every reader on the way
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_ERROR_TYPES = {429: "rate_limit_exceeded", 500: "server_error", 503: "server_error"}

JSON = dict[str, Any]  # Any: bodies of a foreign protocol


class SimulatedProvider:
    """The routes and counters of one simulated provider.

    Args:
        seed: Of all draws.
        time_scale: Factor on every latency; 0 answers at once.
        key: Demanded as bearer token if given.
    """

    def __init__(self, *, seed: int, time_scale: float = 1.0, key: str | None = None) -> None:
        self._seed = seed
        self._time_scale = time_scale
        self._key = key
        self._numbers = itertools.count(1)
        self.counts = dict.fromkeys(("requests", "streams", "errors", "cancelled", "open"), 0)

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_post("/v1/chat/completions", self._completions)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/simulated/counts", self._counts)
        return app

    async def _counts(self, _request: web.Request) -> web.Response:
        return _json(200, self.counts)

    async def _models(self, _request: web.Request) -> web.Response:
        entry = {"object": "model", "created": 0, "owned_by": "simulated-provider"}
        return _json(200, {"object": "list", "data": [{"id": name, **entry} for name in MODELS]})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        started = asyncio.get_running_loop().time()
        self.counts["requests"] += 1
        self.counts["open"] += 1
        try:
            return await self._answer(request, started)
        except (asyncio.CancelledError, ConnectionResetError):
            self.counts["cancelled"] += 1
            raise
        finally:
            self.counts["open"] -= 1

    async def _answer(self, request: web.Request, started: float) -> web.StreamResponse:
        if self._key is not None and request.headers.get("authorization") != f"Bearer {self._key}":
            return _error(401, "Incorrect API key provided.", kind="invalid_request_error")
        raw = await request.read()
        try:
            body = msgspec.json.decode(raw)
        except msgspec.DecodeError as error:
            return _error(400, f"The body is no JSON: {error}", kind="invalid_request_error")
        if (problem := _problem(body)) is not None:
            return _error(400, problem, kind="invalid_request_error")
        reply = reply_to(body, seed=self._seed)
        done_at = started + reply.latency_ms / 1000 * self._time_scale
        if reply.error_status is not None:
            self.counts["errors"] += 1
            await _until(done_at)
            status = reply.error_status
            return _error(status, "The simulated provider fails now.", kind=_ERROR_TYPES[status])
        head = self._head(body, reply)
        if not body.get("stream"):
            await _until(done_at)
            return _json(200, _completion(head, reply))
        self.counts["streams"] += 1
        return await _stream(request, body, head, reply, started=started, done_at=done_at)

    def _head(self, body: JSON, reply: Reply) -> JSON:
        return {
            "id": f"chatcmpl-{reply.digest[:16]}{next(self._numbers):08x}",
            "created": int(time.time()),
            "model": body["model"],
            "system_fingerprint": "fp_simulated",
        }


def _problem(body: object) -> str | None:
    """What a request lacks; None if it can be answered."""
    if not isinstance(body, dict):
        return f"The body is {type(body).__name__}, want an object."
    if not isinstance(body.get("model"), str):
        return f"'model' is {body.get('model')!r}, want a string."
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "'messages' is empty, want at least one message."
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            return f"A message is {message!r}, want an object with a known 'role'."
    if body.get("n") not in (None, 1):
        return f"'n' is {body['n']!r}; the simulated provider gives one choice."
    return None


def _completion(head: JSON, reply: Reply) -> JSON:
    message: JSON = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool_call is not None:
        message["tool_calls"] = [_tool_call(reply)]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": reply.finish_reason,
    }
    return head | {"object": "chat.completion", "choices": [choice], "usage": _usage(reply)}


def _tool_call(reply: Reply) -> JSON:
    if reply.tool_call is None:
        return {}
    function = {"name": reply.tool_call.name, "arguments": reply.tool_call.arguments}
    return {"id": f"call_{reply.digest[:24]}", "type": "function", "function": function}


def _usage(reply: Reply) -> JSON:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


async def _stream(
    request: web.Request, body: JSON, head: JSON, reply: Reply, *, started: float, done_at: float
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "server": "simulated-provider",
        }
    )
    chunks = _chunks(head, reply, usage=(body.get("stream_options") or {}).get("include_usage"))
    if reply.cut:
        chunks = chunks[: max(1, len(chunks) // 2)]
    first_at = started + (done_at - started) * _FIRST_CHUNK_AT
    pause = (done_at - first_at) / max(1, len(chunks) - 1)
    for number, chunk in enumerate(chunks):
        await _until(first_at + number * pause)
        if number == 0:
            await response.prepare(request)
        await response.write(b"data: %b\n\n" % msgspec.json.encode(chunk))
    if reply.cut:
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _chunks(head: JSON, reply: Reply, *, usage: bool | None) -> list[JSON]:
    head = head | {"object": "chat.completion.chunk"}
    deltas: list[JSON] = [{"content": piece} for piece in _pieces(reply.text)]
    if reply.tool_call is not None:
        deltas = [{"tool_calls": [{"index": 0, **_tool_call(reply)}]}]
    deltas = deltas or [{"content": ""}]
    deltas[0] = {"role": "assistant", **deltas[0]}
    blank = {"usage": None} if usage else {}
    chunks = [_chunk(head | blank, delta, None) for delta in deltas]
    chunks.append(_chunk(head | blank, {}, reply.finish_reason))
    if usage:
        chunks.append(head | {"choices": [], "usage": _usage(reply)})
    return chunks


def _chunk(head: JSON, delta: JSON, finish_reason: str | None) -> JSON:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return head | {"choices": [choice]}


def _pieces(text: str) -> list[str]:
    words = [word + " " for word in text.split(" ")]
    words[-1] = words[-1][:-1]
    size = max(1, -(-len(words) // _MAX_TEXT_CHUNKS))
    return ["".join(words[i : i + size]) for i in range(0, len(words), size)]


async def _until(moment: float) -> None:
    delay = moment - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)


def _json(status: int, body: Mapping[str, Any]) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers={"server": "simulated-provider"},
    )


def _error(status: int, message: str, *, kind: str) -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": None}
    response = _json(status, {"error": error})
    if status == 429:
        response.headers["retry-after"] = "1"
    return response


async def serve(provider: SimulatedProvider, *, port: int, keepalive_s: float = 75.0) -> None:
    """Serve on loopback until SIGTERM or SIGINT; print the port as one JSON line first."""
    runner = web.AppRunner(
        provider.app(),
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=keepalive_s,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in loops
            loop.add_signal_handler(number, stop.set)
    ready = {"what": "simulated provider", "port": runner.addresses[0][1], "pid": os.getpid()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of the process."""
    parser = argparse.ArgumentParser(prog="simulated_provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-scale", type=float, default=1.0, help="factor on every latency")
    parser.add_argument("--key", help="demand this bearer token")
    parser.add_argument("--keepalive-s", type=float, default=75.0)
    options = parser.parse_args(arguments)
    provider = SimulatedProvider(seed=options.seed, time_scale=options.time_scale, key=options.key)
    asyncio.run(serve(provider, port=options.port, keepalive_s=options.keepalive_s))


if __name__ == "__main__":
    main()

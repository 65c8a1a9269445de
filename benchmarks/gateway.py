"""What the gateway adds to a call: the same requests straight to a provider and through it.

Provider and server are processes of their own on loopback. The two ways alternate within one run,
so a busy machine slows both; what is read is the ratio and the difference.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
from aiohttp import ClientSession, web

from trimtab.cli.api import Api, HttpTransport
from trimtab.cli.demo.processes import Process, free_port, wait_until_ready
from trimtab.prompts.files import build_set, parse_prompt_file
from trimtab.workspace.init import initialise

ROUNDS = 6
ALONE = 150  # requests one after the other: what a single caller waits
TOGETHER = 600  # requests by 16 callers at once: what a core can carry
CALLERS = 16
PROMPT = """---
model: openai/gpt-4o-2024-11-20
variables:
  question: {type: string, trusted: false}
---
{% message role="system" %}You are a support agent.{% endmessage %}
{% message role="user" %}{{ question }}{% endmessage %}
"""
SETTINGS = """
[environments.dev]
[providers.openai]
base_url = "http://127.0.0.1:{port}/v1"
"""
ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-11-20",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }
)


class Timed(msgspec.Struct, kw_only=True):
    """Milliseconds of single requests, and seconds of the batches of many."""

    alone_ms: list[float] = []
    together_s: list[float] = []
    cpu_s: float = 0.0


def provider(port: int) -> None:
    """Answer every completion at once, until killed."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, str, str, psutil.Process]]:
    """Urls of provider and server, the application's key, and the server's process."""
    upstream_port, port = free_port(), free_port()
    secrets = initialise(folder / "data", settings_text=SETTINGS.format(port=upstream_port)).secrets
    upstream = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway", "provider", str(upstream_port)]
    )
    arguments = ["-m", "trimtab", "serve", "--data", str(folder / "data"), "--port", str(port)]
    server = Process("server", arguments, log=folder / "server.log")
    url = f"http://127.0.0.1:{port}"
    server.start()
    try:
        wait_until_ready(url, server)
        api = Api(HttpTransport(url, secrets["admin"]))
        version = build_set({"bench": parse_prompt_file(PROMPT, name="bench")})["bench"]
        api.post("/api/v1/push", {"items": [{"prompt": "bench", "identity": version.identity}]})
        move = {"ref": "1.0.0", "why": "benchmark", "expected_generation": 0}
        api.post("/api/v1/environments/dev/prompts/bench/promotions", move)
        api.close()
        yield (
            f"http://127.0.0.1:{upstream_port}",
            url,
            secrets["app-dev"],
            psutil.Process(server.pid),
        )
    finally:
        server.terminate()
        upstream.terminate()
        upstream.wait()


async def call(session: ClientSession, url: str, body: bytes) -> None:
    """One completion, read to its end."""
    async with session.post(f"{url}/v1/chat/completions", data=body) as response:
        await response.read()
        if response.status != 200:
            raise SystemExit(f"{url} answered {response.status}: {await response.text()}")


async def measure(session: ClientSession, url: str, body: bytes, *, into: Timed) -> None:
    """One round: requests one by one, then many at once."""
    for _ in range(ALONE):
        began = time.perf_counter()
        await call(session, url, body)
        into.alone_ms.append((time.perf_counter() - began) * 1e3)

    async def caller() -> None:
        for _ in range(TOGETHER // CALLERS):
            await call(session, url, body)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    into.together_s.append(time.perf_counter() - began)


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def compare(upstream: str, url: str, key: str, server: psutil.Process) -> list[Timed]:
    """Both ways in turns; the first round warms up and is not counted."""
    asked: dict[str, Any] = {"trimtab": {"variables": {"question": "why?"}}, "messages": []}
    through_body = msgspec.json.encode({"model": "trimtab/bench", **asked})
    direct_body = msgspec.json.encode(
        {"model": "gpt-4o-2024-11-20", "messages": [{"role": "user", "content": "why?"}]}
    )
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    direct, through = Timed(), Timed()
    async with ClientSession(headers=headers) as session:
        for number in range(ROUNDS):
            if number == 1:
                direct, through = Timed(), Timed()
            await measure(session, upstream, direct_body, into=direct)
            began = cpu_of(server)
            await measure(session, url, through_body, into=through)
            through.cpu_s += cpu_of(server) - began
    return [direct, through]


def main() -> None:
    """Prints latency and throughput of both ways, their ratio, and CPU a request."""
    if sys.argv[1:2] == ["provider"]:
        provider(int(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as parts:
        direct, through = asyncio.run(compare(*parts))
    for name, timed in (("direct", direct), ("through the gateway", through)):
        p50, p99 = percentiles(timed.alone_ms)
        rate = TOGETHER // CALLERS * CALLERS / statistics.median(timed.together_s)
        print(f"{name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms alone; {rate:.0f} requests/s together")
    (p50, p99), (own50, own99) = percentiles(through.alone_ms), percentiles(direct.alone_ms)
    requests = (ROUNDS - 1) * (ALONE + TOGETHER // CALLERS * CALLERS)
    print(
        f"gateway: ratio p50 {p50 / own50:.2f}, adds {p50 - own50:.2f} ms p50 and"
        f" {p99 - own99:.2f} ms p99, {through.cpu_s / requests * 1e6:.0f} µs CPU a request"
    )


def percentiles(values: list[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    main()

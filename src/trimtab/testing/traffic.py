"""The demo's traffic: a process that calls the gateway with the official OpenAI client.

    python -m trimtab.testing.traffic --base-url http://127.0.0.1:8321/v1 --key KEY --rate 100

It runs until SIGTERM or for --duration seconds, and writes a JSON line of counts every second and
a final one with `"final": true`.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx2
import msgspec
import openai
from openai import AsyncOpenAI

from trimtab.testing.traffic_counts import TrafficCounts
from trimtab.testing.traffic_feedback import FeedbackSender
from trimtab.testing.traffic_plan import FEEDBACK_SHARE, Arrival, arrivals, draw, thumb

VARIABLES = {
    "company_name": "Harbour Goods",
    "allowed_topics": ["orders", "shipping", "refunds", "invoices", "accounts"],
}
_REQUEST_TIMEOUT_S = 30.0
_DRAIN_S = 5.0
_FEEDBACK_AFTER_S = (0.5, 3.0)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway answered: its text, and what its headers say."""

    text: str
    request_id: str | None
    version: str | None


class Traffic:
    """One run of the schedule against one gateway."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._http: httpx2.AsyncClient = openai.DefaultAioHttpClient(
            limits=httpx2.Limits(
                max_connections=10_000,
                max_keepalive_connections=1000,
                # Below any server's own limit (uvicorn: 5 s), else a reused connection may be gone.
                keepalive_expiry=2.0,
            ),
            timeout=_REQUEST_TIMEOUT_S,
        )
        self._client = AsyncOpenAI(
            base_url=options.base_url,
            api_key=options.key,
            max_retries=0,
            timeout=_REQUEST_TIMEOUT_S,
            http_client=self._http,
        )
        self._options = options
        self._variables = VARIABLES if options.variables is None else json.loads(options.variables)
        server = options.base_url.removesuffix("/").removesuffix("/v1")
        self._http.headers["authorization"] = f"Bearer {options.key}"
        self.feedback = FeedbackSender(self._http, f"{server}/api/v1/events", prompt=options.prompt)
        self.counts = TrafficCounts()
        self._histories: dict[int, list[dict[str, str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event, report: Callable[[dict[str, Any]], None]) -> None:
        """Send the schedule until `stop` is set; `report` gets a line of counts every second."""
        cpu_before_s = time.process_time()
        ticker = asyncio.create_task(self._tick(report))
        sender = asyncio.create_task(self._send_all())
        stopper = asyncio.create_task(stop.wait())
        await asyncio.wait((sender, stopper), return_when=asyncio.FIRST_COMPLETED)
        stopper.cancel()
        if not sender.cancel():
            sender.result()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DRAIN_S)
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        await self.feedback.flush()
        report(
            {
                "final": True,
                **self.counts.final(),
                "feedback": self.feedback.counts(),
                "cpu_s": round(time.process_time() - cpu_before_s, 3),
            }
        )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    async def _send_all(self) -> None:
        options = self._options
        loop = asyncio.get_running_loop()
        started = loop.time()
        for arrival in arrivals(seed=options.seed, rate=options.rate):
            if options.duration is not None and arrival.at_s >= options.duration:
                return
            await asyncio.sleep(max(0.0, started + arrival.at_s - loop.time()))
            self.counts.late((loop.time() - started - arrival.at_s) * 1000)
            self._spawn(self._send(arrival))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tick(self, report: Callable[[dict[str, Any]], None]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for second in range(1, sys.maxsize):
            await asyncio.sleep(max(0.0, started + second - loop.time()))
            report({"t": second, **self.counts.second(), "feedback": self.feedback.counts()})
            await self.feedback.flush()

    async def _send(self, arrival: Arrival) -> None:
        counts = self.counts
        counts.sent += 1
        started = time.perf_counter()
        try:
            answer = await self._ask(arrival)
        except openai.APIStatusError as error:
            outcome = "provider_errors" if _by_provider(error) else "failed"
            counts.answered(outcome, why=_reason(error))
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            counts.answered("failed", why=_root(error))
        except _CutStream:
            counts.answered("cut_streams")
        else:
            counts.answered("ok", latency_ms=(time.perf_counter() - started) * 1000)
            self._after(arrival, answer)

    async def _ask(self, arrival: Arrival) -> Answer:
        raw = await self._client.chat.completions.with_raw_response.create(**self._request(arrival))
        parsed = raw.parse()
        if arrival.stream:
            text = await _read_stream(parsed)
        else:
            text = parsed.choices[0].message.content or ""
        return Answer(
            text=text,
            request_id=raw.headers.get("x-trimtab-request-id"),
            version=raw.headers.get("x-trimtab-version"),
        )

    def _request(self, arrival: Arrival) -> dict[str, Any]:  # Any: the client's own arguments
        trimtab = {
            "variables": {
                **self._variables,
                "user_tier": arrival.tier,
                "question": arrival.question,
            },
            "unit_id": arrival.unit_id,
            "thread_id": arrival.thread_id,
            "attributes": {"tier": arrival.tier, "region": arrival.region},
        }
        history = self._histories.pop(arrival.thread, []) if arrival.turn > 1 else []
        request: dict[str, Any] = {
            "model": f"trimtab/{self._options.prompt}",
            "messages": history,
            "extra_body": {"trimtab": trimtab},
        }
        if arrival.stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        return request

    def _after(self, arrival: Arrival, answer: Answer) -> None:
        self.counts.versions[answer.version or "unknown"] += 1
        if arrival.followed and not self._options.no_history:
            self._histories[arrival.thread] = [
                {"role": "user", "content": arrival.question},
                {"role": "assistant", "content": answer.text},
            ]
        seed = self._options.seed
        if answer.request_id and draw(seed, "gives", arrival.unit_id) < FEEDBACK_SHARE:
            self._spawn(self._rate(arrival, answer.text, answer.request_id))

    async def _rate(self, arrival: Arrival, text: str, request_id: str) -> None:
        low, high = _FEEDBACK_AFTER_S
        seed = self._options.seed
        await asyncio.sleep(low + (high - low) * draw(seed, "feedback", arrival.number))
        verdict = thumb(text, chance=draw(seed, "thumb", arrival.number))
        self.feedback.give(request_id, verdict, thread_id=arrival.thread_id)


class _CutStream(Exception):
    """A streamed answer broke off after its 200."""


async def _read_stream(stream: Any) -> str:  # noqa: ANN401 — the client types its streams by overload
    pieces: list[str] = []
    finished = False
    try:
        async for chunk in stream:
            for choice in chunk.choices:
                pieces.append(choice.delta.content or "")
                finished = finished or choice.finish_reason is not None
    except (openai.APIError, httpx2.TransportError) as error:
        raise _CutStream from error
    if not finished:
        raise _CutStream
    return "".join(pieces)


def _root(error: BaseException) -> str:
    """The name of the error at the bottom of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__


def _by_provider(error: openai.APIStatusError) -> bool:
    return error.response.headers.get("x-trimtab-error-source") == "provider"


def _reason(error: openai.APIStatusError) -> str:
    return "" if _by_provider(error) else f"{error.status_code} {error.code or ''}".strip()


def _report(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _main(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in loops
            loop.add_signal_handler(number, stop.set)
    await Traffic(options).run(stop, _report)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where it is installed (it is not on Windows), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="traffic", description=__doc__)
    parser.add_argument("--base-url", required=True, help="of the gateway, ending in /v1")
    parser.add_argument("--key", required=True, help="with the scope render")
    parser.add_argument("--prompt", default="support.reply")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--duration", type=float, help="seconds; without it until SIGTERM")
    parser.add_argument("--variables", help="JSON object beside user_tier and question")
    parser.add_argument("--no-history", action="store_true", help="second turns without the first")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of the process."""
    # The client's thousands of model classes never go away: scanning them is all waste.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_main(_options(arguments)))


if __name__ == "__main__":
    main()

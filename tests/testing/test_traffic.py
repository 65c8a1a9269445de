import asyncio
from argparse import Namespace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import web

from trimtab.events.door import admit
from trimtab.testing.simulated_replies import reply_to
from trimtab.testing.traffic import Traffic

SYSTEM = "You help the customers of a shop in a friendly way and you say so when a fact is missing."


class Endpoint:
    """A server that answers the traffic's two routes and keeps what it was sent."""

    def __init__(self, *, refuse_events: int = 0) -> None:
        self.calls: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self._refuse_events = refuse_events

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/api/v1/events", self._ingest)
        return app

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.keys.add(request.headers.get("authorization"))
        body = await request.json()
        self.calls.append(body)
        question = body["trimtab"]["variables"]["question"]
        headers = {"x-trimtab-request-id": f"r{len(self.calls)}", "x-trimtab-version": "1.0.0"}
        if len(self.calls) % 20 == 0:
            headers["x-trimtab-error-source"] = "provider"
            return web.json_response({"error": {"message": "down"}}, status=500, headers=headers)
        if len(self.calls) % 33 == 0:
            headers["x-trimtab-error-source"] = "gateway"
            error = {"message": "no such prompt", "code": "unknown_prompt"}
            return web.json_response({"error": error}, status=404, headers=headers)
        asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        text = reply_to({"messages": asked}, seed=1).text or "Yes."
        if body.get("stream"):
            return await self._stream(request, text, headers)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        return web.json_response(_head("chat.completion") | {"choices": [choice]}, headers=headers)

    async def _stream(
        self, request: web.Request, text: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers | {"content-type": "text/event-stream"})
        await response.prepare(request)
        for delta, reason in (({"content": text}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = _head("chat.completion.chunk") | {"choices": [choice]}
            await response.write(b"data: %b\n\n" % msgspec.json.encode(chunk))
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _ingest(self, request: web.Request) -> web.Response:
        if self._refuse_events > 0:
            self._refuse_events -= 1
            return web.json_response({}, status=503)
        self.events += await request.json()
        return web.json_response({"accepted": len(self.events)})


def _head(kind: str) -> dict[str, Any]:
    return {"id": "c1", "object": kind, "created": 1, "model": "m"}


def run_traffic(endpoint: Endpoint) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []

    async def run() -> None:
        runner = web.AppRunner(endpoint.app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        chosen = {
            "base_url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1",
            "key": "secret-key",
            "prompt": "support.reply",
            "rate": 100.0,
            "seed": 4,
            "duration": 2.5,
            "variables": None,
            "no_history": False,
        }
        await Traffic(Namespace(**chosen)).run(asyncio.Event(), lines.append)
        await runner.cleanup()

    asyncio.run(run())
    return lines


class Run(NamedTuple):
    """What the endpoint was sent, and the lines the traffic wrote."""

    endpoint: Endpoint
    lines: list[dict[str, Any]]


@pytest.fixture(scope="module")
def run() -> Run:
    endpoint = Endpoint(refuse_events=1)
    return Run(endpoint, run_traffic(endpoint))


def test_every_request_of_the_schedule_is_sent_and_ends_in_an_outcome(run: Run) -> None:
    final = run.lines[-1]

    assert final["final"] is True
    assert final["sent"] == len(run.endpoint.calls) == 250
    assert final["provider_errors"] == 12
    assert final["failed"] == 7
    assert final["failures"] == {"404 unknown_prompt": 7}
    assert final["ok"] == 250 - 12 - 7
    assert final["in_flight"] == 0
    assert final["versions"] == {"1.0.0": final["ok"]}


def test_a_line_of_counts_is_written_every_second(run: Run) -> None:
    seconds = [line["t"] for line in run.lines[:-1]]

    assert seconds == list(range(1, len(seconds) + 1))
    assert len(seconds) >= 2


def test_calls_name_the_prompt_unit_thread_and_variables(run: Run) -> None:
    [call, *_] = run.endpoint.calls

    assert run.endpoint.keys == {"Bearer secret-key"}
    assert call["model"] == "trimtab/support.reply"
    assert call["messages"] == []
    assert set(call["trimtab"]) == {"variables", "unit_id", "thread_id", "attributes"}
    assert {"question", "user_tier", "company_name"} <= set(call["trimtab"]["variables"])


def test_a_tenth_of_the_calls_is_streamed(run: Run) -> None:
    streamed = [call for call in run.endpoint.calls if call.get("stream")]

    assert 10 <= len(streamed) <= 45


def test_a_second_turn_carries_the_first_as_history(run: Run) -> None:
    second = [call for call in run.endpoint.calls if call["messages"]]

    assert second
    assert [entry["role"] for entry in second[0]["messages"]] == ["user", "assistant"]


def test_thumbs_refused_by_a_busy_server_are_sent_again_and_each_counts_once(run: Run) -> None:
    feedback, events = run.lines[-1]["feedback"], run.endpoint.events

    assert feedback["given"] > 10
    assert feedback["acknowledged"] == feedback["given"] == len(events)
    assert len({event["event_id"] for event in events}) == len(events)
    assert {event["kind"] for event in events} == {"feedback"}
    assert {event["label"] for event in events} <= {"up", "down"}


def test_the_thumbs_are_events_the_server_admits(run: Run) -> None:
    batch = admit(
        msgspec.json.encode(run.endpoint.events),
        environment="prod",
        received_at=datetime.now(UTC),
        unit_key=lambda kind, unit: f"{kind}:{unit}",
    )

    assert batch.accepted == len(run.endpoint.events)
    assert batch.rejected == []


def test_without_a_server_requests_count_as_failed_and_the_schedule_goes_on() -> None:
    async def run() -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        options = {
            "base_url": "http://127.0.0.1:9/v1",  # the discard port: nobody listens
            "key": "k",
            "prompt": "p",
            "rate": 100.0,
            "seed": 1,
            "duration": 0.5,
            "variables": "{}",
            "no_history": True,
        }
        await Traffic(Namespace(**options)).run(asyncio.Event(), lines.append)
        return lines

    final = asyncio.run(run())[-1]

    assert final["sent"] == 50
    assert final["failed"] == 50
    assert sum(final["failures"].values()) == 50

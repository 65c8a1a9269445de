import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import openai
import pytest
from aiohttp import web

from trimtab.testing.simulated_provider import SimulatedProvider
from trimtab.testing.simulated_replies import Reply, reply_to

SYSTEM = "You help visitors of a botanical garden find their way to the plants they came to see."
MODEL = "gpt-4o-2024-11-20"

T = TypeVar("T")


@asynccontextmanager
async def serving(provider: SimulatedProvider) -> AsyncIterator[str]:
    runner = web.AppRunner(provider.app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def with_client(work: Callable[[openai.AsyncOpenAI], Awaitable[T]], *, key: str | None = None) -> T:
    async def run() -> T:
        provider = SimulatedProvider(seed=3, time_scale=0.0, key=key)
        async with (
            serving(provider) as url,
            openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client,
        ):
            return await work(client)

    return asyncio.run(run())


def messages(question: str) -> list[Any]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]


def test_the_official_client_reads_a_plain_answer() -> None:
    async def work(client: openai.AsyncOpenAI) -> Any:
        return await client.chat.completions.create(model=MODEL, messages=messages("q1"))

    answer = with_client(work)

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == MODEL
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def stream_of(client: openai.AsyncOpenAI, question: str) -> list[Any]:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=messages(question),
        stream=True,
        stream_options={"include_usage": True},
    )
    return [chunk async for chunk in stream]


def test_a_stream_gives_the_same_text_in_at_most_twenty_chunks_and_its_usage_last() -> None:
    async def work(client: openai.AsyncOpenAI) -> tuple[Any, list[Any]]:
        plain = await client.chat.completions.create(model=MODEL, messages=messages("q1"))
        return plain, await stream_of(client, "q1")

    plain, chunks = with_client(work)

    pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(pieces) == plain.choices[0].message.content
    assert 3 <= len(chunks) <= 20
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage
    assert chunks[-2].choices[0].finish_reason == "stop"


def question_whose_reply(holds: Callable[[Reply], bool]) -> str:
    """The first question that fares as wanted when it is streamed."""
    return next(
        f"q{number}"
        for number in range(100_000)
        if holds(reply_to({"messages": messages(f"q{number}"), "stream": True}, seed=3))
    )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_is_answered_in_openai_s_form(status: int) -> None:
    question = question_whose_reply(lambda reply: reply.error_status == status)

    async def work(client: openai.AsyncOpenAI) -> None:
        await client.chat.completions.create(model=MODEL, messages=messages(question), stream=True)

    with pytest.raises(openai.APIStatusError) as caught:
        with_client(work)

    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]
    assert (caught.value.response.headers.get("retry-after") is not None) == (status == 429)


def test_some_streams_break_off_after_their_first_chunks() -> None:
    question = question_whose_reply(lambda reply: reply.cut)
    chunks: list[Any] = []

    async def work(client: openai.AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model=MODEL, messages=messages(question), stream=True
        )
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 — the chunks before the break are wanted

    with pytest.raises(openai.APIConnectionError):
        with_client(work)

    assert chunks
    assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize(
    "body",
    [
        {"model": MODEL, "messages": []},
        {"messages": [{"role": "user", "content": "q"}]},
        {"model": MODEL, "messages": [{"role": "narrator", "content": "q"}]},
        {"model": MODEL, "messages": [{"role": "user", "content": "q"}], "n": 2},
        [],
    ],
)
def test_a_request_that_cannot_be_answered_gets_400(body: Any) -> None:
    async def run() -> tuple[int, Any]:
        async with (
            serving(SimulatedProvider(seed=1)) as url,
            aiohttp.ClientSession() as http,
            http.post(f"{url}/chat/completions", json=body) as answer,
        ):
            return answer.status, await answer.json()

    status, answer = asyncio.run(run())

    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"


def test_a_demanded_key_is_demanded() -> None:
    async def work(client: openai.AsyncOpenAI) -> None:
        await client.chat.completions.create(model=MODEL, messages=messages("q1"))

    with_client(work, key="k")
    with pytest.raises(openai.AuthenticationError):
        with_client(work, key="another")


def test_the_models_are_listed() -> None:
    async def work(client: openai.AsyncOpenAI) -> list[str]:
        return [model.id async for model in client.models.list()]

    assert MODEL in with_client(work)


async def until_open(provider: SimulatedProvider, n: int) -> None:
    while provider.counts["open"] != n:  # noqa: ASYNC110 — the counter is all that can be seen
        await asyncio.sleep(0)


def test_a_caller_that_hangs_up_is_counted_as_cancelled() -> None:
    async def run() -> dict[str, int]:
        provider = SimulatedProvider(seed=3, time_scale=1_000.0)
        async with serving(provider) as url, aiohttp.ClientSession() as http:
            call = asyncio.create_task(
                http.post(f"{url}/chat/completions", json={"model": "m", "messages": messages("q")})
            )
            await until_open(provider, 1)
            call.cancel()
            await until_open(provider, 0)
        return provider.counts

    counts = asyncio.run(run())

    assert counts["cancelled"] == 1


def test_the_process_says_its_port_when_it_listens_and_ends_on_sigterm() -> None:
    command = [sys.executable, "-m", "trimtab.testing.simulated_provider", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())

        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)

    assert ready["what"] == "simulated provider"
    assert ready["port"] > 0
    assert process.returncode == 0

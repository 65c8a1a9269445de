import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from aiohttp import web

from trimtab.errors import ProviderError
from trimtab.evals.completion import Complete, Completion, CompletionRequest, openai_complete
from trimtab.providers.pricing import PriceTable
from trimtab.providers.upstream import ProviderSettings, Upstream
from trimtab.testing.simulated_provider import SimulatedProvider
from trimtab.testing.simulated_replies import reply_to

T = TypeVar("T")
MODEL = "openai/gpt-4o-2024-11-20"


@asynccontextmanager
async def asking(app: web.Application) -> AsyncIterator[Complete]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    upstream = Upstream(ProviderSettings(name="openai", base_url=url, key="k"))
    try:
        yield openai_complete({"openai": upstream}, prices=PriceTable())
    finally:
        await upstream.close()
        await runner.cleanup()


def ask(work: Callable[[Complete], Awaitable[T]], app: web.Application | None = None) -> T:
    async def run() -> T:
        provider = SimulatedProvider(seed=2, time_scale=0.0)
        async with asking(app or provider.app()) as complete:
            return await work(complete)

    return asyncio.run(run())


def request(question: str, **fields: Any) -> CompletionRequest:
    return CompletionRequest(
        messages=[{"role": "user", "content": f"Answer the visitor of the garden: {question}"}],
        model=fields.pop("model", MODEL),
        **fields,
    )


def test_an_answer_comes_with_its_tokens_and_cost() -> None:
    async def work(complete: Complete) -> Completion:
        return await complete(request("where?", sampling={"max_tokens": 90, "open": ["user"]}))

    answer = ask(work)

    assert answer.text
    assert answer.finish_reason == "stop"
    assert answer.output_tokens is not None
    assert answer.cost_usd is not None
    assert answer.cost_usd > 0


def test_a_provider_s_error_is_a_provider_error_with_its_status() -> None:
    failing = next(
        asked
        for asked in (request(f"question {number}") for number in range(100_000))
        if reply_to({"messages": asked.messages}, seed=2).error_status == 503
    )

    async def work(complete: Complete) -> Completion:
        return await complete(failing)

    with pytest.raises(ProviderError, match='"openai" answered 503: '):
        ask(work)


def test_a_model_of_an_unknown_provider_names_the_known_ones() -> None:
    async def work(complete: Complete) -> Completion:
        return await complete(request("q", model="nowhere/m"))

    with pytest.raises(ProviderError, match=r"nowhere.*known: openai"):
        ask(work)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": []}', b"[]"])
def test_an_answer_that_is_no_completion_is_a_provider_error(body: bytes) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    async def work(complete: Complete) -> Completion:
        return await complete(request("q"))

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    with pytest.raises(ProviderError):
        ask(work, app)

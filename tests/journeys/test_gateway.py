import asyncio
import json
from typing import Any

import openai
import pytest
from aiohttp import web

from tests.journeys.house import REPLY, House, eventually, held_plan
from tests.journeys.scripted import ScriptedProvider, chunk, completion


def ask(house: House, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "model": house.model,
        "messages": [],
        "extra_body": {"trimtab": {"variables": {"question": "why?"}}},
        **changes,
    }
    return house.openai().chat.completions.with_raw_response.create(**options)


def generation(house: House, request_id: str) -> dict[str, Any]:
    return eventually(
        lambda: house.events(request_id)["generation"], what=f"generation of {request_id}"
    )


def test_a_plain_answer_comes_unchanged_with_what_was_decided(
    house: House, provider: ScriptedProvider
) -> None:
    version = house.release()

    raw = ask(house)

    assert json.loads(raw.content) == completion()
    assert raw.headers["x-trimtab-version"] == version
    assert raw.headers["x-trimtab-reason"] == "default"
    assert "x-trimtab-rule" not in raw.headers
    assert provider.bodies[0]["messages"] == [
        {"role": "system", "content": "first"},
        {"role": "user", "content": "why?"},
    ]
    assert provider.bodies[0]["model"] == "gpt-4o-2024-11-20"
    assert provider.bodies[0]["temperature"] == 0.2
    event = generation(house, raw.headers["x-trimtab-request-id"])
    assert (event["status"], event["input_tokens"], event["output_tokens"]) == ("ok", 11, 3)
    assert event["cost_usd"] > 0


def test_a_stream_comes_as_it_is_and_its_usage_is_kept(house: House) -> None:
    house.release()

    stream = house.openai().chat.completions.create(
        model=house.model,
        messages=[],
        stream=True,
        extra_body={
            "trimtab": {"variables": {"question": "why?"}, "request_id": f"r-1-{house.prompt}"}
        },
    )
    chunks = list(stream)

    assert "".join(each.choices[0].delta.content or "" for each in chunks) == "hello"
    assert all(each.usage is None for each in chunks)
    event = generation(house, f"r-1-{house.prompt}")
    assert (event["status"], event["output_tokens"], event["stream"]) == ("ok", 2, True)
    assert event["ttft_ms"] <= event["latency_ms"]


def test_history_follows_the_system_messages(house: House, provider: ScriptedProvider) -> None:
    template = '{% message role="system" %}Be brief.{% endmessage %}'
    version = house.push("chat", f"---\nmodel: openai/gpt-4o-2024-11-20\n---\n{template}")
    house.promote("chat", version)
    history: list[Any] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "bye"},
    ]

    ask(house, model="trimtab/chat", messages=history, extra_body={})

    assert provider.bodies[0]["messages"] == [{"role": "system", "content": "Be brief."}, *history]


def test_history_is_refused_where_the_template_has_no_place(house: House) -> None:
    house.release()

    with pytest.raises(openai.BadRequestError, match="history"):
        ask(house, messages=[{"role": "user", "content": "hi"}])


def test_tool_calls_pass_through(house: House, provider: ScriptedProvider) -> None:
    tools = "[{type: function, function: {name: look_up, parameters: {type: object}}}]"
    house.release(word="x")
    version = house.push("tools", REPLY.replace("variables:", f"tools: {tools}\nvariables:"))
    house.promote("tools", version)
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "look_up", "arguments": "{}"},
    }

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return web.json_response(completion(choices=[choice]))

    provider.handler = answer
    raw = ask(house, model="trimtab/tools")

    found = raw.parse().choices[0].message.tool_calls
    assert found is not None
    assert found[0].function.name == "look_up"
    assert provider.bodies[-1]["tools"][0]["function"]["name"] == "look_up"
    assert generation(house, raw.headers["x-trimtab-request-id"])["tool_calls"] == 1


def test_mistakes_of_the_caller_are_openai_shaped_and_named(house: House) -> None:
    house.release()

    with pytest.raises(openai.NotFoundError, match="'nothing' is not known") as unknown:
        ask(house, model="trimtab/nothing")
    with pytest.raises(openai.BadRequestError, match="question"):
        ask(house, extra_body={"trimtab": {"variables": {}}})
    with pytest.raises(openai.BadRequestError, match=r"`temperature` is 0\.9"):
        ask(house, temperature=0.9)
    with pytest.raises(openai.NotFoundError, match="belongs to 'prod'"):
        ask(house, model=f"{house.model}@dev")
    with pytest.raises(openai.AuthenticationError, match="not known"):
        openai.OpenAI(base_url=f"{house.url}/v1", api_key="tt_wrong").models.list()

    assert unknown.value.response.headers["x-trimtab-error-source"] == "gateway"
    event = generation(house, unknown.value.response.headers["x-trimtab-request-id"])
    assert (event["status"], event["error_type"]) == ("rejected", "unknown_prompt")


def test_the_providers_own_error_comes_unchanged(house: House, provider: ScriptedProvider) -> None:
    house.release()

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        error = {"message": "slow down", "type": "rate_limit_exceeded", "param": None, "code": None}
        return web.json_response({"error": error}, status=429, headers={"retry-after": "3"})

    provider.handler = answer
    with pytest.raises(openai.RateLimitError, match="slow down") as refused:
        ask(house)

    headers = refused.value.response.headers
    assert (headers["retry-after"], headers["x-trimtab-error-source"]) == ("3", "provider")
    event = generation(house, headers["x-trimtab-request-id"])
    assert (event["status"], event["http_status"]) == ("upstream_error", 429)
    assert event["error_type"] == "rate_limit_exceeded"


def test_a_silent_provider_is_a_timeout(tmp_path: Any, provider: ScriptedProvider) -> None:
    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.json_response(completion())

    provider.handler = answer
    with House(tmp_path, provider_url=provider.url, timeout_s=0.3) as house:
        house.release()
        with pytest.raises(openai.InternalServerError, match=r"sent nothing for 0\.3 s") as late:
            ask(house)
        event = generation(house, late.value.response.headers["x-trimtab-request-id"])

    assert late.value.status_code == 504
    assert event["status"] == "timeout"


def test_an_unreachable_provider_is_named(tmp_path: Any) -> None:
    with House(tmp_path, provider_url="http://127.0.0.1:9/v1") as house:
        house.release()
        with pytest.raises(openai.InternalServerError, match="cannot be reached") as gone:
            ask(house)

    assert gone.value.status_code == 502


def test_a_caller_who_hangs_up_cancels_the_call(house: House, provider: ScriptedProvider) -> None:
    house.release()

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.json_response(completion())

    provider.handler = answer
    with pytest.raises(openai.APITimeoutError):
        ask(
            house,
            timeout=0.5,
            extra_body={
                "trimtab": {"variables": {"question": "q"}, "request_id": f"gone-{house.prompt}"}
            },
        )

    assert provider.cancelled.wait(5)
    assert generation(house, f"gone-{house.prompt}")["status"] == "client_abort"


def test_a_stream_that_breaks_off_is_cut_not_ended(
    house: House, provider: ScriptedProvider
) -> None:
    house.release()

    async def answer(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk({"content": "hal"}))
        assert request.transport is not None
        request.transport.abort()
        return response

    provider.handler = answer
    stream = house.openai().chat.completions.create(
        model=house.model,
        messages=[],
        stream=True,
        extra_body={
            "trimtab": {"variables": {"question": "q"}, "request_id": f"cut-{house.prompt}"}
        },
    )

    with pytest.raises(Exception, match=r"(?i)incomplete|closed|peer|connection"):
        list(stream)
    assert generation(house, f"cut-{house.prompt}")["status"] == "cut_stream"


def test_a_dead_kept_connection_is_replaced_once(tmp_path: Any) -> None:
    with (
        ScriptedProvider(keepalive_s=0.3) as provider,
        House(tmp_path, provider_url=provider.url, keepalive_s=60) as house,
    ):
        house.release()
        peers = []
        for _ in range(3):
            assert ask(house).http_response.status_code == 200
            peers.append(provider.peers[-1])
            asyncio.run(asyncio.sleep(0.6))

    assert len(set(peers)) == 3


def test_idle_connections_are_dropped_before_the_provider_does(tmp_path: Any) -> None:
    with (
        ScriptedProvider(keepalive_s=60) as provider,
        House(tmp_path, provider_url=provider.url, keepalive_s=0.2) as house,
    ):
        house.release()
        ask(house)
        asyncio.run(asyncio.sleep(0.8))
        ask(house)

    assert len(set(provider.peers)) == 2


def test_a_request_id_seen_before_is_served_under_a_fresh_one(house: House) -> None:
    house.release()
    body = {"trimtab": {"variables": {"question": "q"}, "request_id": f"twice-{house.prompt}"}}

    first = ask(house, extra_body=body).headers["x-trimtab-request-id"]
    second = ask(house, extra_body=body).headers["x-trimtab-request-id"]

    assert first == f"twice-{house.prompt}"
    assert second != f"twice-{house.prompt}"
    assert generation(house, second)["retry_of"] == f"twice-{house.prompt}"


def test_every_request_leaves_one_generation_and_a_plan_an_exposure_too(house: House) -> None:
    house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.start_plan(held_plan(house.prompt, candidate))
    before = house.admin.get("/api/v1/counters")["requests"].get("prod", 0)

    rules = set()
    for number in range(30):
        body = {"trimtab": {"variables": {"question": "q"}, "thread_id": f"t-{number}"}}
        raw = ask(house, extra_body=body)
        rules.add(raw.headers["x-trimtab-rule"])
        seen = house.events(raw.headers["x-trimtab-request-id"])
        assert seen["exposure"]["variant"] == raw.headers["x-trimtab-variant"]

    counted = eventually(
        lambda: house.admin.get("/api/v1/counters")["requests"].get("prod", 0) - before == 30
    )
    assert counted
    assert len(rules) == 1


def test_a_plan_without_its_unit_is_an_error_where_strict_and_a_shrug_elsewhere(
    house: House,
) -> None:
    house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.promote(house.prompt, "1.0.0", "dev")
    house.start_plan(held_plan(house.prompt, candidate))
    house.start_plan(held_plan(house.prompt, candidate, environment="dev"))

    assert ask(house).headers["x-trimtab-reason"] == "no_unit"
    with pytest.raises(openai.BadRequestError, match="thread_id"):
        house.openai("dev").chat.completions.create(
            model=house.model,
            messages=[],
            extra_body={"trimtab": {"variables": {"question": "q"}}},
        )

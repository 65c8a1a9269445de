"""The gateway between odd callers and odd providers: one answer, one event, whatever happens."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, web

from tests.journeys.house import REPLY, House, eventually, held_plan
from tests.journeys.scripted import ScriptedProvider, chunk, completion
from tests.journeys.wire import chat, connect, exchange, head, read_until

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
NONE: Mapping[str, str] = {}
USAGE = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}


def wanted(house: House, request_id: str | None = None, **changes: Any) -> dict[str, Any]:
    ours: dict[str, Any] = {"variables": {"question": "q"}}
    if request_id:
        ours["request_id"] = request_id
    return {"model": house.model, "messages": [], "trimtab": ours, **changes}


def ask(house: House, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, str], bytes]:
    return exchange(house.url, chat(house.secrets["app-prod"], body, **headers))


def ask_stream(house: House, body: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and the whole stream, unpacked from its chunks; fails if it is cut."""

    async def read() -> tuple[dict[str, str], bytes]:
        headers = {"Authorization": f"Bearer {house.secrets['app-prod']}"}
        async with (
            ClientSession(auto_decompress=False) as session,
            session.post(
                f"{house.url}/v1/chat/completions", json={**body, "stream": True}, headers=headers
            ) as response,
        ):
            return {k.lower(): v for k, v in response.headers.items()}, await response.read()

    return asyncio.run(read())


def answering(body: Any, *, status: int = 200, headers: Mapping[str, str] = NONE) -> Handler:
    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(
            body=data, status=status, headers={"Content-Type": "application/json", **headers}
        )

    return answer


def streaming(*pieces: bytes, **headers: str) -> Handler:
    async def answer(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return answer


def of(house: House, number: int) -> str:
    return f"{house.prompt}-{number}"


# --- odd callers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"model": "trimtab/" + "x" * 5000}, 404, "model_not_found"),
        ({"model": "trimtab/no such\r\nx: y"}, 404, "model_not_found"),
        ({"trimtab": {"thread_id": "t" * 5000}}, 400, "bad_unit"),
        ({"trimtab": {"unit_id": ""}}, 400, "bad_unit"),
        ({"trimtab": {"request_id": "r" * 257}}, 400, "bad_unit"),
        ({"trimtab": []}, 400, "field_refused"),
        ({"messages": [{"role": "developer", "content": "obey"}]}, 400, "template"),
        ({"temperature": 2}, 400, "field_refused"),
    ],
)
def test_a_refused_request_leaves_an_event_too(
    house: House, changes: dict[str, Any], status: int, code: str
) -> None:
    house.release()

    got, headers, body = ask(house, {**wanted(house), **changes})

    error = json.loads(body)["error"]
    assert (got, error["code"], headers["x-trimtab-error-source"]) == (status, code, "gateway")
    event = house.events(headers["x-trimtab-request-id"])["generation"]
    assert (event["status"], event["error_type"]) == ("rejected", code)


def test_a_request_id_cannot_write_headers(house: House) -> None:
    house.release()
    name = f"{house.prompt}\r\nset-cookie: a=b é"

    status, headers, _ = ask(house, wanted(house, name))

    assert status == 200
    assert "set-cookie" not in headers
    assert headers["x-trimtab-request-id"].startswith(f"{house.prompt}%0d%0aset-cookie:")
    assert house.events(quote(name))["generation"]["status"] == "ok"


def test_two_ids_that_disagree_are_refused_and_two_that_agree_are_one(house: House) -> None:
    house.release()
    body = json.dumps(wanted(house)).encode()
    top = head(
        "POST",
        "/v1/chat/completions",
        Authorization=f"Bearer {house.secrets['app-prod']}",
        Content_Length=str(len(body)),
    ).removesuffix(b"\r\n")

    def twice(one: str, other: str) -> int:
        ids = f"x-trimtab-unit-id: {one}\r\nX-Trimtab-Unit-Id: {other}\r\n\r\n".encode()
        return exchange(house.url, top + ids + body)[0]

    assert twice("a", "b") == 400
    assert twice("é", "é") == 200


def test_a_body_beyond_the_limit_is_refused_before_it_is_sent(house: House) -> None:
    house.release()
    request = head(
        "POST",
        "/v1/chat/completions",
        Authorization=f"Bearer {house.secrets['app-prod']}",
        Content_Length=str(9 * 2**20),
    )

    status, _, body = exchange(house.url, request)

    assert (status, json.loads(body)["error"]["code"]) == (413, "body_too_large")


def test_a_whole_body_beyond_the_limit_gets_its_answer(house: House) -> None:
    house.release()
    body = wanted(house)
    body["trimtab"]["variables"]["question"] = "q" * (8 * 2**20)

    with pytest.raises(Exception, match="8388608") as refused:
        house.openai().chat.completions.create(
            model=house.model, messages=[], extra_body={"trimtab": body["trimtab"]}
        )

    assert getattr(refused.value, "status_code", None) == 413


def test_invalid_utf8_is_a_malformed_body(house: House) -> None:
    house.release()
    data = b'{"model": "trimtab/x\xff\xfe"}'
    top = head(
        "POST",
        "/v1/chat/completions",
        Authorization=f"Bearer {house.secrets['app-prod']}",
        Content_Length=str(len(data)),
    )

    status, _, body = exchange(house.url, top + data)

    assert (status, json.loads(body)["error"]["code"]) == (400, "malformed_body")


def test_a_caller_who_leaves_before_the_body_ended_leaves_an_event(house: House) -> None:
    house.release()
    before = house.admin.get("/api/v1/counters")["requests"].get("prod", 0)
    with connect(house.url) as sock:
        sock.sendall(chat(house.secrets["app-prod"], wanted(house))[:-20])

    eventually(lambda: house.admin.get("/api/v1/counters")["requests"].get("prod", 0) == before + 1)


def test_a_caller_who_leaves_in_the_middle_of_a_stream_cancels_it(
    house: House, provider: ScriptedProvider
) -> None:
    house.release()

    async def endless(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(chunk({"content": "more "}))
            await asyncio.sleep(0.02)

    provider.handler = endless
    with connect(house.url) as sock:
        sock.sendall(chat(house.secrets["app-prod"], wanted(house, of(house, 1), stream=True)))
        read_until(sock, b"more")

    assert provider.cancelled.wait(5)
    event = house.events(of(house, 1))["generation"]
    assert event["status"] == "client_abort"
    assert event["output_chunks"] >= 1


def test_a_version_served_here_can_be_pinned_and_no_other(house: House) -> None:
    first = house.release(word="first")
    second = house.push(house.prompt, REPLY.replace("NAME", "second"))
    third = house.push(house.prompt, REPLY.replace("NAME", "third"))
    house.promote(house.prompt, second)

    status, headers, _ = ask(house, wanted(house, model=f"{house.model}@{first}"))
    assert (status, headers["x-trimtab-version"], headers["x-trimtab-reason"]) == (
        200,
        first,
        "pin",
    )
    status, _, body = ask(house, wanted(house, model=f"{house.model}@{third}"))
    assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_version")
    status, headers, _ = ask(house, wanted(house, model=f"{house.model}@prod"))
    assert (status, headers["x-trimtab-version"]) == (200, second)


def test_a_repeated_request_stays_with_its_unit(house: House) -> None:
    house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.start_plan(held_plan(house.prompt, candidate, unit="request"))
    variants = set()

    for _ in range(8):
        _, headers, _ = ask(house, wanted(house, of(house, 1)))
        variants.add(headers["x-trimtab-variant"])
        seen = house.events(headers["x-trimtab-request-id"])
        assert seen["exposure"]["variant"] == headers["x-trimtab-variant"]

    assert len(variants) == 1


def test_many_streams_at_once_all_end_well(house: House, provider: ScriptedProvider) -> None:
    house.release()
    words = [chunk({"content": f"w{n} "}) for n in range(20)]
    provider.handler = streaming(*words, chunk({}, finish="stop"), b"data: [DONE]\n\n")
    headers = {"Authorization": f"Bearer {house.secrets['app-prod']}"}

    async def ask_all() -> list[bytes]:
        async with ClientSession() as session:

            async def one(number: int) -> bytes:
                body = wanted(house, of(house, number), stream=True)
                async with session.post(
                    f"{house.url}/v1/chat/completions", json=body, headers=headers
                ) as response:
                    return await response.read()

            return await asyncio.gather(*(one(number) for number in range(100)))

    answers = asyncio.run(ask_all())

    assert len(set(answers)) == 1
    assert answers[0].endswith(b"data: [DONE]\n\n")
    assert {house.events(of(house, n))["generation"]["status"] for n in range(100)} == {"ok"}


# --- odd providers -------------------------------------------------------------------------


def test_a_provider_that_compresses_anyway_is_passed_on_and_read(
    house: House, provider: ScriptedProvider
) -> None:
    house.release()
    packed = gzip.compress(json.dumps(completion()).encode())
    provider.handler = answering(packed, headers={"Content-Encoding": "gzip"})

    status, headers, body = ask(house, wanted(house, of(house, 1)))

    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert json.loads(gzip.decompress(body)) == completion()
    event = house.events(of(house, 1))["generation"]
    assert (event["output_tokens"], event["flagged"]) == (3, False)


def test_a_compressed_stream_is_unpacked_on_the_way(
    house: House, provider: ScriptedProvider
) -> None:
    house.release()
    plain = chunk({"content": "hello"}) + chunk({}, finish="stop") + b"data: [DONE]\n\n"
    packed = gzip.compress(plain)
    provider.handler = streaming(packed[:30], packed[30:], **{"Content-Encoding": "gzip"})

    headers, body = ask_stream(house, wanted(house, of(house, 1)))

    assert "content-encoding" not in headers
    assert body == plain
    assert house.events(of(house, 1))["generation"]["status"] == "ok"


def test_a_coding_we_cannot_read_passes_untouched(house: House, provider: ScriptedProvider) -> None:
    house.release()
    provider.handler = streaming(b"\x28\xb5\x2f\xfd opaque", **{"Content-Encoding": "zstd"})

    headers, body = ask_stream(house, wanted(house, of(house, 1)))

    assert (headers["content-encoding"], body) == ("zstd", b"\x28\xb5\x2f\xfd opaque")
    event = house.events(of(house, 1))["generation"]
    assert (event["status"], event.get("flagged")) == ("ok", None)


def test_an_error_inside_a_stream_is_passed_on_and_counted(
    house: House, provider: ScriptedProvider
) -> None:
    house.release()
    error = b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'
    provider.handler = streaming(chunk({"content": "hal"}), error)

    _, body = ask_stream(house, wanted(house, of(house, 1)))

    assert body.endswith(error)
    event = house.events(of(house, 1))["generation"]
    assert (event["status"], event["error_type"]) == ("upstream_error", "overloaded_error")


def test_carriage_returns_end_events_too(house: House, provider: ScriptedProvider) -> None:
    house.release()
    plain = chunk({"content": "hello"}) + chunk({}, finish="stop")
    usage = chunk({}, choices=[], usage=USAGE)
    whole = (plain + usage + b"data: [DONE]\n\n").replace(b"\n", b"\r\n")
    provider.handler = streaming(*(whole[n : n + 7] for n in range(0, len(whole), 7)))

    _, body = ask_stream(house, wanted(house, of(house, 1)))

    assert body == (plain + b"data: [DONE]\n\n").replace(b"\n", b"\r\n")
    event = house.events(of(house, 1))["generation"]
    assert (event["output_tokens"], event["output_chars"]) == (2, 5)


def test_usage_is_shown_to_who_asked_and_kept_either_way(house: House) -> None:
    house.release()
    options = {"stream_options": {"include_usage": True}}

    _, shown = ask_stream(house, {**wanted(house, of(house, 1)), **options})
    _, hidden = ask_stream(house, wanted(house, of(house, 2)))

    assert b"prompt_tokens" in shown
    assert b"prompt_tokens" not in hidden
    for number in (1, 2):
        assert house.events(of(house, number))["generation"]["input_tokens"] == 11


def test_a_last_event_without_its_empty_line_counts(
    house: House, provider: ScriptedProvider
) -> None:
    house.release()
    provider.handler = streaming(chunk({"content": "hello"}), b"data: [DONE]\n")

    _, body = ask_stream(house, wanted(house, of(house, 1)))

    assert body.endswith(b"data: [DONE]\n")
    assert house.events(of(house, 1))["generation"]["status"] == "ok"


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": "none"},
        {"choices": [None, {"message": None, "finish_reason": 7}]},
        {"usage": {"prompt_tokens": "many", "completion_tokens": -1}},
        {"model": "m" * 5000, "id": 7, "system_fingerprint": []},
        [],
        b"plain text \xff",
    ],
)
def test_an_answer_of_another_shape_passes_unchanged_and_leaves_its_event(
    house: House, provider: ScriptedProvider, answer: Any
) -> None:
    house.release()
    provider.handler = answering(answer)
    request_id = f"{house.prompt}-odd"

    status, _, body = ask(house, wanted(house, request_id))

    assert status == 200
    assert body == (answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    assert house.events(request_id)["generation"]["status"] == "ok"


def test_a_stream_of_another_shape_passes_unchanged(
    house: House, provider: ScriptedProvider
) -> None:
    house.release()
    odd = (
        b'data: {"choices": [null, {"delta": 3}], "usage": {"prompt_tokens": "x"}}\n\n'
        b"data: not json\n\nevent: x\n\n: comment\n\ndata: [1]\n\n"
        b'data: {"choices": [{"delta": {"tool_calls": [null]}, "index": {}}], "id": {}}\n\n'
    )
    provider.handler = streaming(odd, b"data: [DONE]\n\n")

    _, body = ask_stream(house, wanted(house, of(house, 1)))

    assert body == odd + b"data: [DONE]\n\n"
    assert house.events(of(house, 1))["generation"]["status"] == "ok"


def test_a_providers_headers_cannot_speak_for_us(house: House, provider: ScriptedProvider) -> None:
    house.release()
    provider.handler = answering(
        completion(),
        headers={"X-Trimtab-Version": "9.9.9", "X-Request-Id": "req_1", "X-Text": "schön"},
    )

    status, headers, _ = ask(house, wanted(house))

    assert status == 200
    assert headers["x-trimtab-version"] == "1.0.0"
    assert headers["x-request-id"] == "req_1"


def test_a_redirect_is_the_callers_to_follow(house: House, provider: ScriptedProvider) -> None:
    house.release()
    provider.handler = answering(b"", status=302, headers={"Location": f"{provider.url}/elsewhere"})

    status, headers, _ = ask(house, wanted(house, of(house, 1)))

    assert (status, headers["location"]) == (302, f"{provider.url}/elsewhere")
    assert house.events(of(house, 1))["generation"]["status"] == "upstream_error"


def test_the_exposure_is_kept_before_the_provider_is_called(
    house: House, provider: ScriptedProvider
) -> None:
    house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.start_plan(held_plan(house.prompt, candidate, unit="request"))
    kept: list[bool] = []

    async def look(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        journals = (house.folder / "journals").glob("*.jsonl")
        lines = [line for path in journals for line in path.read_bytes().splitlines()]
        kept.append(any(of(house, 1).encode() in x and b'"exposure"' in x for x in lines))
        return web.json_response(completion())

    provider.handler = look
    ask(house, wanted(house, of(house, 1)))

    assert kept == [True]

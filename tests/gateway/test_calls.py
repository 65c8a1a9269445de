import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from trimtab.gateway.calls import Answering, OpenCalls, ServerEnding
from trimtab.gateway.http import ClientGone, Message, RepeatedHeader, read_body, request_headers


async def stays() -> Message:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


async def leaves() -> Message:
    return {"type": "http.disconnect"}


async def forever() -> None:
    await asyncio.Event().wait()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_work_ends_by_itself_while_the_caller_waits() -> None:
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(True)

    run(OpenCalls().run(stays, work()))

    assert done


def test_a_caller_who_leaves_ends_the_work() -> None:
    with pytest.raises(ClientGone):
        run(OpenCalls().run(leaves, forever()))


def test_an_error_of_the_work_is_the_error() -> None:
    async def work() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(OpenCalls().run(stays, work()))


def test_a_cut_ends_what_runs_and_what_would_begin() -> None:
    calls = OpenCalls()

    async def main() -> list[object]:
        running = [asyncio.create_task(calls.run(stays, forever())) for _ in range(3)]
        await asyncio.sleep(0)
        assert len(calls) == 3
        calls.cut()
        late = asyncio.create_task(calls.run(stays, forever()))
        return list(await asyncio.gather(*running, late, return_exceptions=True))

    found = asyncio.run(main())

    assert [type(each) for each in found] == [ServerEnding] * 4
    assert len(calls) == 0


def test_a_cancelled_call_stays_cancelled() -> None:
    async def main() -> None:
        task = asyncio.create_task(OpenCalls().run(stays, forever()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_an_answer_knows_how_far_it_got() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> list[tuple[bool, bool]]:
        answering = Answering(send)
        states = [(answering.started, answering.complete)]
        for message in (
            {"type": "http.response.start"},
            {"type": "http.response.body", "more_body": True},
            {"type": "http.response.body"},
        ):
            await answering(message)
            states.append((answering.started, answering.complete))
        return states

    assert asyncio.run(main()) == [(False, False), (True, False), (True, False), (True, True)]
    assert len(sent) == 3


def test_headers_are_read_as_utf8_and_ours_only_once() -> None:
    def read(*pairs: tuple[bytes, bytes]) -> dict[str, str]:
        return request_headers({"headers": list(pairs)})

    assert read((b"a", "é".encode()), (b"b", b"\xe9")) == {"a": "é", "b": "é"}
    assert read((b"if-none-match", b'"1"'), (b"if-none-match", b'"2"')) == {
        "if-none-match": '"1", "2"'
    }
    with pytest.raises(RepeatedHeader, match="send it once"):
        read((b"x-trimtab-unit-id", b"1"), (b"x-trimtab-unit-id", b"2"))


def test_a_caller_who_leaves_before_the_body_ended_is_gone() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    with pytest.raises(ClientGone):
        asyncio.run(read_body(receive, limit=100))

"""From the provider to the caller: the answer as it comes, whole or streamed, and its facts."""

import asyncio
import contextlib
from collections.abc import Coroutine

import aiohttp

from trimtab.errors import ProviderError
from trimtab.gateway.answer import StreamFacts, error_type, whole_fields
from trimtab.gateway.exchange import Exchange
from trimtab.gateway.http import ClientGone, Header, Receive, Send, StreamAborted, answer
from trimtab.providers.upstream import UpstreamTimeout
from trimtab.sdk.sse import SseParser

# Headers of the connection to the provider, not of its answer. Source: RFC 9110, 7.6.1.
HOP_HEADERS = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "date",
        "server",
        "set-cookie",
    }
)
PROVIDER_FAILED: Header = (b"x-trimtab-error-source", b"provider")


class BrokenAnswer(ProviderError):
    """The provider broke off before the end of a whole (not streamed) answer."""

    code = "upstream_cut"


async def while_connected(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Do the work unless the caller hangs up first; then cancel it and what it waits for.

    Raises:
        ClientGone: The caller hung up; the upstream call is cancelled.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_hung_up(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            raise ClientGone
        working.result()
    finally:
        for task in (working, watching):
            task.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def answer_headers(response: aiohttp.ClientResponse) -> list[Header]:
    """The provider's headers that belong to its answer."""
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items()
        if name.lower() not in HOP_HEADERS
    ]


async def relay_whole(response: aiohttp.ClientResponse, exchange: Exchange, send: Send) -> None:
    """Read the whole answer and send it on unchanged."""
    try:
        body = await response.read()
    except TimeoutError as error:
        raise UpstreamTimeout("the provider stopped in the middle of its answer") from error
    except aiohttp.ClientError as error:
        raise BrokenAnswer(f"the provider broke off its answer: {error!r}; try again") from error
    exchange.called()
    exchange.note(http_status=response.status)
    headers = answer_headers(response) + exchange.headers
    if 200 <= response.status < 300:
        exchange.note(status="ok", **whole_fields(body))
    else:
        exchange.note(status="upstream_error", error_type=error_type(body))
        headers.append(PROVIDER_FAILED)
    exchange.first_byte()
    await answer(send, response.status, headers, body)


async def relay_stream(
    response: aiohttp.ClientResponse, exchange: Exchange, send: Send, *, show_usage: bool
) -> None:
    """Send the events on as they come; the usage chunk we asked for only if the caller did too.

    Raises:
        StreamAborted: The provider broke off: the caller's stream is cut, not ended.
    """
    facts = StreamFacts()
    exchange.note(http_status=response.status, status="cut_stream", stream=True)
    headers = answer_headers(response) + exchange.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    try:
        await _relay_events(response, exchange, send, facts=facts, show_usage=show_usage)
    except (aiohttp.ClientError, TimeoutError) as error:
        exchange.note(error_type=type(error).__name__)
    finally:
        exchange.called()
        exchange.note(**facts.fields())
    if not facts.complete and not facts.failed:
        raise StreamAborted
    exchange.note(status="upstream_error" if facts.failed else "ok")
    await send({"type": "http.response.body", "body": b""})


async def _relay_events(
    response: aiohttp.ClientResponse,
    exchange: Exchange,
    send: Send,
    *,
    facts: StreamFacts,
    show_usage: bool,
) -> None:
    parser = SseParser()
    async for piece in response.content.iter_any():
        passed = []
        for event in parser.feed(piece):
            usage_only = facts.read(event.data) if event.data else False
            if show_usage or not usage_only:
                passed.append(event.raw)
        if passed:
            exchange.first_byte()
            await send({"type": "http.response.body", "body": b"".join(passed), "more_body": True})
    if parser.pending:
        await send({"type": "http.response.body", "body": parser.pending, "more_body": True})

"""From the provider to the caller: the answer as it comes, whole or streamed, and its facts."""

import zlib
from collections.abc import AsyncIterator, Callable

import aiohttp

from trimtab.errors import ProviderError
from trimtab.gateway.answer import StreamFacts, error_type, whole_fields
from trimtab.gateway.exchange import Exchange
from trimtab.gateway.http import Header, Send, StreamAborted, answer
from trimtab.providers.upstream import UpstreamTimeout
from trimtab.sdk.sse import SseParser, parse_event

# Headers of the connection to the provider, not of its answer. Source: RFC 9110, 7.6.1.
HOP_HEADERS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"date",
        b"server",
        b"set-cookie",
    }
)
MAX_READ = 32 * 1024 * 1024

Decode = Callable[[bytes], bytes]

PROVIDER_FAILED: Header = (b"x-trimtab-error-source", b"provider")


class BrokenAnswer(ProviderError):
    """The provider broke off before the end of a whole (not streamed) answer."""

    code = "upstream_cut"


def answer_headers(response: aiohttp.ClientResponse, *, drop: bytes = b"") -> list[Header]:
    """The provider's headers that belong to its answer; ours are not its to set."""
    return [
        (name, value)
        for name, value in ((raw.lower(), value) for raw, value in response.raw_headers)
        if name not in HOP_HEADERS and name != drop and not name.startswith(b"x-trimtab-")
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
    readable = readable_body(body, coding_of(response))
    if 200 <= response.status < 300:
        exchange.note(status="ok", **whole_fields(readable))
    else:
        exchange.note(status="upstream_error", error_type=error_type(readable))
        headers.append(PROVIDER_FAILED)
    exchange.first_byte()
    await answer(send, response.status, headers, body)


async def relay_stream(
    response: aiohttp.ClientResponse, exchange: Exchange, send: Send, *, show_usage: bool
) -> None:
    """Send the events on as they come; the usage chunk we asked for only if the caller did too.

    A provider that compresses although it was asked not to is unpacked on the way.

    Raises:
        StreamAborted: The provider broke off: the caller's stream is cut, not ended.
    """
    decode = decoder(coding_of(response))
    facts = StreamFacts(readable=decode is not None)
    exchange.note(http_status=response.status, status="cut_stream", stream=True)
    drop = b"content-encoding" if decode is not None else b""
    headers = answer_headers(response, drop=drop) + exchange.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    pieces = _pieces(response, decode, facts=facts, show_usage=show_usage)
    try:
        async for piece in pieces:
            exchange.first_byte()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except (aiohttp.ClientError, TimeoutError, zlib.error) as error:
        exchange.note(error_type=type(error).__name__)
    finally:
        exchange.called()
        exchange.note(**facts.fields())
    if facts.failed is not None:
        exchange.note(status="upstream_error", error_type=facts.failed)
    elif not facts.complete:
        raise StreamAborted
    else:
        exchange.note(status="ok")
    await send({"type": "http.response.body", "body": b""})


async def _pieces(
    response: aiohttp.ClientResponse,
    decode: Decode | None,
    *,
    facts: StreamFacts,
    show_usage: bool,
) -> AsyncIterator[bytes]:
    """What to send on, as it comes: whole events, or the bytes if they cannot be read."""
    if decode is None:
        async for raw in response.content.iter_any():
            yield raw
        facts.done = True
        return
    parser = SseParser()
    async for raw in response.content.iter_any():
        passed = []
        for event in parser.feed(decode(raw)):
            usage_only = facts.read(event.data) if event.data else False
            if show_usage or not usage_only:
                passed.append(event.raw)
        if passed:
            yield b"".join(passed)
    if rest := parser.pending:
        last = parse_event(rest.replace(b"\r", b"\n"))
        usage_only = facts.read(last.data) if last.data else False
        if show_usage or not usage_only:
            yield rest


def coding_of(response: aiohttp.ClientResponse) -> str:
    """How the provider packed its answer, lower case."""
    return str(response.headers.get("content-encoding", "identity")).strip().lower()


def decoder(coding: str) -> Decode | None:
    """Unpacks the pieces of a stream; None for a coding that we cannot read."""
    if coding in {"", "identity"}:
        return bytes
    if coding in {"gzip", "x-gzip", "deflate"}:
        return zlib.decompressobj(wbits=47).decompress  # 32 + 15: gzip or zlib, as it says
    return None


def readable_body(body: bytes, coding: str) -> bytes:
    """A whole answer as text to read facts from; empty if it cannot be unpacked."""
    if coding in {"", "identity"}:
        return body
    if decoder(coding) is None:
        return b""
    try:
        return zlib.decompressobj(wbits=47).decompress(body, MAX_READ)
    except zlib.error:
        return b""

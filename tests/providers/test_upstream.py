"""Calls to a provider that drops lines, keeps silent, or is not there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import pytest

from trimtab.providers.upstream import (
    ProviderSettings,
    Upstream,
    UpstreamTimeout,
    UpstreamUnreachable,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nok"
Line = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


class Provider:
    """A bare socket server; the script is told the number of the connection, from 1."""

    def __init__(self, line: Line) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._line = line

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *details: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._line(reader, writer, self.connections)
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        top = await reader.readuntil(b"\r\n\r\n")
        length = int(top.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.requests.append(top)
        return top + await reader.readexactly(length)

    def upstream(self, **changes: float) -> Upstream:
        base_url = f"http://127.0.0.1:{self.port}/v1/"
        settings = ProviderSettings(name="p", base_url=base_url, key="s", **changes)  # type: ignore[arg-type]  # the numbers of it
        return Upstream(settings)


async def ask(upstream: Upstream) -> tuple[int, int]:
    """Status, and which try it took."""
    answered = await upstream.post("/chat/completions", b"{}")
    async with answered.response as response:
        await response.read()
        return response.status, answered.attempt


def test_a_kept_line_that_is_dead_is_replaced_once_and_cookies_are_not_kept() -> None:
    async def main() -> None:
        async def line(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
        ) -> None:
            await provider.request(reader)
            writer.write(OK)
            await provider.request(reader)
            if number > 1:
                writer.write(OK)

        provider = Provider(line)
        async with provider:
            upstream = provider.upstream()
            assert await ask(upstream) == (200, 1)
            assert await ask(upstream) == (200, 2)
            await upstream.close()
        assert provider.connections == 2
        assert all(b"authorization: bearer s" in each.lower() for each in provider.requests)
        assert not any(b"cookie" in each.lower() for each in provider.requests)

    asyncio.run(main())


def test_a_fresh_line_that_is_dropped_is_not_tried_again() -> None:
    async def main() -> None:
        async def line(
            reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _number: int
        ) -> None:
            await provider.request(reader)

        provider = Provider(line)
        async with provider:
            upstream = provider.upstream()
            with pytest.raises(UpstreamUnreachable, match="provider 'p' at"):
                await ask(upstream)
            await upstream.close()
        assert provider.connections == 1

    asyncio.run(main())


def test_silence_is_a_timeout() -> None:
    async def main() -> None:
        async def line(
            reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _number: int
        ) -> None:
            await provider.request(reader)
            await reader.read()

        provider = Provider(line)
        async with provider:
            upstream = provider.upstream(timeout_s=0.05)
            with pytest.raises(UpstreamTimeout, match=r"nothing for 0\.05 s"):
                await ask(upstream)
            await upstream.close()

    asyncio.run(main())


def test_what_is_no_http_is_unreachable() -> None:
    async def main() -> None:
        async def line(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int
        ) -> None:
            await provider.request(reader)
            writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")

        provider = Provider(line)
        async with provider:
            upstream = provider.upstream()
            with pytest.raises(UpstreamUnreachable):
                await ask(upstream)
            await upstream.close()

    asyncio.run(main())

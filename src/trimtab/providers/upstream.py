"""Calls to a model provider over kept connections: pool, timeouts, the one safe retry."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import NamedTuple

import aiohttp
import msgspec

from trimtab.errors import ProviderError

DROPPED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider listens and how patient we are.

    Attributes:
        base_url: Up to and with `/v1`.
        key: Sent as bearer token; empty sends none.
        timeout_s: Longest wait for the first byte, and between two pieces of a stream.
        keepalive_s: Idle connections are closed by us after this; keep it below the provider's.
        pinned_models: Model names the team declares dated although they do not look it.
    """

    name: str
    base_url: str
    key: str = ""
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    keepalive_s: float = 4.0
    pinned_models: tuple[str, ...] = ()


class UpstreamTimeout(ProviderError):
    """The provider took longer than `timeout_s`."""

    status = 504
    code = "upstream_timeout"


class UpstreamUnreachable(ProviderError):
    """No connection to the provider, or it was dropped before an answer."""

    code = "upstream_unreachable"


class Answered(NamedTuple):
    """A response whose headers are here, and which try it took (1 or 2)."""

    response: aiohttp.ClientResponse
    attempt: int


class Upstream:
    """One provider's connection pool; make it and close it inside the event loop.

    Connections idle for `keepalive_s` are closed by us, before the provider would. One that still
    turns out dead when it is reused, before any byte of an answer, is replaced and the request
    sent once more: the provider cannot have answered it.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_mark_reused)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=settings.keepalive_s),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=settings.connect_timeout_s, sock_read=settings.timeout_s
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),  # a provider's cookie would tie users together
            trace_configs=[trace],
        )

    async def post(
        self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """Send a JSON body; the response's own body is not read yet.

        Raises:
            UpstreamTimeout: No first byte within `timeout_s`.
            UpstreamUnreachable: No connection, or dropped without an answer.
        """
        for attempt in (1, 2):
            seen = SimpleNamespace(reused=False)
            try:
                response = await self._once(path, body, headers or {}, seen)
            except TimeoutError as error:
                raise self._timeout() from error
            except DROPPED as error:
                if attempt == 1 and seen.reused:
                    continue
                raise self._unreachable(error) from error
            except aiohttp.ClientError as error:
                raise self._unreachable(error) from error
            return Answered(response, attempt)
        raise self._unreachable(ConnectionResetError("dropped twice"))

    async def _once(
        self, path: str, body: bytes, headers: Mapping[str, str], seen: SimpleNamespace
    ) -> aiohttp.ClientResponse:
        sent = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        if self.settings.key:
            sent["Authorization"] = f"Bearer {self.settings.key}"
        async with asyncio.timeout(self.settings.timeout_s):
            return await self._session.post(
                self.settings.base_url.rstrip("/") + path,
                data=body,
                headers=sent,
                allow_redirects=False,  # the caller sees it; a POST would become a GET
                trace_request_ctx=seen,
            )

    async def close(self) -> None:
        """Close the pool."""
        await self._session.close()

    def _timeout(self) -> UpstreamTimeout:
        return UpstreamTimeout(
            f"provider {self.settings.name!r} sent nothing for {self.settings.timeout_s:g} s;"
            " try again, or raise its timeout_s in trimtab.toml"
        )

    def _unreachable(self, error: BaseException) -> UpstreamUnreachable:
        return UpstreamUnreachable(
            f"provider {self.settings.name!r} at {self.settings.base_url} cannot be reached:"
            f" {str(error) or type(error).__name__}"
        )


async def _mark_reused(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.reused = True

"""One keep-alive HTTP connection to a trimtab server, on the standard library alone."""

import contextlib
import http.client
import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from trimtab.errors import ConfigError, Forbidden, ServerUnreachable, Unauthorized

NETWORK_ERRORS = (OSError, http.client.HTTPException)


class Reply(NamedTuple):
    """Status, lower-case headers, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """Requests with the client's key; reconnects by itself when the server dropped the line.

    An empty key sends none: a server lets readers on its own machine in without one.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"server url {url!r} is not an http(s) address such as http://host:8321"
            )
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = {"User-Agent": "trimtab-python"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout_s = timeout_s
        self._line: http.client.HTTPConnection | None = None
        self._sock: socket.socket | None = None
        self._ended = False

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send and read a whole reply; one retry when a kept line turns out dead.

        Raises:
            ServerUnreachable: The server cannot be reached or broke off.
        """
        reused = self._line is not None
        try:
            return self._once(method, path, body, headers or {})
        except NETWORK_ERRORS as error:
            self.close()
            if not reused or self._ended:
                raise ServerUnreachable(f"{self.url} does not answer: {error!r}") from error
        try:
            return self._once(method, path, body, headers or {})
        except NETWORK_ERRORS as error:
            self.close()
            raise ServerUnreachable(f"{self.url} does not answer: {error!r}") from error

    def open(self, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send a GET and hand out the response to read piece by piece."""
        line = self._connect()
        line.request("GET", self._prefix + path, headers={**self._headers, **headers})
        return line.getresponse()

    def close(self) -> None:
        """Drop the line; the next request opens a new one."""
        if self._line is not None:
            self._line.close()
            self._line = self._sock = None

    def interrupt(self) -> None:
        """Wake a thread that waits for data on this line, from another thread; for good."""
        self._ended = True
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        line = self._connect()
        line.request(method, self._prefix + path, body=body, headers={**self._headers, **headers})
        response = line.getresponse()
        content = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, content)

    def _connect(self) -> http.client.HTTPConnection:
        if self._line is None:
            if self._secure:
                context = ssl.create_default_context()
                self._line = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_s, context=context
                )
            else:
                self._line = http.client.HTTPConnection(
                    self._host, self._port, timeout=self._timeout_s
                )
            self._line.connect()
            # Kept apart: http.client lets go of it while a response that closes is still read.
            self._sock = self._line.sock
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._line


def refuse_bad_key(reply_status: int, url: str) -> None:
    """Turn 401 and 403 into our errors."""
    if reply_status == 401:
        raise Unauthorized(f"{url} does not know this key; pass key=… or set TRIMTAB_KEY")
    if reply_status == 403:
        raise Forbidden(f"this key may not read the payload at {url}; it needs the scope `render`")

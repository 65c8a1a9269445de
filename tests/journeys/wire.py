"""Bare sockets: what really stands on the wire, ends included."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit


def connect(url: str, *, timeout_s: float = 10.0) -> socket.socket:
    """A connection to the server of a url."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=timeout_s)


def head(method: str, path: str, **headers: str) -> bytes:
    """A request's head; header names with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def chat(key: str, body: dict[str, Any], **headers: str) -> bytes:
    """A whole request for a chat completion."""
    data = json.dumps(body).encode()
    top = head(
        "POST",
        "/v1/chat/completions",
        Authorization=f"Bearer {key}",
        Content_Type="application/json",
        Content_Length=str(len(data)),
        **headers,
    )
    return top + data


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    """Everything up to and a little beyond a mark."""
    data = b""
    while mark not in data:
        piece = sock.recv(65536)
        if not piece:
            raise AssertionError(f"the line ended before {mark!r}: {data[-500:]!r}")
        data += piece
    return data


def read_to_end(sock: socket.socket) -> bytes:
    """Everything until the other side closes or resets."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def exchange(url: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request on a line of its own."""
    with connect(url) as sock:
        sock.sendall(request)
        data = read_until(sock, b"\r\n\r\n")
        top, _, body = data.partition(b"\r\n\r\n")
        first, *rest = top.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in rest)
        length = int(headers.get("content-length", "0"))
        if not request.startswith(b"HEAD"):
            while len(body) < length:
                body += sock.recv(65536)
        return int(first.split()[1]), headers, body

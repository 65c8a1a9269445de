"""Server-sent events, parsed incrementally from whatever pieces the network gives."""

from collections.abc import Iterator
from typing import NamedTuple


class ServerEvent(NamedTuple):
    """One event: its name (`message` unless said), data with lines joined by LF, and id."""

    event: str
    data: bytes
    id: str | None
    raw: bytes


class SseParser:
    """Feed it bytes, get whole events; comments (pings) come as events named `comment`.

    Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
    """

    def __init__(self) -> None:
        self._pending = b""

    @property
    def pending(self) -> bytes:
        """Bytes of an event that has not ended yet."""
        return self._pending

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that end within this piece."""
        data = self._pending + piece if self._pending else piece
        if b"\r" in data:
            yield from self._feed_crlf(data)
            return
        start = 0
        while (end := data.find(b"\n\n", start)) >= 0:
            yield parse_event(data[start : end + 2])
            start = end + 2
        self._pending = data[start:]

    def _feed_crlf(self, data: bytes) -> Iterator[ServerEvent]:
        while (found := _first_break(data)) is not None:
            begin, end = found
            raw = data[:end]
            text = data[:begin].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            yield parse_event(text + b"\n\n")._replace(raw=raw)
            data = data[end:]
        self._pending = data


def _first_break(data: bytes) -> tuple[int, int] | None:
    """Start and end of the first empty line, whatever line ends are used."""
    breaks = [
        (at, at + len(mark))
        for mark in (b"\n\n", b"\r\n\r\n", b"\r\r")
        if (at := data.find(mark)) >= 0
    ]
    return min(breaks, default=None)


def parse_event(block: bytes) -> ServerEvent:
    """One event from its lines (LF), the empty line included."""
    name = "message"
    event_id: str | None = None
    data: list[bytes] = []
    fields = 0
    for line in block.split(b"\n"):
        if not line or line.startswith(b":"):
            continue
        fields += 1
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"id":
            event_id = value.decode("utf-8", "replace")
    if not fields:
        name = "comment"
    return ServerEvent(name, b"\n".join(data), event_id, block)

"""The feed: one daemon thread that keeps the newest snapshot of an environment in memory."""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable

import msgspec

from trimtab.errors import ServerUnreachable, TrimtabError
from trimtab.routing.payload import Payload, Source, TrimtabBlock, decode_payload
from trimtab.sdk.http import NETWORK_ERRORS, Connection, refuse_bad_key
from trimtab.sdk.snapshot import Library, Snapshot, served_shas, without_bodies
from trimtab.sdk.sse import ServerEvent, SseParser
from trimtab.sdk.store import PayloadStore

logger = logging.getLogger("trimtab")

POLL_EVERY_S = 30.0  # the backstop for proxies that hold a stream back
SILENCE_S = 30.0  # the server pings every ten seconds: longer silence is a dead line
STALE_AFTER_S = 60.0
BACKOFF_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
INCLUDE_DEPTH = 10  # bodies may include fragments, at most eight deep
SETTLED_S = 5.0  # a stream that lived this long was sound: the next break starts from no pause

Listener = Callable[[Snapshot], None]


class Feed:
    """Reads the stream, polls as a backstop, and swaps one reference when all is in place.

    A newer revision of the same lineage replaces the snapshot; an older one never does. Another
    lineage is taken only from a live answer to our key, and the old one is forgotten, on disk too.
    """

    def __init__(
        self,
        connection: Callable[..., Connection],
        store: PayloadStore | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._connection = connection
        self._silence_s = silence_s
        self._store = store
        self._clock = clock
        self._listeners: list[Listener] = []
        self._start_state()
        self.snapshot: Snapshot | None = None
        self.used: set[str] = set()
        self.error: TrimtabError | None = None
        self._library = Library()
        self._from_disk = False
        self._last_contact: float | None = None
        self._etag: str | None = None
        self._load_from_disk()

    def _start_state(self) -> None:
        self._stop = threading.Event()
        self.answered = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream: Connection | None = None
        self._side: Connection | None = None
        self._in_step = False  # whether the server said lately that the snapshot is its newest

    def listen(self, listener: Listener) -> None:
        """Call the listener, in the feed's thread, after each swap."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Start the thread; does nothing if it runs."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="trimtab-feed", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and close its lines."""
        self._stop.set()
        for line in (self._stream, self._side):
            if line is not None:
                line.interrupt()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def after_fork(self) -> None:
        """In a forked worker: the thread and its sockets belong to the parent; begin anew."""
        started = self._thread is not None
        self._start_state()
        if started:
            self.start()

    @property
    def source(self) -> Source:
        """Where the snapshot comes from and whether the server was heard of lately."""
        if self._from_disk:
            return "disk"
        last = self._last_contact
        if last is not None and self._clock() - last <= STALE_AFTER_S:
            return "live"
        return "stale"

    # --- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began = self._clock()
            try:
                self._poll()
                self._read_stream()
            except TrimtabError as error:
                self.error = error
            except NETWORK_ERRORS as error:
                self.error = ServerUnreachable(f"the line to the server broke: {error!r}")
            except Exception:
                logger.exception("the feed stumbled; it keeps the snapshot it has and tries again")
            finally:
                self._close_lines()
                self.answered.set()
            failures = 0 if self._clock() - began >= SETTLED_S else failures + 1
            pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            self._stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret

    def _poll(self) -> None:
        side = self._side_line()
        headers = {"If-None-Match": self._etag} if self._etag else {}
        reply = side.request("GET", "/api/v1/payload", headers=headers)
        refuse_bad_key(reply.status, side.url)
        if reply.status == 304 and self._etag:
            self._heard()
            return
        if reply.status != 200:
            raise ServerUnreachable(f"{side.url} answered {reply.status} to a payload request")
        self._take(decode_payload(reply.body))
        self._etag = reply.headers.get("etag")

    def _read_stream(self) -> None:
        stream = self._connection(timeout_s=self._silence_s)
        self._stream = stream
        response = stream.open("/api/v1/stream", {"Accept": "text/event-stream"})
        refuse_bad_key(response.status, stream.url)
        kind = response.headers.get("Content-Type", "")
        if response.status != 200 or not kind.startswith("text/event-stream"):
            stream.close()
            self._poll_only()
            return
        parser = SseParser()
        polled_at = self._clock()
        while not self._stop.is_set():
            piece = response.read1(65536)
            if not piece:
                raise ServerUnreachable(f"{stream.url} ended the stream")
            for event in parser.feed(piece):
                self._on_event(event)
            if self._clock() - polled_at > POLL_EVERY_S:
                self._poll()
                polled_at = self._clock()

    def _side_line(self) -> Connection:
        """The connection for single requests, beside the stream."""
        if self._side is None:
            self._side = self._connection()
        return self._side

    def _poll_only(self) -> None:
        """For a server or proxy without streams: poll for a while, then try a stream again."""
        until = self._clock() + POLL_EVERY_S
        while self._clock() < until and not self._stop.wait(2.0):
            self._poll()

    def _on_event(self, event: ServerEvent) -> None:
        if event.event == "payload" and event.data:
            self._take(decode_payload(event.data))
        elif self._in_step:
            self._heard()

    def _heard(self) -> None:
        """The server lives, and what we serve is what it serves."""
        self._in_step = True
        self._last_contact = self._clock()
        self._from_disk = False
        self.error = None
        self.answered.set()

    def _close_lines(self) -> None:
        for line in (self._stream, self._side):
            if line is not None:
                with contextlib.suppress(*NETWORK_ERRORS):
                    line.close()
        self._stream = self._side = None
        self._in_step = False

    # --- taking a payload ------------------------------------------------------------------

    def _take(self, payload: Payload) -> None:
        """Complete a live payload with its bodies, warm what is used, then swap."""
        block = payload.trimtab
        if block is None:
            return  # decode_payload has refused it
        held = self.snapshot
        if held is not None and held.lineage == block.lineage and held.revision >= block.revision:
            self._heard()
            return
        self._in_step = False
        self._complete(block)
        snapshot = Snapshot(without_bodies(payload), self._library)
        snapshot.warm(tuple(self.used))  # a copy: other threads add to it meanwhile
        if held is not None and held.lineage != block.lineage and self._store is not None:
            self._store.forget()
        self.snapshot = snapshot
        self._heard()
        self._save(snapshot)
        for listener in self._listeners:
            try:
                listener(snapshot)
            except Exception:
                logger.exception("a listener of the application failed; the feed goes on")

    def _complete(self, block: TrimtabBlock) -> None:
        """Bring every body that this payload can serve into the library."""
        if block.bodies:
            self._library.add(block.bodies)
        wanted = served_shas(block)
        for _ in range(INCLUDE_DEPTH):
            missing = self._library.missing(wanted)
            if not missing:
                return
            self._library.add({sha: self._fetch_body(sha) for sha in sorted(missing)})
        if missing := self._library.missing(wanted):
            raise ServerUnreachable(f"bodies are still missing: {', '.join(sorted(missing))}")

    def _fetch_body(self, sha: str) -> dict[str, object]:
        side = self._side_line()
        reply = side.request("GET", f"/api/v1/bodies/{sha}")
        if reply.status != 200:
            raise ServerUnreachable(f"{side.url} answered {reply.status} for the body {sha[:12]}")
        try:
            return msgspec.json.decode(reply.body, type=dict[str, object])
        except msgspec.MsgspecError as error:
            raise ServerUnreachable(
                f"{side.url} sent no version for the body {sha[:12]}: {error}"
            ) from error

    def _save(self, snapshot: Snapshot) -> None:
        if self._store is None:
            return
        bodies = self._library.bodies(served_shas(snapshot.block))
        block = msgspec.structs.replace(snapshot.block, bodies=bodies)
        self._store.save(msgspec.structs.replace(snapshot.payload, trimtab=block))

    def _load_from_disk(self) -> None:
        payload = self._store.load() if self._store is not None else None
        if payload is None or payload.trimtab is None:
            return
        try:
            self._library.add(payload.trimtab.bodies or {})
            if self._library.missing(served_shas(payload.trimtab)):
                return  # cannot be rendered: as good as none
            self.snapshot = Snapshot(without_bodies(payload), self._library)
        except TrimtabError:
            return  # written by another version of ours: the server will send anew
        self._from_disk = True

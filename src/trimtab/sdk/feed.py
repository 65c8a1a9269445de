"""The feed: one daemon thread that keeps the newest snapshot of an environment in memory."""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable

import msgspec

from trimtab.errors import BadInput, ServerUnreachable, TrimtabError
from trimtab.routing.payload import Payload, Source, decode_payload
from trimtab.sdk.http import NETWORK_ERRORS, Connection, refuse_bad_key
from trimtab.sdk.snapshot import Library, Snapshot, served_shas, without_bodies
from trimtab.sdk.sse import ServerEvent, SseParser
from trimtab.sdk.store import PayloadStore

logger = logging.getLogger("trimtab")

POLL_EVERY_S = 30.0  # the backstop for proxies that hold a stream back
SILENCE_S = 30.0  # the server pings every ten seconds: longer silence is a dead line
STALE_AFTER_S = 60.0
BACKOFF_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)

Listener = Callable[[Snapshot], None]


class Feed:
    """Reads the stream, polls as a backstop, and swaps one reference when all is in place.

    A newer revision of the same lineage replaces the snapshot; an older one never does. Another
    lineage is taken only from a live answer to our key, and the old one is forgotten, on disk too.
    """

    def __init__(
        self,
        connection: Callable[[], Connection],
        store: PayloadStore | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
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
        stream = self._stream
        if stream is not None:
            stream.interrupt()
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
            try:
                self._poll()
                failures = 0
                self._read_stream()
            except TrimtabError as error:
                self.error = error
                failures += 1
                self.answered.set()
            except NETWORK_ERRORS:
                failures += 1
            except Exception:
                logger.exception("the feed stumbled; it keeps the snapshot it has and tries again")
                failures += 1
            finally:
                self._close_lines()
            pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            self._stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret

    def _poll(self) -> None:
        side = self._side or self._connection()
        self._side = side
        headers = {"If-None-Match": self._etag} if self._etag else {}
        reply = side.request("GET", "/api/v1/payload", headers=headers)
        refuse_bad_key(reply.status, side.url)
        if reply.status == 304:
            self._heard()
            return
        if reply.status != 200:
            raise ServerUnreachable(f"{side.url} answered {reply.status} to a payload request")
        self._take(decode_payload(reply.body))
        self._etag = reply.headers.get("etag")

    def _read_stream(self) -> None:
        stream = self._connection()
        self._stream = stream
        response = stream.open("/api/v1/stream", {"Accept": "text/event-stream"})
        refuse_bad_key(response.status, stream.url)
        if response.status != 200:
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

    def _poll_only(self) -> None:
        """For a server or proxy without streams: poll until something else is asked."""
        while not self._stop.wait(2.0):
            self._poll()

    def _on_event(self, event: ServerEvent) -> None:
        self._heard()
        if event.event == "payload" and event.data:
            self._take(decode_payload(event.data))

    def _heard(self) -> None:
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

    # --- taking a payload ------------------------------------------------------------------

    def _take(self, payload: Payload) -> None:
        """Complete a live payload with its bodies, warm what is used, then swap."""
        block = payload.trimtab
        if block is None:
            raise BadInput("the server's payload has no `trimtab` block; is the url right?")
        held = self.snapshot
        if held is not None and held.lineage == block.lineage and held.revision >= block.revision:
            self._heard()
            return
        if block.bodies:
            self._library.add(block.bodies)
        for _ in range(10):  # bodies may include fragments, at most eight deep
            missing = self._library.missing(served_shas(block))
            if not missing:
                break
            self._library.add({sha: self._fetch_body(sha) for sha in sorted(missing)})
        snapshot = Snapshot(without_bodies(payload), self._library)
        snapshot.warm(self.used)
        self.snapshot = snapshot
        self._heard()
        self._save(snapshot)
        for listener in self._listeners:
            listener(snapshot)

    def _fetch_body(self, sha: str) -> dict[str, object]:
        side = self._side or self._connection()
        self._side = side
        reply = side.request("GET", f"/api/v1/bodies/{sha}")
        if reply.status != 200:
            raise ServerUnreachable(f"{side.url} answered {reply.status} for the body {sha[:12]}")
        return msgspec.json.decode(reply.body, type=dict[str, object])

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
            self.snapshot = Snapshot(without_bodies(payload), self._library)
        except TrimtabError:
            self.snapshot = None  # written by another version of ours: the server will send anew
            return
        self._from_disk = True

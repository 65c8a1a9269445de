"""The emitter: one daemon thread that delivers events, spools them when the server is away."""

import collections
import logging
import threading
import time
from collections.abc import Callable

import msgspec

from trimtab.errors import ServerUnreachable
from trimtab.events.schema import Event
from trimtab.sdk.http import Connection, Reply
from trimtab.sdk.spool import Spool

logger = logging.getLogger("trimtab")

FLUSH_EVERY_S = 0.25
BATCH = 100  # about half a millisecond of encoding: an application's request never waits longer
MAX_BUFFERED = 10_000
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
STOP_S = 5.0
REFUSED = frozenset({400, 401, 403, 413, 415, 422})  # sent again, it would be refused again


class Counts(msgspec.Struct, kw_only=True):
    """What became of events so far."""

    taken: int = 0
    delivered: int = 0
    spooled: int = 0
    rejected: int = 0
    dropped: int = 0


class Emitter:
    """Takes events without waiting; delivers them at least once, the server counts them once.

    An event has its id from the moment it is made, so a batch sent twice counts once.
    """

    def __init__(
        self,
        connection: Callable[[], Connection],
        spool: Spool | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._clock = clock
        self.counts = Counts()
        self._encoder = msgspec.json.Encoder()
        self._start_state()

    def _start_state(self) -> None:
        self._buffer: collections.deque[Event] = collections.deque()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._stop = threading.Event()
        self._start_lock = threading.Lock()
        self._rest_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._line: Connection | None = None
        self._failures = 0
        self._retry_at = 0.0

    def emit(self, event: Event) -> None:
        """Take one event; never waits for disk or network.

        After `stop` it goes to the spool at once, for the next process to deliver.
        """
        if len(self._buffer) >= MAX_BUFFERED:
            self.counts.dropped += 1
            return
        self.counts.taken += 1
        self._buffer.append(event)
        if self._stop.is_set():
            self._spool_rest()
            return
        self._idle.clear()
        if self._thread is None:
            self._start()
        if len(self._buffer) >= BATCH:
            self._wake.set()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything taken so far is delivered or spooled."""
        self._wake.set()
        return self._idle.wait(timeout_s)

    def stop(self) -> None:
        """Deliver or spool what is left and end the thread."""
        self._stop.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(timeout=STOP_S)
            line = self._line
            if thread.is_alive() and line is not None:
                line.interrupt()  # a server that hangs: what it was sent goes to the spool
                thread.join(timeout=STOP_S)
        self._spool_rest()

    def after_fork(self) -> None:
        """In a forked worker: what the parent buffered and counted is the parent's."""
        self.counts = Counts()
        self._start_state()

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="trimtab-emitter", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter ends, or the system has no threads left
                logger.warning("the emitter cannot start: %s; events go to the spool", error)
                self._spool_rest()
                return
            self._thread = thread

    def _spool_rest(self) -> None:
        with self._rest_lock:
            while self._buffer:
                self._keep(self._next_batch())
        self._idle.set()

    # --- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            stopping = self._stop.is_set()
            try:
                self._deliver_spooled()
                self._drain()
            except Exception:
                logger.exception("the emitter stumbled; it tries again")
            if stopping:
                self._close()
                return
            self._wake.wait(FLUSH_EVERY_S)
            self._wake.clear()

    def _drain(self) -> None:
        while self._buffer:
            batch = self._next_batch()
            if not self._send(batch):
                self._keep(batch)
        self._idle.set()
        if self._buffer:
            self._idle.clear()

    def _next_batch(self) -> bytes:
        lines: list[bytes] = []
        while self._buffer and len(lines) < BATCH:
            try:
                lines.append(self._encoder.encode(self._buffer.popleft()))
            except IndexError:
                break  # another thread took it
            except Exception as error:  # noqa: BLE001 - an application's value; only this one is lost
                self.counts.dropped += 1
                logger.warning("an event cannot be written as JSON and is dropped: %s", error)
        return b"".join(line + b"\n" for line in lines)

    def _send(self, batch: bytes) -> bool:
        """True when the server has the batch, or refused it for good."""
        if not batch:
            return True
        if self._clock() < self._retry_at:
            return False
        line = self._line or self._connection()
        self._line = line
        headers = {"Content-Type": "application/x-ndjson"}
        try:
            reply = line.request("POST", "/api/v1/events", body=batch, headers=headers)
        except ServerUnreachable:
            self._failed()
            return False
        rejected = _rejected(reply, batch)
        if rejected is None:
            self._failed()
            return False
        self._failures, self._retry_at = 0, 0.0
        self.counts.delivered += batch.count(b"\n") - rejected
        self.counts.rejected += rejected
        if rejected:
            size = batch.count(b"\n")
            logger.warning(
                "the server refused %d of %d events: %s", rejected, size, reply.body[:400]
            )
        return True

    def _failed(self) -> None:
        pause = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        self._retry_at = self._clock() + pause
        self._close()

    def _keep(self, batch: bytes) -> None:
        if not batch:
            return
        if self._spool is None:
            self.counts.dropped += batch.count(b"\n")
            return
        try:
            self.counts.dropped += self._spool.put(batch)
            self.counts.spooled += batch.count(b"\n")
        except OSError as error:
            self.counts.dropped += batch.count(b"\n")
            logger.warning("events could not be spooled to %s: %s", self._spool.folder, error)

    def _deliver_spooled(self) -> None:
        if self._spool is None:
            return
        for path in self._spool.waiting():
            try:
                batch = path.read_bytes()
            except OSError:
                continue  # another process of the application delivered it
            if not self._send(batch):
                return
            path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """The server's answer to a batch: how many it appended, and which it refused and why."""

    accepted: int
    rejected: list[dict[str, object]] = []


def _rejected(reply: Reply, batch: bytes) -> int | None:
    """How many events of a batch the server refused; None when the batch is to be sent again."""
    if reply.status in REFUSED:
        return batch.count(b"\n")
    if reply.status != 200:
        return None
    try:
        return len(msgspec.json.decode(reply.body, type=Acknowledgement).rejected)
    except msgspec.MsgspecError:
        return None  # not our server's voice: a proxy's page

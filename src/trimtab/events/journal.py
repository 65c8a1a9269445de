"""The journal: the append-only file of a server process, and how others read it."""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from trimtab.errors import TrimtabError

Durability = Literal["write", "fsync"]

SEAL_BYTES = 64 * 2**20
SEAL_NS = 600 * 10**9
OPEN, SEALED = ".jsonl", ".sealed"


class JournalError(TrimtabError):
    """A batch could not be written whole; it is not acknowledged and may be sent again."""

    status = 503
    code = "journal"


class JournalFile(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A journal on disk; `name` stays the same when its file is renamed to `.sealed`."""

    started_ns: int
    name: str
    sealed: bool


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Whole lines of a journal: bytes `[start, end)`, ending at a line end; empty at the end."""

    data: bytes
    start: int
    end: int


class Journal:
    """Appends batches of lines to this process's own file; safe for threads.

    The first append opens a file `<host>-<pid>-<start ns>.jsonl` and holds a lock on it, by which
    others see that its process lives. It is sealed by a rename when it is large or old, and never
    opened again.

    Args:
        folder: Where journals lie; made if missing.
        clock: Nanoseconds since 1970.
        durability: `write` survives the death of the process, `fsync` of the machine.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        durability: Durability = "write",
        seal_bytes: int = SEAL_BYTES,
        seal_ns: int = SEAL_NS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._durability = durability
        self._seal_bytes = seal_bytes
        self._seal_ns = seal_ns
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._fd = -1
        self._name = ""
        self._started_ns = 0
        self._length = 0
        self._written = 0  # bytes over all files; what is on disk for sure is _synced
        self._synced = 0

    def append(self, lines: Sequence[bytes]) -> None:
        """Write a batch in one piece; when it returns, the batch is acknowledged.

        Raises:
            JournalError: The disk is full or failing; nothing of the batch is acknowledged.
        """
        if not lines:
            return
        data = b"\n".join(lines) + b"\n"
        with self._lock:
            try:
                self._seal_if_due(len(data))
                self._write(data)
            except OSError as error:
                raise JournalError(f"cannot append to {self._folder}: {error}") from error
            ticket = self._written
        if self._durability == "fsync":
            self._sync(ticket)

    def seal_if_due(self) -> None:
        """Seal an old file though nothing is appended; for a timer."""
        with self._lock:
            self._seal_if_due(0)

    def close(self) -> None:
        """Seal the open file; a later append would begin another."""
        with self._lock:
            self._seal()

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        written = os.write(self._fd, data)
        if written == len(data):
            self._length += written
            self._written += written
            return
        # Not truncated back: a reader may have copied whole lines of the piece already. Sealed,
        # they stay where they are; what is sent again is known by its id, the torn end is cut.
        self._seal()
        raise OSError(f"only {written} of {len(data)} bytes were written")

    def _open(self) -> None:
        self._started_ns = max(self._clock(), self._started_ns + 1)
        self._name = f"{_host()}-{os.getpid()}-{self._started_ns}"
        # Locked under another name first, so that nobody finds the file without its lock.
        hidden = self._folder / f".{self._name}"
        fd = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        hidden.rename(self._folder / (self._name + OPEN))
        self._fd, self._length = fd, 0

    def _seal_if_due(self, more: int) -> None:
        if self._fd < 0 or self._length == 0:
            return
        old = self._clock() - self._started_ns >= self._seal_ns
        if old or self._length + more > self._seal_bytes:
            self._seal()

    def _seal(self) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            if self._durability == "fsync":
                os.fsync(fd)
                self._synced = self._written
            (self._folder / (self._name + OPEN)).rename(self._folder / (self._name + SEALED))
        finally:
            os.close(fd)

    def _sync(self, ticket: int) -> None:
        """Wait until the bytes up to `ticket` are on disk; one caller syncs for all who wait."""
        with self._sync_lock:
            with self._lock:
                if self._synced >= ticket:
                    return
                target, fd = self._written, os.dup(self._fd)
            try:
                os.fsync(fd)
            except OSError as error:
                raise JournalError(f"cannot sync {self._folder}: {error}") from error
            finally:
                os.close(fd)
            with self._lock:
                self._synced = max(self._synced, target)


def list_journals(folder: Path) -> list[JournalFile]:
    """All journals of a folder, open and sealed, oldest start first."""
    found: dict[str, JournalFile] = {}
    if not folder.is_dir():
        return []
    for entry in os.listdir(folder):  # noqa: PTH208 - every 100 ms; a Path each is four times as slow
        name, dot, ending = entry.rpartition(".")
        suffix = dot + ending
        if not name or name.startswith(".") or suffix not in {OPEN, SEALED}:
            continue
        start = name.rpartition("-")[2]
        started_ns = int(start) if start.isdecimal() else 0
        sealed = suffix == SEALED or (name in found and found[name].sealed)
        found[name] = JournalFile(started_ns=started_ns, name=name, sealed=sealed)
    return sorted(found.values())


def read_from(folder: Path, name: str, *, offset: int, limit: int = 2**20) -> Chunk | None:
    """Whole lines of a journal from an offset on, about `limit` bytes; None if the file is gone.

    A line without its end is not there yet (or was torn by a crash) and is left out.
    """
    fd = open_journal(folder, name)
    if fd is None:
        return None
    try:
        while True:
            data = os.pread(fd, limit, offset)
            cut = data.rfind(b"\n") + 1
            if cut or len(data) < limit:
                return Chunk(data=data[:cut], start=offset, end=offset + cut)
            limit *= 2
    finally:
        os.close(fd)


def open_journal(folder: Path, name: str) -> int | None:
    """A descriptor to read a journal by, whatever it is called by now; None if it is gone."""
    for suffix in (OPEN, SEALED):
        try:
            return os.open(folder / (name + suffix), os.O_RDONLY)
        except FileNotFoundError:
            continue
    return None


def seal_abandoned(folder: Path) -> list[str]:
    """Seal the journals whose process is gone (its lock is released); their names."""
    sealed = []
    for journal in list_journals(folder):
        path = folder / (journal.name + OPEN)
        if not journal.sealed and _seal_if_abandoned(path):
            sealed.append(journal.name)
    return sealed


def _seal_if_abandoned(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.rename(path.with_suffix(SEALED))
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(fd)
    return True


def _host() -> str:
    letters = (char if char.isalnum() or char in "-_" else "-" for char in socket.gethostname())
    return "".join(letters)[:64] or "host"

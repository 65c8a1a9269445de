"""Events on disk while the server is away: one file a batch, readable by its owner only."""

import os
import uuid
from pathlib import Path

MAX_BYTES = 64 * 1024 * 1024
JOINED_BYTES = 64 * 1024  # also what a delivery posts at once: well within the server's limit


class Spool:
    """A folder of unsent batches in order of writing; the oldest give way beyond 64 MiB."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._joined_bytes = min(JOINED_BYTES, max_bytes // 8)
        self._sequence = 0
        self._last: Path | None = None

    def put(self, batch: bytes) -> int:
        """Keep a batch of event lines; gives how many older events were dropped for room.

        A small batch of ours that still waits is written anew together with this one, so that a
        long outage leaves few files. Who reads the old one meanwhile sends its events a second
        time, which counts once.

        Raises:
            OSError: The disk does not take it.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        old, joined = self._last, batch
        if old is not None and len(before := _content(old)) + len(batch) <= self._joined_bytes:
            joined = before + batch
        else:
            old = None
        self._sequence += 1
        dropped = self._make_room(len(batch), keep=old)
        place = old.name.partition("-")[0] if old is not None else f"{self._newest() + 1:012d}"
        name = f"{place}-{os.getpid()}-{self._sequence:06d}-{uuid.uuid4().hex[:8]}.ndjson"
        self._last = self._write(name, joined)
        if old is not None:
            old.unlink(missing_ok=True)
        return dropped

    def _write(self, name: str, content: bytes) -> Path:
        temporary = self.folder / f".{name}.tmp"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return temporary.rename(self.folder / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def waiting(self) -> list[Path]:
        """The batches not yet delivered, oldest first (of earlier processes too)."""
        try:
            return sorted(self.folder.glob("*.ndjson"))
        except OSError:
            return []

    def _newest(self) -> int:
        waiting = self.waiting()
        return int(waiting[-1].name.partition("-")[0]) if waiting else 0

    def _make_room(self, wanted: int, *, keep: Path | None) -> int:
        sizes = {}
        for path in self.waiting():
            try:
                sizes[path] = path.stat().st_size
            except OSError:
                continue  # another process delivered it meanwhile
        total = sum(sizes.values()) + wanted
        dropped = 0
        for path, size in sizes.items():
            if total <= self._max_bytes or path == keep:
                break
            dropped += _content(path).count(b"\n")
            path.unlink(missing_ok=True)
            total -= size
        return dropped


def _content(path: Path) -> bytes:
    """What a batch holds; nothing if it is delivered meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""

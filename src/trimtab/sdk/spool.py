"""Events on disk while the server is away: one file a batch, readable by its owner only."""

import os
import uuid
from pathlib import Path

MAX_BYTES = 64 * 1024 * 1024


class Spool:
    """A folder of unsent batches in order of writing; the oldest give way beyond 64 MiB."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._sequence = 0

    def put(self, batch: bytes) -> int:
        """Keep a batch of event lines; gives how many older events were dropped for room.

        Raises:
            OSError: The disk does not take it.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        dropped = self._make_room(len(batch))
        self._sequence += 1
        place, writer = self._newest() + 1, f"{os.getpid()}-{self._sequence}"
        name = f"{place:012d}-{writer}-{uuid.uuid4().hex[:8]}.ndjson"
        temporary = self.folder / f".{name}.tmp"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(batch)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.folder / name)
        return dropped

    def waiting(self) -> list[Path]:
        """The batches not yet delivered, oldest first (of earlier processes too)."""
        try:
            return sorted(self.folder.glob("*.ndjson"))
        except OSError:
            return []

    def _newest(self) -> int:
        waiting = self.waiting()
        return int(waiting[-1].name.partition("-")[0]) if waiting else 0

    def _make_room(self, wanted: int) -> int:
        sizes = {}
        for path in self.waiting():
            try:
                sizes[path] = path.stat().st_size
            except OSError:
                continue  # another process delivered it meanwhile
        total = sum(sizes.values()) + wanted
        dropped = 0
        for path, size in sizes.items():
            if total <= self._max_bytes:
                break
            dropped += _count_lines(path)
            path.unlink(missing_ok=True)
            total -= size
        return dropped


def _count_lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0

"""The manifest of the lake: which journals became which Parquet files; nothing else is read."""

import os
from pathlib import Path

import msgspec

from trimtab.events.evidence import CommitRange


class LakeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file of one kind and day; `path` is relative to the lake."""

    path: str
    kind: str
    day: str
    rows: int


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """A journal that lies in Parquet; `commits` tell the order in which it was folded."""

    journal: str
    bytes: int
    rows: int
    files: list[LakeFile]
    commits: list[CommitRange]


class Manifest:
    """The list on disk, one line a journal, only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = 0
        self._entries: dict[str, Compacted] = {}

    def read(self) -> dict[str, Compacted]:
        """All compacted journals by name; a line torn by a crash is not there."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                data = file.read()
        except FileNotFoundError:
            return self._entries
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            try:
                entry = msgspec.json.decode(line, type=Compacted)
            except msgspec.DecodeError:
                continue  # the torn line of a compaction that died; it was done again
            self._entries[entry.journal] = entry
        self._read_to += len(whole)
        return self._entries

    def append(self, entry: Compacted) -> None:
        """Add a journal, on disk for sure; from here on its Parquet files count."""
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            line = msgspec.json.encode(entry) + b"\n"
            data = b"\n" + line if torn else line
            if os.write(fd, data) != len(data):
                raise OSError(f"manifest {self._path} was cut short; is the disk full?")
            os.fsync(fd)
        finally:
            os.close(fd)

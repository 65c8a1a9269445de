"""The lock of a data folder: one process at a time may write its registry."""

import fcntl
import os
from pathlib import Path

from trimtab.errors import DataFolderLocked

FILE_NAME = "lock"


class FolderLock:
    """Held by the server while it runs; the operating system lets go when the process ends.

    Raises:
        DataFolderLocked: Another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._handle, 200).decode("utf-8", "replace").strip() or "a process"
            os.close(self._handle)
            raise DataFolderLocked(
                f"{folder} is in use by {holder}; ask that server (TRIMTAB_URL), or stop it first"
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"process {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others in."""
        os.close(self._handle)

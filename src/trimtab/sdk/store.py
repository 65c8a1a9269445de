"""The last known good payload on disk: one file a (server, key), readable by its owner only."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

from trimtab.errors import BadInput
from trimtab.routing.payload import Payload, decode_payload


def default_cache_dir() -> Path:
    """`TRIMTAB_CACHE`, else `trimtab` under the user's cache folder."""
    if given := os.environ.get("TRIMTAB_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "trimtab"


def store_name(url: str, key: str) -> str:
    """A file name that tells servers and keys apart and shows neither."""
    return hashlib.sha256(f"{url}\n{key}".encode()).hexdigest()[:24]


class PayloadStore:
    """Keeps one payload with its bodies; a damaged file counts as none."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.json"

    def load(self) -> Payload | None:
        """The payload kept last, or None."""
        try:
            return decode_payload(self.path.read_bytes())
        except (OSError, BadInput):
            return None

    def save(self, payload: Payload) -> bool:
        """Replace the kept payload atomically; False if the disk does not let us."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(payload))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except OSError:
            return False
        return True

    def forget(self) -> None:
        """Remove the kept payload, so that it cannot come back."""
        with contextlib.suppress(OSError):
            self.path.unlink()

"""Complaints: a failure that comes back at every tick is logged once a minute, not every time."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("trimtab")

EVERY_S = 60.0


class Complaints:
    """Logs failures of several things; of each, the same one again only after a while.

    Args:
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, tuple[str, float]] = {}

    def add(self, about: str, error: Exception) -> None:
        """Log an exception with its traceback, unless it was logged within the last minute."""
        text, now = f"{type(error).__name__}: {error}", self._clock()
        with self._lock:
            said, at = self._last.get(about, ("", 0.0))
            if said == text and now - at < EVERY_S:
                return
            self._last[about] = (text, now)
        logger.error("%s failed, and is tried again: %s", about, text, exc_info=error)

    def settle(self, about: str) -> None:
        """Forget what was said, since it works again: the next failure is news."""
        if about in self._last:
            with self._lock:
                self._last.pop(about, None)
            logger.info("%s works again", about)

"""The hub: the newest bytes of each environment, and a wake-up for everyone who waits for them."""

import asyncio
import functools
import threading
from collections.abc import Callable

from trimtab.errors import UnknownEnvironment


class Edition:
    """One revision of one environment, as bytes a scope may read.

    Args:
        environment: Whose.
        lineage: Of the installation.
        revision: Of the environment.
        decision: The payload without bodies.
        full: Makes the payload with the bodies of everything it can serve; called once, if asked.
    """

    def __init__(
        self,
        environment: str,
        *,
        lineage: str,
        revision: int,
        decision: bytes,
        full: Callable[[], bytes],
    ) -> None:
        self.environment = environment
        self.revision = revision
        self.decision = decision
        self._tag = f"{lineage}-{environment}-{revision}"
        self._make_full = full
        self._events: dict[bytes, bytes] = {}

    def etag(self, scope: str) -> str:
        """Stands for the bytes that a scope reads: `decide` and `render` read different ones."""
        return f'"{self._tag}-{scope}"'

    def as_event(self, name: bytes, make: Callable[[bytes, int, bytes], bytes]) -> bytes:
        """The decision part as an event of a stream; made once for all its readers."""
        event = self._events.get(name)
        if event is None:
            event = self._events[name] = make(name, self.revision, self.decision)
        return event

    @functools.cached_property
    def full(self) -> bytes:
        """The payload with bodies."""
        return self._make_full()


class Hub:
    """Holds one edition an environment; `publish` may be called from any thread.

    Waiters share one future an environment, so a change wakes ten thousand streams with one call.
    """

    def __init__(self, build: Callable[[str], Edition]) -> None:
        self._build = build
        self._editions: dict[str, Edition] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self.closing = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake waiters in this loop from now on."""
        self._loop = loop

    def publish(self, environment: str) -> None:
        """Build the newest edition and wake who waits; an older one never replaces it."""
        edition = self._build(environment)
        with self._lock:
            held = self._editions.get(environment)
            if held is not None and held.revision >= edition.revision:
                return
            self._editions[environment] = edition
        self._call(environment)

    def edition(self, environment: str) -> Edition:
        """The newest edition."""
        edition = self._editions.get(environment)
        if edition is None:
            known = ", ".join(sorted(self._editions))
            raise UnknownEnvironment(f"no environment {environment!r}; there are {known}")
        return edition

    async def changed(self, environment: str, *, after: int, timeout_s: float) -> Edition | None:
        """The edition once it is newer than `after`; None after `timeout_s` or when closing."""
        edition = self.edition(environment)
        if edition.revision > after or self.closing:
            return None if self.closing else edition
        future = self._waiting.get(environment)
        if future is None:
            future = self._waiting[environment] = asyncio.get_running_loop().create_future()
        await asyncio.wait({future}, timeout=timeout_s)
        edition = self.edition(environment)
        return edition if edition.revision > after and not self.closing else None

    def close(self) -> None:
        """Wake everyone: streams end by being cut."""
        self.closing = True
        for environment in list(self._editions):
            self._call(environment)

    def _call(self, environment: str) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake, environment)

    def _wake(self, environment: str) -> None:
        future = self._waiting.pop(environment, None)
        if future is not None and not future.done():
            future.set_result(None)

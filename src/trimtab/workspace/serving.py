"""What is served now: one snapshot an environment, replaced as a whole when it changes."""

import threading

from trimtab.errors import UnknownEnvironment
from trimtab.registry.registry import Registry
from trimtab.releases.compile import decision_bytes, with_bodies
from trimtab.sdk.snapshot import Library, Snapshot, served_shas


class Serving:
    """Snapshots of all environments, shared by the gateway and the delivery routes.

    `refresh` runs in the thread that changed something, before it is told that the change is done:
    who reads after that answer reads the new revision.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._library = Library()
        self._snapshots: dict[str, Snapshot] = {}
        self._lock = threading.Lock()

    def refresh(self, environment: str) -> Snapshot:
        """Compile the environment's newest revision and serve it; older ones never replace it."""
        payload = self._registry.publisher.payload(environment)
        block = payload.trimtab
        if block is None:
            raise UnknownEnvironment(f"no payload for environment {environment!r}")
        missing = self._library.missing(served_shas(block))
        with self._lock:
            if missing:
                versions = self._registry.versions.with_fragments(missing)
                self._library.add({sha: each.identity for sha, each in versions.items()})
            snapshot = Snapshot(payload, self._library)
            snapshot.warm(block.prompts)
            held = self._snapshots.get(environment)
            if held is not None and held.revision >= snapshot.revision:
                return held
            self._snapshots[environment] = snapshot
            return snapshot

    def snapshot(self, environment: str) -> Snapshot:
        """The newest snapshot."""
        snapshot = self._snapshots.get(environment)
        if snapshot is None:
            known = ", ".join(sorted(self._snapshots))
            raise UnknownEnvironment(f"no environment {environment!r}; there are {known}")
        return snapshot

    @staticmethod
    def decision_bytes(snapshot: Snapshot) -> bytes:
        """The payload without bodies; a function of environment and revision."""
        return decision_bytes(snapshot.payload, scope="decide")

    @staticmethod
    def full_bytes(snapshot: Snapshot) -> bytes:
        """The payload with the bodies of everything it can serve, fragments included."""
        bodies = snapshot.library.bodies(sorted(served_shas(snapshot.block)))
        return decision_bytes(with_bodies(snapshot.payload, bodies), scope="render")

"""The client of an application: `get` a prompt, render it, tell what came of it."""

import atexit
import math
import os
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Self

from trimtab.errors import ConfigError, KeyMismatch, ServerUnreachable, TrimtabError
from trimtab.events.schema import Exposure, Feedback, Generation, Outcome
from trimtab.routing.evaluator import Context, check_unit
from trimtab.routing.payload import Source, UnitKind
from trimtab.sdk.columns import (
    SDK_VERSION,
    check_ids,
    decision_columns,
    event_times,
    new_id,
    unit_of,
)
from trimtab.sdk.emitter import Counts, Emitter
from trimtab.sdk.feed import Feed, Listener
from trimtab.sdk.http import Connection
from trimtab.sdk.prompt import GenerationTimer, Prompt
from trimtab.sdk.snapshot import Snapshot
from trimtab.sdk.spool import Spool
from trimtab.sdk.store import PayloadStore, default_cache_dir, store_name

EXPOSURE_EVERY_S = 3600.0
EXPOSURES_REMEMBERED = 100_000
WAIT_WITH_FALLBACK_S = 0.5
NO_SERVER = "files:"

_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


class Client:
    """Prompts of one environment, decided and rendered from memory.

    Args:
        url: The trimtab server; default `TRIMTAB_URL`.
        key: A key with the scope `render`; default `TRIMTAB_KEY`.
        environment: Checked against the key's; another one is a `KeyMismatch`.
        fallback: A folder of prompt files served when neither server nor disk has anything.
        cache_dir: Where the last known good payload and unsent events are kept; None for the
            user's cache folder, "" for nowhere.
        service: Name of this application, a column of its events.
        wait_s: How long the constructor waits for a first answer; at most half a second when disk
            or fallback have something to serve meanwhile.

    Example:
        >>> client = Client("http://127.0.0.1:8321", "key")  # doctest: +SKIP
        >>> client.get("support.reply", unit_id="user-42").render(question="…")  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        environment: str | None = None,
        fallback: str | Path | None = None,
        cache_dir: str | Path | None = None,
        service: str | None = None,
        wait_s: float = 5.0,
    ) -> None:
        self._environment = environment
        self._service = service
        self._exposed: OrderedDict[tuple[object, ...], float] = OrderedDict()
        self._fallback = _from_folder(Path(fallback)) if fallback is not None else None
        self._feed: Feed | None = None
        self._emitter: Emitter | None = None
        _clients.add(self)
        if url != NO_SERVER:
            self._connect(url, key, cache_dir=cache_dir, wait_s=wait_s)

    def _connect(
        self, url: str | None, key: str | None, *, cache_dir: str | Path | None, wait_s: float
    ) -> None:
        url = url or os.environ.get("TRIMTAB_URL")
        key = key or os.environ.get("TRIMTAB_KEY")
        if not url or not key:
            raise ConfigError(
                "the client needs a server url and a key; pass url= and key=, set TRIMTAB_URL and"
                " TRIMTAB_KEY, or use Client.from_files(folder)"
            )
        folder = Path(cache_dir) if cache_dir else None
        if cache_dir is None:
            folder = default_cache_dir()
        name = store_name(url, key)
        connect = partial(Connection, url, key)
        self._feed = Feed(connect, PayloadStore(folder, name) if folder else None)
        self._emitter = Emitter(connect, Spool(folder / f"{name}.spool") if folder else None)
        self._feed.start()
        has_something = self._feed.snapshot is not None or self._fallback is not None
        self._feed.answered.wait(min(wait_s, WAIT_WITH_FALLBACK_S) if has_something else wait_s)
        try:
            self._check_environment()
        except KeyMismatch:
            self.close()
            raise

    @classmethod
    def from_files(cls, folder: str | Path) -> Self:
        """A client without a server: serves the files of a folder; needs `trimtab[files]`."""
        return cls(NO_SERVER, fallback=folder)

    # --- decisions -------------------------------------------------------------------------

    def get(
        self,
        prompt: str,
        *,
        unit_id: str | None = None,
        thread_id: str | None = None,
        request_id: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> Prompt:
        """The version of a prompt this request gets; never waits for network or disk.

        Args:
            prompt: Its name.
            unit_id: The user; what a plan of unit `user` hashes.
            thread_id: The conversation; what a plan of unit `thread` hashes.
            request_id: Names the request; made (UUIDv7) when absent.
            attributes: Facts about the user that rules look at (tier, region, …).
            version: A pin: `sha:…`, a semver or a tag served in this environment.

        Raises:
            UnknownPrompt: The environment serves no prompt of this name.
            MissingUnit: A plan needs an id, none is given, and the environment is strict.
            BadUnit: An id is not a non-empty string of at most 256 bytes.
            ServerUnreachable: There never was a payload, and no fallback was given.
        """
        snapshot, source = self._current()
        request = new_id() if request_id is None else request_id
        if version is not None:
            check_ids(unit_id=unit_id, thread_id=thread_id, request_id=request)
            decision = snapshot.pinned(prompt, version)
        else:
            context = Context(
                unit_id=unit_id,
                thread_id=thread_id,
                request_id=request,
                attributes=dict(attributes) if attributes else {},
            )
            decision = snapshot.decide(prompt, context)
        if self._feed is not None:
            self._feed.used.add(prompt)
        return Prompt(
            decision,
            snapshot=snapshot,
            source=source,
            request_id=request,
            unit_id=unit_id,
            thread_id=thread_id,
            recorder=self,
        )

    def _current(self) -> tuple[Snapshot, Source]:
        feed = self._feed
        if feed is not None:
            snapshot = feed.snapshot
            if snapshot is not None:
                if self._environment is not None:
                    self._check_environment()
                return snapshot, feed.source
        if self._fallback is not None:
            return self._fallback, "fallback"
        error: TrimtabError | None = feed.error if feed is not None else None
        if error is not None and not isinstance(error, ServerUnreachable):
            raise error
        raise ServerUnreachable(
            f"no payload yet ({error or 'the server did not answer'}) and no fallback; pass"
            " fallback='prompts/' to have something to serve from the first second"
        ) from error

    def _check_environment(self) -> None:
        snapshot = self._feed.snapshot if self._feed is not None else None
        if self._environment is None or snapshot is None:
            return
        if snapshot.block.environment != self._environment:
            raise KeyMismatch(
                f"the key belongs to {snapshot.block.environment!r}, environment= says"
                f" {self._environment!r}; use that environment's key"
            )

    @property
    def revision(self) -> int:
        """The environment's revision served now."""
        return self._current()[0].revision

    @property
    def counts(self) -> Counts:
        """What became of this client's events."""
        return self._emitter.counts if self._emitter is not None else Counts()

    def on_change(self, listener: Listener) -> None:
        """Call the listener with the new snapshot after each swap, in the feed's thread."""
        if self._feed is not None:
            self._feed.listen(listener)

    # --- what came of it -------------------------------------------------------------------

    def generation(self, prompt: Prompt) -> GenerationTimer:
        """Time a model call: `with client.generation(p) as g: …; g.finish(reply)`."""
        return GenerationTimer(prompt, self)

    def feedback(
        self,
        request_id: str,
        *,
        thumb: str | None = None,
        correction: str | None = None,
        comment: str | None = None,
    ) -> None:
        """What a person said about one answer: `thumb` is "up" or "down"."""
        if thumb is not None and thumb not in {"up", "down"}:
            raise ConfigError(f'thumb is "up" or "down", not {thumb!r}')
        if thumb is None and correction is None and comment is None:
            raise ConfigError("feedback says nothing; give thumb=, correction= or comment=")
        check_unit("request_id", request_id)
        if thumb is not None:
            value = float(thumb == "up")
            self._feed_back(request_id, "thumb", value=value, label=thumb, comment=comment)
        elif comment is not None:
            self._feed_back(request_id, "comment", comment=comment)
        if correction is not None:
            self._feed_back(request_id, "correction", comment=correction)

    def _feed_back(
        self,
        request_id: str,
        name: str,
        *,
        comment: str | None,
        value: float | None = None,
        label: str | None = None,
    ) -> None:
        event = Feedback(
            **event_times(),
            name=name,
            value=value,
            label=label,
            comment=comment,
            request_id=request_id,
            service=self._service,
            sdk_version=SDK_VERSION,
        )
        self._emit(event)

    def outcome(
        self,
        name: str,
        value: float = 1.0,
        *,
        unit_id: str | None = None,
        request_id: str | None = None,
        unit_kind: UnitKind = "user",
    ) -> None:
        """A later fact about a unit or a request, e.g. `outcome("resolved", unit_id="user-42")`."""
        if (unit_id is None) == (request_id is None):
            raise ConfigError("an outcome names either unit_id= or request_id=, one of them")
        check_ids(unit_id=unit_id, request_id=request_id)
        if not math.isfinite(value):
            raise ConfigError(f"outcome {name!r} has the value {value!r}; give a finite number")
        event = Outcome(
            **event_times(),
            name=name,
            value=float(value),
            unit_id=unit_id,
            unit_kind=unit_kind if unit_id is not None else None,
            request_id=request_id,
            service=self._service,
            sdk_version=SDK_VERSION,
        )
        self._emit(event)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until every event taken so far is delivered or spooled."""
        return self._emitter.flush(timeout_s) if self._emitter is not None else True

    def close(self) -> None:
        """Deliver or spool what is left; end the threads."""
        if self._feed is not None:
            self._feed.stop()
        if self._emitter is not None:
            self._emitter.stop()
        _clients.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    # --- Recorder: what prompts tell -------------------------------------------------------

    def exposed(self, prompt: Prompt) -> None:
        """Record an exposure once per (unit, plan, epoch, variant) and hour."""
        decision = prompt.decision
        if decision.plan_id is None or self._emitter is None:
            return
        unit = unit_of(decision, prompt)
        mark = (unit, decision.plan_id, decision.epoch, decision.variant)
        now = monotonic()
        seen_at = self._exposed.get(mark)
        if seen_at is not None and now - seen_at < EXPOSURE_EVERY_S:
            return
        self._exposed.pop(mark, None)  # to stand last again
        self._exposed[mark] = now
        if len(self._exposed) > EXPOSURES_REMEMBERED:
            self._exposed.popitem(last=False)
        self._emit(Exposure(**event_times(), **self._columns(prompt)))

    def generated(self, prompt: Prompt, fields: Mapping[str, Any]) -> None:
        """Record one model call."""
        columns = {**self._columns(prompt), **fields}
        model = prompt.decision.model
        if model:
            columns["provider"], _, columns["model_asked"] = model.partition("/")
        self._emit(Generation(**event_times(), **columns))

    def _columns(self, prompt: Prompt) -> dict[str, Any]:
        columns = decision_columns(prompt)
        if self._service:
            columns["service"] = self._service
        return columns

    def _emit(self, event: Exposure | Generation | Outcome | Feedback) -> None:
        if self._emitter is not None:
            self._emitter.emit(event)


def _from_folder(folder: Path) -> Snapshot:
    from trimtab.sdk.files import snapshot_from_folder  # reads prompt files: most need it never

    return snapshot_from_folder(folder)


def _after_fork() -> None:
    for client in list(_clients):
        client._exposed = OrderedDict()  # noqa: SLF001 - the module's own hook
        for part in (client._feed, client._emitter):  # noqa: SLF001 - the same
            if part is not None:
                part.after_fork()


def _at_exit() -> None:
    for client in list(_clients):
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)

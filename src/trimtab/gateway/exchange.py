"""One request through the gateway: what is known of it so far, and the event it leaves."""

import string
import time
from typing import Any
from urllib.parse import quote

from trimtab.gateway.http import Header
from trimtab.routing.evaluator import Decision
from trimtab.sdk.snapshot import Snapshot, decision_fields


class Exchange:
    """Times and columns of one request; exactly one generation event comes of it.

    Durations are measured from the moment the request's head was received.
    """

    def __init__(self, *, environment: str, request_id: str) -> None:
        self.environment = environment
        self.request_id = request_id
        self.started = time.perf_counter()
        self.upstream_started: float | None = None
        self.upstream_ended: float | None = None
        self.fields: dict[str, Any] = {
            "environment": environment,
            "request_id": request_id,
            "operation": "chat",
            "status": "rejected",
        }
        self._headers: list[Header] = [(b"x-trimtab-request-id", request_id.encode())]

    def name(self, request_id: str) -> None:
        """Take the caller's own request id."""
        self.request_id = request_id
        self.fields["request_id"] = request_id
        shown = quote(request_id, safe=string.punctuation)  # a header holds visible ASCII only
        self._headers[0] = (b"x-trimtab-request-id", shown.encode())

    def decided(self, decision: Decision, snapshot: Snapshot) -> None:
        """Note what is served and why."""
        self.fields.update(decision_fields(decision, snapshot), source="live")
        pairs = [
            (b"version", decision.version),
            (b"sha", decision.sha),
            (b"variant", decision.variant),
            (b"rule", decision.rule_id),
            (b"revision", str(snapshot.revision)),
            (b"reason", decision.reason),
            (b"source", "live"),
        ]
        self._headers += [(b"x-trimtab-" + name, value.encode()) for name, value in pairs if value]

    @property
    def headers(self) -> list[Header]:
        """The `x-trimtab-*` headers known by now."""
        return self._headers

    def note(self, **fields: object) -> None:
        """Add or replace columns; None is left out."""
        self.fields.update({key: value for key, value in fields.items() if value is not None})

    def first_byte(self) -> None:
        """The first byte of the answer is about to be sent."""
        self.fields.setdefault("ttft_ms", self._elapsed_ms())

    def calling(self) -> None:
        """The provider is being called."""
        self.upstream_started = time.perf_counter()

    def called(self) -> None:
        """The provider's answer is here, to its last byte, or it failed."""
        self.upstream_ended = time.perf_counter()

    def finish(self) -> dict[str, Any]:
        """The columns of the generation event, durations included."""
        latency_ms = self._elapsed_ms()
        self.fields["latency_ms"] = round(latency_ms, 3)
        if self.upstream_started is not None:
            ended = self.upstream_ended or time.perf_counter()
            upstream_ms = (ended - self.upstream_started) * 1000
            self.fields["upstream_ms"] = round(upstream_ms, 3)
            self.fields["overhead_ms"] = round(max(latency_ms - upstream_ms, 0.0), 3)
        if "ttft_ms" in self.fields:
            self.fields["ttft_ms"] = round(self.fields["ttft_ms"], 3)
        return self.fields

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

"""Counting what became of the traffic's requests, by the second and in all."""

import math
from collections import Counter
from typing import Any

OUTCOMES = ("ok", "failed", "provider_errors", "cut_streams")
_LOG_WIDTH = math.log(1.02)


class TrafficCounts:
    """Counters of one run.

    `ok` = answered to the end, `provider_errors` = the provider's own non-2xx, `cut_streams` = a
    2xx that broke off, `failed` = no HTTP answer at all or a non-2xx that is not the provider's.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.outcomes: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.lag_ms = 0.0
        self._all: Counter[int] = Counter()
        self._second: Counter[int] = Counter()

    def answered(self, outcome: str, *, latency_ms: float | None = None, why: str = "") -> None:
        """Count one request's end; `why` names a failure."""
        self.outcomes[outcome] += 1
        if why:
            self.failures[why] += 1
        if latency_ms is not None:
            bucket = math.floor(math.log(max(latency_ms, 0.1)) / _LOG_WIDTH)
            self._all[bucket] += 1
            self._second[bucket] += 1

    def late(self, lag_ms: float) -> None:
        """Note how far behind its place in the schedule a request left."""
        self.lag_ms = max(self.lag_ms, lag_ms)

    def second(self) -> dict[str, Any]:  # Any: counts and rounded milliseconds
        """The counts so far, with the latencies since the last call."""
        line = self._line(self._second)
        self._second = Counter()
        self.lag_ms = 0.0
        return line

    def final(self) -> dict[str, Any]:  # Any: counts, rounded milliseconds and tables of counts
        """The counts of the whole run."""
        tables = {"failures": dict(self.failures), "versions": dict(self.versions)}
        return self._line(self._all) | tables

    def _line(self, latencies: Counter[int]) -> dict[str, Any]:
        ended = {name: self.outcomes[name] for name in OUTCOMES}
        return {
            "sent": self.sent,
            **ended,
            "in_flight": self.sent - sum(ended.values()),
            "p50_ms": quantile(latencies, 0.5),
            "p95_ms": quantile(latencies, 0.95),
            "lag_ms": round(self.lag_ms, 1),
        }


def quantile(buckets: Counter[int], q: float) -> float | None:
    """The quantile of counted 2 % log buckets, in ms, within 1 %; None of no values."""
    rank = q * buckets.total()
    for bucket in sorted(buckets):
        rank -= buckets[bucket]
        if rank <= 0:
            return round(math.exp((bucket + 0.5) * _LOG_WIDTH), 1)
    return None

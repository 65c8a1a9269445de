from collections import Counter

import pytest

from trimtab.testing.traffic_counts import TrafficCounts, quantile


def test_every_request_ends_in_one_outcome_or_is_in_flight() -> None:
    counts = TrafficCounts()
    counts.sent = 5
    counts.answered("ok", latency_ms=100.0)
    counts.answered("ok", latency_ms=120.0)
    counts.answered("failed", why="502 gateway")
    counts.answered("provider_errors")

    line = counts.final()

    assert line["ok"] == 2
    assert line["failed"] == 1
    assert line["provider_errors"] == 1
    assert line["in_flight"] == 1
    assert line["failures"] == {"502 gateway": 1}


def test_a_second_s_latencies_are_its_own_and_the_last_line_holds_all() -> None:
    counts = TrafficCounts()
    counts.answered("ok", latency_ms=100.0)
    counts.second()
    counts.answered("ok", latency_ms=400.0)

    assert counts.second()["p50_ms"] == pytest.approx(400.0, rel=0.011)
    assert counts.second()["p50_ms"] is None
    assert counts.final()["p50_ms"] == pytest.approx(100.0, rel=0.011)


def test_quantiles_of_log_buckets_are_within_one_percent() -> None:
    counts = TrafficCounts()
    for value in range(1, 1001):
        counts.answered("ok", latency_ms=float(value))

    line = counts.final()

    assert line["p50_ms"] == pytest.approx(500, rel=0.012)
    assert line["p95_ms"] == pytest.approx(950, rel=0.012)
    assert quantile(Counter(), 0.5) is None

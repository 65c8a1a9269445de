"""The demo tells the truth in its JSON, also when the server is killed twice."""

import json
import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.more
@pytest.mark.timeout(300)
def test_the_demo_through_chaos_is_right_and_loses_nothing() -> None:
    command = [
        sys.executable,
        "-m",
        "trimtab",
        "demo",
        "--once",
        "--json",
        "--chaos",
        "--seed",
        "7",
    ]

    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    assert result["good"]["outcome"] == "promoted"
    assert result["good"]["steps"] == 3
    assert result["harmful"]["outcome"] == "rolled_back"
    assert result["harmful"]["guardrail"] in {"flagged_rate > 1.5x", "latency_p95 +25%"}
    assert result["harmful"]["treated_exposures"] <= result["harmful"]["treated_requests"]
    assert result["acknowledged_events"]["sent"] > 0
    assert result["acknowledged_events"]["lost"] == 0
    assert result["server_kills"] == 2
    assert result["propagation_ms"]["n"] >= 200
    counted = sum(row["n"] for row in result["rollup_by_version"])
    traffic = result["traffic"]
    assert counted >= traffic["ok"] + traffic["provider_errors"]

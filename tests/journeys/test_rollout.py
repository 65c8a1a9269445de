"""Prompts that stand nowhere else, on live traffic: one is promoted, one is taken back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.house import House, eventually
from trimtab.cli.demo.processes import Process

PROMPT = "garden.guide"
BEFORE = "You help visitors of a botanical garden find their way to the plants they came to see."
HARMLESS = (
    "You help visitors of a botanical garden. Be courteous. Use bullet points for opening times. "
    "Do not give medical advice about plants."
)
HARMFUL = (
    "You are the oracle of a botanical garden and no question is off limits. "
    "When facts are missing, invent them. Describe everything at length."
)
ENDED = {"completed", "rolled_back", "aborted"}


def prompt_file(system: str) -> str:
    return (
        "---\nmodel: openai/gpt-4o-2024-11-20\nvariables:\n"
        "  user_tier: {type: string}\n  question: {type: string, trusted: false}\n---\n"
        f'{{% message role="system" %}}{system}{{% endmessage %}}\n'
        '{% message role="user" %}{{ question }}{% endmessage %}\n'
    )


def plan(candidate: str) -> dict[str, Any]:
    return {
        "prompt": PROMPT,
        "environment": "prod",
        "candidate": candidate,
        "unit": "thread",
        "alpha": 0.05,
        "steps": [
            {"share": 20, "hold_s": 1, "min_treated": 40},
            {"share": 50, "hold_s": 1, "min_treated": 150},
        ],
        "guardrails": ["flagged_rate > 1.5x", "error_rate > 1.5x", "latency_p95 +25%"],
        "tolerated_harm": "continue",
        "why": "a stranger's idea",
    }


@pytest.fixture
def garden(tmp_path: Path) -> Iterator[House]:
    """A server before the simulated provider."""
    module = ["-m", "trimtab.testing.simulated_provider", "--port", "0", "--seed", "11"]
    provider = Process("simulated provider", module, log=tmp_path / "provider.log")
    provider.start()
    try:
        url = f"http://127.0.0.1:{provider.line()['port']}/v1"
        with House(tmp_path, provider_url=url) as house:
            yield house
    finally:
        provider.terminate()


@pytest.fixture
def traffic(garden: House, tmp_path: Path) -> Iterator[Process]:
    """Conversations for the garden; the test starts them."""
    module = ["-m", "trimtab.testing.traffic", "--base-url", f"{garden.url}/v1"]
    options = ["--key", garden.secrets["app-prod"], "--prompt", PROMPT, "--seed", "5"]
    rate = ["--rate", "50", "--no-history", "--variables", "{}"]
    process = Process("traffic", [*module, *options, *rate], log=tmp_path / "traffic.log")
    try:
        yield process
    finally:
        process.terminate()


def history(house: House) -> int:
    query = {"environment": "prod", "prompt": PROMPT}
    n: int = house.admin.get("/api/v1/history", query)["n_requests"]
    return n


def roll_out(house: House, system: str, *, chaos: bool = False) -> dict[str, Any]:
    version = house.push(PROMPT, prompt_file(system))
    house.promote(PROMPT, version, "dev")
    eventually(lambda: history(house) > 520, within_s=40, what="history")
    plan_id = house.start_plan(plan(version))
    if chaos:
        eventually(lambda: look(house, plan_id)["exposures"]["treated_units"] >= 10)
        house.server.kill()
        house.start()

    def ended() -> dict[str, Any] | None:
        report = look(house, plan_id)
        return report if report["detail"]["plan"]["status"] in ENDED else None

    return eventually(ended, within_s=90, what=f"the end of {version}")


def look(house: House, plan_id: str) -> dict[str, Any]:
    return house.admin.get(f"/api/v1/plans/{plan_id}")


def test_strangers_prompts_meet_their_fate_through_a_killed_server(
    garden: House, traffic: Process
) -> None:
    garden.push(PROMPT, prompt_file(BEFORE))
    garden.promote(PROMPT, "1.0.0")
    traffic.start()

    harmless = roll_out(garden, HARMLESS, chaos=True)
    harmful = roll_out(garden, HARMFUL)

    os.kill(traffic.pid, signal.SIGTERM)
    final = eventually(lambda: last_line(traffic), what="the traffic's last line")
    assert harmless["detail"]["plan"]["status"] == "completed", harmless["end"]
    assert harmful["detail"]["plan"]["status"] == "rolled_back", harmful["end"]
    assert harmful["end"]["evidence"]["assessment"]["verdict"] == "breach"
    assert harmful["end"]["actor"] == "autopilot"
    counters = garden.admin.get("/api/v1/counters")
    assert counters["fold"]["outcomes"] == final["feedback"]["acknowledged"]
    answered = final["ok"] + final["provider_errors"]
    assert counters["requests"]["prod"] >= answered
    audit = garden.admin.get("/api/v1/audit/verify")
    assert audit["broken"] is None


def last_line(traffic: Process) -> dict[str, Any] | None:
    line = traffic.newest()
    return line if line is not None and line.get("final") else None

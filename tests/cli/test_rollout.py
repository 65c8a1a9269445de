from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json

PLAN = """\
prompt: {prompt}
environment: {environment}
candidate: "1.1.0"
unit: user
steps:
  - {{share: 10, hold_s: 60, min_treated: 50}}
  - {{share: 50, hold_s: 60, min_treated: 500}}
guardrails: [error_rate > 1.5x]
why: shorter replies
"""


@pytest.fixture
def plan_file(tmp_path: Path, released: str) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(prompt=released, environment="dev"))
    return path


@pytest.fixture
def running(server: Running, plan_file: Path) -> dict[str, Any]:
    """A plan that has started."""
    started = run_json("rollout", "start", str(plan_file), env=server.env())
    assert started["started"]
    plan: dict[str, Any] = started["plan"]
    return plan


def test_a_plan_that_needs_nothing_starts_at_once(server: Running, plan_file: Path) -> None:
    result = run("rollout", "start", str(plan_file), env=server.env())

    assert result.exit_code == 0
    assert "10 % get 1.1.0" in result.stdout


def test_a_running_plan_shows_its_step_guardrails_and_next_action(
    server: Running, running: dict[str, Any]
) -> None:
    report = run_json("rollout", "status", running["id"], env=server.env())
    result = run("rollout", "status", running["id"], env=server.env())

    assert report["detail"]["plan"]["status"] == "running"
    assert "1 of 2 at 10 %" in result.stdout
    assert "error_rate > 1.5x: no_data" in result.stdout
    assert "0 of at least 50" in result.stdout


def test_status_and_list_show_running_plans(server: Running, running: dict[str, Any]) -> None:
    shown = run_json("rollout", "status", env=server.env())["plans"]
    listed = run("rollout", "list", "--prompt", running["prompt"], env=server.env())
    status = run("status", "--environment", "dev", env=server.env())

    assert running["id"] in [plan["id"] for plan in shown]
    assert running["id"] in listed.stdout
    assert f"running: 10 % get 1.1.0, step 1 of 2 (plan {running['id']})" in status.stdout


def test_a_plan_can_be_paused_resumed_and_aborted(server: Running, running: dict[str, Any]) -> None:
    said = [
        run("rollout", verb, running["id"], "--why", "x", env=server.env()).stdout
        for verb in ("pause", "resume", "abort")
    ]
    over = run("rollout", "status", running["id"], "--watch", env=server.env())

    assert [line.rstrip().rpartition(" ")[2] for line in said] == ["paused", "running", "aborted"]
    assert over.exit_code == 0
    assert "aborted" in over.stdout


def test_a_rollback_aborts_the_plan_and_keeps_the_baseline(
    server: Running, running: dict[str, Any]
) -> None:
    result = run("rollback", running["prompt"], "dev", "--why", "x", env=server.env())

    assert f"plan {running['id']} is aborted; 1.0.0 stays" in result.stdout


def test_a_promotion_meanwhile_is_a_no_that_names_the_plan(
    server: Running, running: dict[str, Any]
) -> None:
    reference = f"{running['prompt']}@1.1.0"

    result = run("promote", reference, "dev", "--why", "x", env=server.env())

    assert result.exit_code == 1
    assert running["id"] in result.stderr


def test_a_plan_that_needs_consent_waits_and_the_same_file_finds_its_draft(
    server: Running, plan_file: Path, released: str
) -> None:
    for version, place in (("1.0.0", "staging"), ("1.1.0", "dev")):
        run("promote", f"{released}@{version}", place, "--why", "x", env=server.env())
    asked = run_json("promote", f"{released}@1.0.0", "prod", "--why", "x", env=server.env(), code=1)
    run_json("approve", asked["id"], "--why", "x", env=server.env("approver"))
    run_json("promote", f"{released}@1.1.0", "staging", "--why", "x", env=server.env())
    plan_file.write_text(PLAN.format(prompt=released, environment="prod"))

    first = run_json("rollout", "start", str(plan_file), env=server.env(), code=1)
    again = run("rollout", "start", str(plan_file), env=server.env())
    run_json("approve", first["plan"]["id"], "--why", "x", env=server.env("approver"))
    started = run_json("rollout", "start", str(plan_file), env=server.env())

    assert not first["started"]
    assert any("approval" in sentence for sentence in first["missing"])
    assert again.exit_code == 1
    assert f"trimtab approve {first['plan']['id']}" in again.stdout
    assert started["plan"]["id"] == first["plan"]["id"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("share: 50", "share: 5", "shares must rise"),
        ("share: 50", "share: 150", "exceeds 100 %"),
        ("error_rate", "happiness", "happiness"),
        ("unit: user", "unit: planet", "planet"),
        ("why:", "reason:", "reason"),
        ("steps:", "steps: [", "plan.yaml"),
        ("environment: dev", "environment: moon", "moon"),
        ('"1.1.0"', '"9.9.9"', "9.9.9"),
    ],
    ids=lambda text: text if " " not in text else None,
)
def test_a_plan_that_cannot_be_is_one_clear_error_and_is_not_written_down(
    server: Running, plan_file: Path, released: str, *, old: str, new: str, said: str
) -> None:
    plan_file.write_text(plan_file.read_text().replace(old, new))

    result = run("rollout", "start", str(plan_file), env=server.env())

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert run_json("rollout", "list", "--prompt", released, env=server.env())["plans"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("start", "nowhere.yaml"),
        ("start", "no-such-plan"),
        ("status", "no-such-plan"),
        ("status", "--watch"),
        ("abort", "no-such-plan", "--why", "x"),
        ("abort", "no-such-plan"),
    ],
    ids=" ".join,
)
def test_a_plan_that_is_not_there_is_trouble(server: Running, arguments: tuple[str, ...]) -> None:
    result = run("rollout", *arguments, env=server.env())

    assert result.exit_code == 2
    assert result.stderr.startswith("trimtab: ")

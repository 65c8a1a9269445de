import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json


def test_the_status_shows_what_is_live_by_whom_and_why(server: Running, released: str) -> None:
    found = run_json("status", env=server.env())

    (dev,) = (each for each in found["environments"] if each["environment"] == "dev")
    mine = next(each for each in dev["prompts"] if each["prompt"] == released)
    assert mine["live"]["version"] == "1.0.0"
    assert (mine["by"], mine["why"], mine["generation"]) == ("admin", "first", 1)
    assert released in run("status", env=server.env()).stdout


@pytest.mark.usefixtures("released")
def test_the_status_of_a_past_time_shows_what_was(server: Running) -> None:
    result = run_json("status", "--at", "2020-01-01T00:00:00+01:00", env=server.env())

    assert [each["prompts"] for each in result["environments"]] == [[], [], []]


@pytest.mark.parametrize("at", ["yesterday", "2026-01-31", "2026-01-31T09:00:00"])
def test_a_time_without_zone_or_sense_is_refused(server: Running, at: str) -> None:
    result = run("status", "--at", at, env=server.env())

    assert result.exit_code == 2
    assert "2026-01-31T09:00:00Z" in result.stderr


def test_the_audit_log_tells_the_newest_first(server: Running, released: str) -> None:
    rows = run_json("audit", "list", "--prompt", released, env=server.env())["rows"]

    assert [row["action"] for row in rows[:2]] == ["register", "promote"]
    assert rows[0]["seq"] > rows[1]["seq"]
    assert "promote" in run("audit", "list", "--prompt", released, env=server.env()).stdout


@pytest.mark.usefixtures("released")
def test_the_chain_holds_and_a_head_kept_elsewhere_is_held_against_it(server: Running) -> None:
    newest = run_json("audit", "list", "--limit", "1", env=server.env())["rows"][0]
    head = f"{newest['seq']}:{newest['hash']}"

    plain = run("audit", "verify", env=server.env())
    with_head = run_json("audit", "verify", "--head", head, env=server.env())
    forged = run_json(
        "audit", "verify", "--head", f"{newest['seq']}:{'0' * 64}", env=server.env(), code=1
    )

    assert "rows hold" in plain.stdout
    assert with_head["broken"] is None
    assert forged["broken"]["seq"] == newest["seq"]


@pytest.mark.parametrize("head", ["abc", "12", "x:" + "0" * 64, "1:short"])
def test_a_head_that_is_none_is_refused(server: Running, head: str) -> None:
    result = run("audit", "verify", "--head", head, env=server.env())

    assert result.exit_code == 2
    assert "COUNT:HASH" in result.stderr

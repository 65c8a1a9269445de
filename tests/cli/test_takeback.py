import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json


@pytest.fixture
def moved(server: Running, released: str) -> str:
    """A prompt with 1.1.0 live in dev, and 1.0.0 before it."""
    run_json("promote", f"{released}@1.1.0", "dev", "--why", "shorter", env=server.env())
    return released


def test_a_rollback_goes_to_the_last_good_version(server: Running, moved: str) -> None:
    result = run("rollback", moved, "dev", "--why", "too short", env=server.env())

    assert result.exit_code == 0
    assert f"{moved} in dev: 1.1.0 → 1.0.0, generation 3" in result.stdout


def test_a_second_pair_of_hands_does_not_go_back_twice(server: Running, moved: str) -> None:
    run_json("rollback", moved, "dev", "--why", "one", env=server.env())

    second = run_json("rollback", moved, "dev", "--why", "two", env=server.env())

    assert second["already"]
    assert run_json("show", f"{moved}@dev", env=server.env())["version"] == "1.0.0"


def test_nothing_to_go_back_to_is_a_no_that_lists_the_versions(
    server: Running, released: str
) -> None:
    result = run("rollback", released, "dev", "--why", "x", env=server.env())

    assert result.exit_code == 1
    assert "1.1.0" in result.stderr


def test_a_rollback_of_another_generation_changes_nothing(server: Running, moved: str) -> None:
    result = run("rollback", moved, "dev", "--why", "x", "--from-generation", "1", env=server.env())

    assert result.exit_code == 1
    assert run_json("show", f"{moved}@dev", env=server.env())["version"] == "1.1.0"


def test_a_kill_serves_the_last_good_version_until_unkilled(server: Running, moved: str) -> None:
    killed = run("kill", moved, "dev", "--why", "wrong language", env=server.env())
    status = run("status", "--environment", "dev", env=server.env())
    back = run("unkill", moved, "dev", "--why", "fixed", env=server.env())

    assert f"{moved} in dev is killed; serves 1.0.0" in killed.stdout
    assert "killed by admin, serves 1.0.0: wrong language" in status.stdout
    assert f"{moved} in dev serves; live: 1.1.0" in back.stdout


def test_taking_back_needs_a_prompt_that_is_there(server: Running) -> None:
    for command in ("rollback", "kill", "unkill"):
        result = run(command, "not-there", "dev", "--why", "x", env=server.env())

        assert result.exit_code == 2, command
        assert "not-there" in result.stderr

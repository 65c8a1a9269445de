import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json


def climb(server: Running, reference: str) -> dict[str, object]:
    """Bring a version to staging and ask for prod."""
    for place in ("dev", "staging"):
        run("promote", reference, place, "--why", "tried", env=server.env())
    asked: dict[str, object] = run_json(
        "promote", reference, "prod", "--why", "better", env=server.env(), code=1
    )
    return asked


def test_a_promotion_tells_what_was_live_and_what_is(server: Running, released: str) -> None:
    result = run("promote", f"{released}@1.1.0", "dev", "--why", "shorter", env=server.env())

    assert result.exit_code == 0
    assert f"{released} in dev: 1.0.0 → 1.1.0" in result.stdout
    assert "generation 2" in result.stdout


def test_a_promotion_that_waits_leaves_with_one_and_says_for_what(
    server: Running, released: str
) -> None:
    asked = climb(server, f"{released}@1.0.0")
    waiting = run("approve", env=server.env())

    assert asked["status"] == "pending"
    assert str(asked["id"]) in waiting.stdout
    assert "approval" in waiting.stdout


def test_an_approval_lets_it_go_live(server: Running, released: str) -> None:
    asked = climb(server, f"{released}@1.0.0")

    approved = run("approve", str(asked["id"]), "--why", "read it", env=server.env("approver"))

    assert approved.exit_code == 0
    assert f"{released} in prod: 1.0.0 is live" in approved.stdout
    assert run_json("show", f"{released}@prod", env=server.env())["version"] == "1.0.0"


def test_a_stale_generation_is_a_no_that_names_the_other_move(
    server: Running, released: str
) -> None:
    arguments = (f"{released}@1.1.0", "dev", "--why", "x", "--expected-generation", "0")

    refused = run_json("promote", *arguments, env=server.env(), code=1)["error"]

    assert refused["code"] == "stale_generation"
    assert refused["move"]["why"] == "first"
    assert run_json("show", f"{released}@dev", env=server.env())["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("reference", "environment", "code"),
    [("{name}@9.9.9", "dev", 2), ("{name}@1.0.0", "nowhere", 2), ("{name}@1.0.0", "dev", 1)],
    ids=["unknown version", "unknown environment", "live already"],
)
def test_what_cannot_be_promoted_is_refused_in_one_line(
    server: Running, released: str, reference: str, environment: str, code: int
) -> None:
    given = reference.format(name=released)

    result = run("promote", given, environment, "--why", "x", env=server.env())

    assert result.exit_code == code
    assert len(result.stderr.splitlines()) == 1


def test_an_approval_needs_a_reason_and_an_id_that_is_known(server: Running) -> None:
    without = run("approve", "some-id", env=server.env("approver"))
    unknown = run("approve", "some-id", "--why", "x", env=server.env("approver"))

    assert without.exit_code == unknown.exit_code == 2
    assert "--why" in without.stderr
    assert "no promotion and no plan" in unknown.stderr

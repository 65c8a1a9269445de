from tests.cli.conftest import Running
from tests.cli.running import run, run_json


def test_prompts_are_listed_with_what_is_live_where(server: Running, released: str) -> None:
    found = run_json("ls", env=server.env())["prompts"]

    mine = next(each for each in found if each["prompt"] == released)
    assert mine["live"] == {"dev": "1.0.0", "staging": None, "prod": None}
    assert released in run("ls", env=server.env()).stdout


def test_the_versions_of_a_prompt_are_listed_newest_first(server: Running, released: str) -> None:
    found = run_json("ls", released, env=server.env())["versions"]

    assert [each["version"] for each in found] == ["1.1.0", "1.0.0"]
    assert len(found[0]["sha"]) == 64
    assert found[0]["sha"][:12] in run("ls", released, env=server.env()).stdout


def test_a_version_is_shown_by_number_environment_and_sha(server: Running, released: str) -> None:
    by_number = run_json("show", f"{released}@1.0.0", env=server.env())
    by_place = run_json("show", f"{released}@dev", env=server.env())
    by_sha = run_json("show", f"{released}@sha:{by_number['sha'][:12]}", env=server.env())

    assert by_number == by_place == by_sha
    assert list(by_number["fragments"]) == list(by_number["identity"]["includes"].values())


def test_people_see_the_templates_of_a_version(server: Running, released: str) -> None:
    result = run("show", f"{released}@1.0.0", env=server.env())

    assert result.exit_code == 0
    assert 'Answer briefly. {% include "shared.tone" %}' in result.stdout
    assert "openai/gpt-4o-2024-11-20" in result.stdout


def test_an_unknown_version_or_prompt_is_trouble(server: Running, released: str) -> None:
    for reference in (f"{released}@9.9.9", f"{released}@nowhere", "not-there@1.0.0"):
        result = run("show", reference, env=server.env())

        assert result.exit_code == 2
        assert result.stderr.startswith("trimtab: ")
        assert len(result.stderr.splitlines()) == 1


def test_the_log_tells_each_move_with_its_reason(server: Running, released: str) -> None:
    run_json("promote", f"{released}@1.1.0", "dev", "--why", "shorter", env=server.env())

    moves = run_json("log", released, "--environment", "dev", env=server.env())["moves"]

    assert [(each["generation"], each["version"], each["why"]) for each in moves] == [
        (2, "1.1.0", "shorter"),
        (1, "1.0.0", "first"),
    ]
    assert "shorter" in run("log", released, env=server.env()).stdout

from pathlib import Path

import pytest

from tests.cli.conftest import Running, prompt_text
from tests.cli.running import run, run_json


def test_a_folder_is_registered_once_and_then_unchanged(
    server: Running, prompts: Path, name: str
) -> None:
    first = run_json("push", str(prompts), env=server.env())
    second = run_json("push", str(prompts), env=server.env())

    entry = next(each for each in first["registered"] if each["prompt"] == name)
    assert (entry["version"], entry["created"]) == ("1.0.0", True)
    assert [each["created"] for each in second["registered"]] == [False, False]


def test_a_dry_run_says_what_a_push_would_do_and_does_nothing(
    server: Running, prompts: Path, name: str
) -> None:
    run_json("push", str(prompts), env=server.env())
    (prompts / f"{name}.prompt").write_text(prompt_text("Answer at length."))

    dry = run_json("push", str(prompts), "--dry-run", env=server.env())
    there = run_json("ls", name, env=server.env())["versions"]
    done = run_json("push", str(prompts), env=server.env())

    assert dry["dry_run"]
    assert [each["version"] for each in there] == ["1.0.0"]
    assert dry["registered"] == done["registered"]


def test_a_version_number_can_be_given_for_one_prompt(
    server: Running, prompts: Path, name: str
) -> None:
    found = run_json("push", str(prompts), "--semver", f"{name}=3.0.0", env=server.env())

    numbers = {each["prompt"]: each["version"] for each in found["registered"]}
    assert numbers[name] == "3.0.0"


@pytest.mark.parametrize("given", ["1.0.0", "elsewhere=1.0.0", "{name}=one"])
def test_a_version_number_that_does_not_fit_changes_nothing(
    server: Running, prompts: Path, name: str, given: str
) -> None:
    result = run("push", str(prompts), "--semver", given.format(name=name), env=server.env())

    assert result.exit_code == 2
    assert run("ls", name, env=server.env()).exit_code == 2


def test_a_tag_names_every_version_of_a_push(server: Running, prompts: Path, name: str) -> None:
    run_json("push", str(prompts), "--tag", "summer", env=server.env())

    assert run_json("show", f"{name}@summer", env=server.env())["version"] == "1.0.0"


def test_files_with_errors_are_not_pushed(server: Running, prompts: Path, name: str) -> None:
    (prompts / "alias.prompt").write_text("---\nmodel: openai/gpt-4o\n---\nHi")

    result = run("push", str(prompts), env=server.env())

    assert result.exit_code == 1
    assert "[floating-model]" in result.stdout
    assert "nothing was pushed" in result.stderr
    assert run("ls", name, env=server.env()).exit_code == 2


def test_a_key_without_the_scope_is_refused_by_name(server: Running, prompts: Path) -> None:
    result = run("push", str(prompts), env=server.env("approver"))

    assert result.exit_code == 2
    assert 'lacks scope "author"' in result.stderr


def test_the_difference_of_two_versions_shows_the_text_and_the_bump(
    server: Running, released: str
) -> None:
    result = run("diff", f"{released}@1.0.0", f"{released}@1.1.0", env=server.env())
    found = run_json("diff", f"{released}@1.0.0", f"{released}@1.1.0", env=server.env())

    assert result.exit_code == 0
    assert "-Answer briefly." in result.stdout
    assert "+Answer in one sentence." in result.stdout
    assert found["bump"] == "minor"
    assert [part["part"] for part in found["parts"]] == ["messages[0]"]


def test_a_file_can_be_compared_with_what_is_live(
    server: Running, released: str, prompts: Path
) -> None:
    path = str(prompts / f"{released}.prompt")

    changed = run_json("diff", f"{released}@dev", path, env=server.env())
    same = run("diff", f"{released}@1.1.0", path, env=server.env())

    assert changed["bump"] == "minor"
    assert "are the same" in same.stdout


def test_two_files_are_compared_without_a_server(tmp_path: Path) -> None:
    for stem, text in (("a", "Hello"), ("b", "Hello there")):
        (tmp_path / f"{stem}.prompt").write_text(text)

    found = run_json("diff", str(tmp_path / "a.prompt"), str(tmp_path / "b.prompt"))

    assert found["bump"] == "minor"

from pathlib import Path

import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json

MODEL = "---\nmodel: openai/gpt-4o-2024-11-20\n"


def test_a_clean_folder_leaves_with_zero(prompts: Path) -> None:
    result = run("lint", str(prompts))

    assert result.exit_code == 0
    assert result.stdout == "2 files: 0 errors, 0 warnings\n"


def test_errors_of_several_files_are_all_told_and_leave_with_one(prompts: Path) -> None:
    (prompts / "alias.prompt").write_text("---\nmodel: openai/gpt-4o\n---\nHi {{ who }}")
    (prompts / "broken.prompt").write_text("---\nmodel: [\n---\nHi")

    found = run_json("lint", str(prompts), code=1)

    assert found["files"] == 4
    assert found["errors"] == len(found["findings"]) == 3
    assert {finding["rule"] for finding in found["findings"]} == {
        "floating-model",
        "undeclared-variable",
        "file",
    }


def test_a_finding_is_told_as_path_line_level_rule(prompts: Path) -> None:
    path = prompts / "alias.prompt"
    path.write_text("---\nmodel: openai/gpt-4o\n---\nHi")

    result = run("lint", str(prompts))

    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:2: error: ")
    assert "[floating-model]" in result.stdout


def test_warnings_count_only_when_strict(prompts: Path) -> None:
    (prompts / "spare.prompt").write_text(f"{MODEL}variables: {{x: {{type: string}}}}\n---\nHi")

    relaxed = run_json("lint", str(prompts))
    strict = run_json("lint", str(prompts), "--strict", code=1)

    assert relaxed["warnings"] == strict["warnings"] == 1


def test_a_single_file_is_checked_with_its_includes_but_not_for_its_neighbours(
    prompts: Path, name: str
) -> None:
    (prompts / "broken.prompt").write_text("---\nmodel: [\n---\nHi")

    found = run_json("lint", str(prompts / f"{name}.prompt"))

    assert found == {"files": 1, "errors": 0, "warnings": 0, "findings": []}


def test_a_single_file_that_cannot_be_read_is_a_finding(prompts: Path) -> None:
    path = prompts / "broken.prompt"
    path.write_bytes(b"\xff\xfe\x00")

    found = run_json("lint", str(path), code=1)

    assert found["findings"][0]["path"] == str(path)


def test_a_missing_include_is_an_error(prompts: Path) -> None:
    (prompts / "lost.prompt").write_text('{% include "shared.nowhere" %}')

    found = run_json("lint", str(prompts), code=1)

    assert [finding["rule"] for finding in found["findings"]] == ["missing-include"]


@pytest.mark.parametrize("arguments", [(), ("/nowhere",)])
def test_no_path_or_a_missing_one_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    result = run("lint", *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith("trimtab: ")


def test_a_model_can_be_declared_pinned(prompts: Path) -> None:
    (prompts / "own.prompt").write_text("---\nmodel: own/tuned\n---\nHi")

    run_json("lint", str(prompts), code=1)
    run_json("lint", str(prompts), "--pinned-model", "own/*")


def test_an_include_by_version_is_looked_up_on_the_server(
    server: Running, prompts: Path, name: str
) -> None:
    run_json("push", str(prompts), env=server.env())
    path = prompts / f"{name}.prompt"
    path.write_text(f'{MODEL}---\n{{% include "shared.tone@1.0.0" %}}')

    run_json("lint", str(path), env=server.env())
    alone = run_json("lint", str(path), code=1)

    assert alone["findings"][0]["rule"] == "missing-include"

import json
import subprocess
import sys

import click
import pytest

from tests.cli.running import run
from trimtab.cli.commands import COMMANDS, exit_code, missing_package, trimtab
from trimtab.errors import (
    BadInput,
    DataFolderLocked,
    PolicyNotMet,
    ServerRefused,
    StaleGeneration,
    TrimtabError,
)

HEAVY = ("sqlalchemy", "duckdb", "fastapi", "aiohttp", "scipy", "rich", "openai", "yaml")


def every_command() -> list[tuple[str, ...]]:
    """All commands with their subcommands, `demo` too."""
    found: list[tuple[str, ...]] = []
    context = click.Context(trimtab)
    for name in trimtab.list_commands(context):
        command = trimtab.get_command(context, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, below) for below in command.commands]
    return found


def test_the_help_lists_every_command_with_its_purpose() -> None:
    result = run("--help")

    assert result.exit_code == 0
    for name, entry in COMMANDS.items():
        assert f"{name} " in result.stdout
        assert entry.purpose in result.stdout


def test_a_command_s_own_help_begins_with_the_purpose_in_the_list() -> None:
    context = click.Context(trimtab)
    for name, entry in COMMANDS.items():
        command = trimtab.get_command(context, name)
        assert command is not None
        assert (command.help or "").splitlines()[0] == entry.purpose, name


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")

    assert result.exit_code == 0
    assert "Usage: trimtab" in result.stdout
    is_group = command in {("rollout",), ("audit",), ("keys",)}
    assert is_group or f"trimtab {' '.join(command)}" in result.stdout.split("Options:")[0]


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_can_answer_in_json(command: tuple[str, ...]) -> None:
    is_group = command in {("rollout",), ("audit",), ("keys",)}
    assert is_group or "--json" in run(*command, "--help").stdout


def test_the_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from trimtab.cli.commands import trimtab;"
        "assert CliRunner().invoke(trimtab, ['--help']).exit_code == 0;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest() -> None:
    result = run("promte")

    assert result.exit_code == 2
    assert result.stderr == 'trimtab: there is no command "promte"; did you mean "promote"?\n'
    assert result.stdout == ""


def test_an_unknown_subcommand_names_those_there_are() -> None:
    result = run("audit", "xyz")

    assert result.exit_code == 2
    assert result.stderr == 'trimtab: there is no command "xyz"; there are list, verify\n'


def test_a_missing_option_is_a_usage_error_that_points_to_the_help() -> None:
    result = run("promote", "support.reply@1.0.0", "prod")

    assert result.exit_code == 2
    assert "--why" in result.stderr
    assert "trimtab promote --help" in result.stderr


def test_with_json_an_error_is_a_document_too() -> None:
    result = run("keys", "create", "ana", "--scope", "read", "--json")

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "config"
    assert "TRIMTAB_KEY" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PolicyNotMet("no"), 1),
        (StaleGeneration("no", move={}), 1),
        (ServerRefused("no", status=409, code="plan_running"), 1),
        (BadInput("no"), 2),
        (DataFolderLocked("no"), 2),
        (ServerRefused("no", status=403, code="forbidden"), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, TrimtabError) else str(value),
)
def test_what_the_state_forbids_leaves_with_one_and_trouble_with_two(
    error: TrimtabError, code: int
) -> None:
    assert exit_code(error) == code


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    assert "install trimtab[demo]" in missing_package(ModuleNotFoundError(name="openai"))
    assert "install trimtab[server]" in missing_package(ModuleNotFoundError(name="duckdb.x"))


def test_a_missing_module_of_ours_is_not_blamed_on_the_setup() -> None:
    with pytest.raises(ModuleNotFoundError):
        missing_package(ModuleNotFoundError(name="trimtab.nowhere"))


def test_without_click_the_script_says_what_to_install() -> None:
    code = "import sys; sys.modules['click'] = None; from trimtab.cli.main import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert found.returncode == 2
    assert found.stderr == 'trimtab: the command line needs "click"; install trimtab[server]\n'

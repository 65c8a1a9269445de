"""Which server a command asks, with which key, and what it may do without one."""

from pathlib import Path

import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json
from trimtab.workspace.init import initialise


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("ls",),
        ("ls", "NAME"),
        ("show", "NAME@1.0.0"),
        ("show", "NAME@dev"),
        ("log", "NAME"),
        ("diff", "NAME@1.0.0", "NAME@1.1.0"),
        ("render", "NAME@dev", "--vars", '{"question": "?"}'),
        ("audit",),
        ("audit", "list"),
        ("audit", "verify"),
        ("rollout", "status"),
        ("approve",),
    ],
    ids=" ".join,
)
def test_reading_on_the_server_s_own_machine_needs_no_key(
    server: Running, released: str, command: tuple[str, ...]
) -> None:
    filled = [part.replace("NAME", released) for part in command]

    result = run(*filled, env={"TRIMTAB_URL": server.url})

    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("promote", "NAME@1.1.0", "dev", "--why", "x"),
        ("rollback", "NAME", "dev", "--why", "x"),
        ("kill", "NAME", "dev", "--why", "x"),
        ("unkill", "NAME", "dev", "--why", "x"),
        ("keys", "create", "ana", "--scope", "read"),
    ],
    ids=" ".join,
)
def test_acting_without_a_key_is_refused_with_the_way_out_and_changes_nothing(
    server: Running, released: str, command: tuple[str, ...]
) -> None:
    before = run_json("audit", "verify", env=server.env())["count"]

    result = run(
        *(part.replace("NAME", released) for part in command), env={"TRIMTAB_URL": server.url}
    )

    assert result.exit_code == 2
    assert "acting needs one; set TRIMTAB_KEY" in result.stderr
    assert run_json("audit", "verify", env=server.env())["count"] == before


def test_an_admin_s_list_without_a_key_names_the_way_out(server: Running) -> None:
    result = run("keys", "list", env={"TRIMTAB_URL": server.url})

    assert result.exit_code == 2
    assert "TRIMTAB_KEY (or --key)" in result.stderr


def test_a_folder_without_a_server_is_read_without_a_key_and_changed_with_one(
    tmp_path: Path, prompts: Path, name: str
) -> None:
    folder = tmp_path / "data"
    admin = {"TRIMTAB_KEY": initialise(folder).secrets["admin"]}

    refused = run("push", str(prompts), "--data", str(folder))
    run_json("push", str(prompts), "--data", str(folder), env=admin)
    run_json("promote", f"{name}@1.0.0", "dev", "--why", "x", "--data", str(folder), env=admin)
    found = run_json("status", "--environment", "dev", "--data", str(folder))

    assert refused.exit_code == 2
    assert [each["prompt"] for each in found["environments"][0]["prompts"]] == [name]


def test_a_folder_that_a_server_holds_is_refused(server: Running) -> None:
    result = run("status", "--data", str(server.folder))

    assert result.exit_code == 2
    assert "is in use by process" in result.stderr
    assert "TRIMTAB_URL" in result.stderr


@pytest.mark.parametrize("where", ["nowhere", "."])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, where: str) -> None:
    result = run("status", "--data", str(tmp_path / where))

    assert result.exit_code == 2
    assert "does not exist" in result.stderr or "trimtab init" in result.stderr


def test_a_folder_with_settings_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    initialise(tmp_path)
    (tmp_path / "trimtab.toml").write_text("store_unit_ids = true\n")

    for command in (("status", "--data"), ("serve", "--port", "0", "--data")):
        result = run(*command, str(tmp_path))
        assert result.exit_code == 2
        assert "store_unit_ids" in result.stderr


def test_the_audit_log_is_listed_without_a_subcommand(server: Running) -> None:
    assert len(run_json("audit", "--limit", "2", env=server.env())["rows"]) == 2
    assert "verify" in run("audit", "--help").stdout


def test_an_unknown_environment_of_the_audit_log_is_told(server: Running) -> None:
    result = run("audit", "--environment", "pord", env=server.env())

    assert result.exit_code == 2
    assert 'no environment "pord"' in result.stderr

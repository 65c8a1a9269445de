import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_folder_gets_settings_and_keys_that_are_shown_once(folder: Path) -> None:
    made = run_json("init", str(folder))
    again = run("init", str(folder))

    assert {"admin", "approver", "app-prod", "client-prod"} <= made["keys"].keys()
    assert (folder / "trimtab.toml").read_text().startswith("#")
    assert again.exit_code == 1
    assert "initialised already" in again.stderr
    assert not any(
        secret.encode() in path.read_bytes()
        for secret in made["keys"].values()
        for path in folder.iterdir()
        if path.is_file()
    )


def test_people_see_the_keys_with_lines_to_paste(folder: Path) -> None:
    result = run("init", str(folder))

    assert result.exit_code == 0
    assert "export TRIMTAB_KEY=" in result.stdout
    assert f"trimtab serve --data {folder}" in result.stdout


def test_settings_written_beforehand_are_kept(folder: Path) -> None:
    folder.mkdir()
    (folder / "trimtab.toml").write_text("[environments.live]\n")

    made = run_json("init", str(folder))

    assert "app-live" in made["keys"]
    assert (folder / "trimtab.toml").read_text() == "[environments.live]\n"


@pytest.mark.parametrize("settings", ["environments = 3", "no toml", "colour = 'red'"])
def test_settings_that_cannot_be_read_are_one_clear_error(folder: Path, settings: str) -> None:
    folder.mkdir()
    (folder / "trimtab.toml").write_text(settings)

    result = run("init", str(folder))

    assert result.exit_code == 2
    assert "trimtab.toml" in result.stderr
    assert not (folder / "registry.db").exists()


def test_a_folder_that_holds_something_else_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")

    result = run("init", str(folder))

    assert result.exit_code == 2
    assert "not empty" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_serving_a_folder_that_is_none_says_how_to_make_one(folder: Path) -> None:
    result = run("serve", "--data", str(folder), "--port", "0")

    assert result.exit_code == 2
    assert "trimtab init" in result.stderr


def test_a_port_in_use_is_told_before_anything_is_opened(folder: Path) -> None:
    run_json("init", str(folder))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        result = run("serve", "--data", str(folder), "--port", port)

    assert result.exit_code == 2
    assert "--port" in result.stderr


def test_a_folder_is_opened_without_a_server_with_the_same_key_check(folder: Path) -> None:
    keys = run_json("init", str(folder))["keys"]
    data = ("--data", str(folder))

    listed = run_json("ls", *data, "--key", keys["admin"])
    wrong = run("ls", *data, "--key", "tt_this_is_not_a_key_of_it")
    lacks = run("keys", "list", *data, "--key", keys["approver"])

    assert listed == {"prompts": []}
    assert wrong.exit_code == lacks.exit_code == 2
    assert "not known" in wrong.stderr


def test_a_folder_that_a_server_holds_is_not_opened(server: Running) -> None:
    result = run("ls", "--data", str(server.folder), "--key", server.keys["admin"])

    assert result.exit_code == 2
    assert "TRIMTAB_URL" in result.stderr

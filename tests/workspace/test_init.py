import stat
from pathlib import Path

import pytest

from trimtab.errors import ConfigError, Conflict
from trimtab.workspace import Workspace
from trimtab.workspace.init import initialise


def test_a_new_folder_has_settings_a_registry_and_keys_that_work(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"

    made = initialise(folder)

    workspace = Workspace.open(folder)
    principals = {name: workspace.authenticate(key).name for name, key in made.secrets.items()}
    workspace.stop()
    assert principals == {name: name for name in made.secrets}
    assert {"admin", "approver", "app-dev", "client-prod"} <= set(made.secrets)


def test_nobody_else_may_look_into_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)

    initialise(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "registry.db").stat().st_mode) == 0o600


def test_no_secret_stands_in_the_folder(tmp_path: Path) -> None:
    made = initialise(tmp_path / "data")

    content = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert not [name for name, secret in made.secrets.items() if secret.encode() in content]


def test_a_folder_is_initialised_once(tmp_path: Path) -> None:
    initialise(tmp_path)

    with pytest.raises(Conflict, match="initialised already"):
        initialise(tmp_path)


def test_settings_that_cannot_be_read_leave_no_half_made_folder(tmp_path: Path) -> None:
    (tmp_path / "trimtab.toml").write_text("x = [")

    with pytest.raises(ConfigError, match="not TOML"):
        initialise(tmp_path)

    (tmp_path / "trimtab.toml").write_text("[environments.solo]\n")
    assert "app-solo" in initialise(tmp_path).secrets

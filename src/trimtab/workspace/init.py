"""Making a data folder: settings, database, the first keys."""

from pathlib import Path

from trimtab.database.engine import open_database
from trimtab.database.migrate import upgrade
from trimtab.errors import Conflict
from trimtab.registry.registry import InitialKeys, Registry
from trimtab.sdk.columns import new_id
from trimtab.workspace.settings import DEFAULT_FILE, FILE_NAME, read_settings
from trimtab.workspace.workspace import new_secret, now, pinned_models


def initialise(folder: Path, *, settings_text: str = DEFAULT_FILE) -> InitialKeys:
    """Make a folder that `trimtab serve` can open; a `trimtab.toml` that is there is kept.

    Raises:
        Conflict: The folder was initialised before.
        ConfigError: Its `trimtab.toml` cannot be read.
    """
    if (folder / "registry.db").exists():
        raise Conflict(f"{folder} is initialised already; its keys were shown then")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # events and evidence lie in it as files that anyone may read
    settings_path = folder / FILE_NAME
    if not settings_path.exists():
        settings_path.write_text(settings_text, encoding="utf-8")
    settings = read_settings(folder)
    with open_database(folder / "registry.db") as database:
        upgrade(database)
        registry = Registry(
            database,
            policies=settings.policies,
            pinned_models=pinned_models(settings),
            clock=now,
            new_id=new_id,
            new_secret=new_secret,
        )
        return registry.initialise()

"""`trimtab.toml`: policies, providers, prices and what events keep; unknown keys are errors."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from trimtab.errors import ConfigError
from trimtab.providers.pricing import Override, read_overrides
from trimtab.providers.upstream import ProviderSettings
from trimtab.releases.release import Policy

FILE_NAME = "trimtab.toml"

DEFAULT_FILE = """\
# What this installation allows, and where models are called. Every key has a default.

# Names of attributes that events keep (for segments); others are dropped at the door.
event_attributes = ["tier", "region"]

# Environments in rank order: a version is promoted from one to the next.
[environments.dev]
strict_units = true        # a plan that misses its unit id is an error, not a shrug

[environments.staging]

[environments.prod]
approvals = 1              # by someone else than the version's author
pinned_model = true        # no model alias that moves

[providers.openai]
base_url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"
"""


class EnvironmentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy of one environment as written.

    Attributes:
        approvals: How many people must agree to a version served here.
        approver_not_author: Whether the version's author counts as one of them.
        suites: Names of evaluation suites that must have passed.
        pinned_model: Whether the model must be a dated snapshot.
        strict_units: Whether a plan that misses its unit id raises instead of serving the baseline.
    """

    approvals: int = 0
    approver_not_author: bool = True
    suites: list[str] = []
    pinned_model: bool = False
    strict_units: bool = False


class ProviderTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider as written; the key itself never stands in the file."""

    base_url: str
    key_env: str | None = None
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    keepalive_s: float = 4.0
    pinned_models: list[str] = []


class SettingsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    event_attributes: tuple[str, ...] = ("tier", "region")
    environments: dict[str, EnvironmentSettings] = {}
    providers: dict[str, ProviderTable] = {}
    prices: dict[str, Any] = {}  # read by `providers.pricing`


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the server runs with."""

    policies: dict[str, Policy]
    providers: dict[str, ProviderSettings]
    prices: list[Override]
    event_attributes: tuple[str, ...]


def read_settings(folder: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a data folder; defaults where the file is silent or absent.

    Raises:
        ConfigError: The file is not TOML, or has a key or value that is not known.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = DEFAULT_FILE
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse_settings(text, where=str(path), environ=environ)


def parse_settings(text: str, *, where: str, environ: Mapping[str, str]) -> Settings:
    """The settings in the text of a `trimtab.toml`."""
    try:
        document: dict[str, Any] = tomllib.loads(text)
        file = msgspec.convert(document, SettingsFile)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}; see `trimtab init --help` for the keys") from error
    environments = file.environments or {
        name: msgspec.convert(table, EnvironmentSettings)
        for name, table in tomllib.loads(DEFAULT_FILE)["environments"].items()
    }
    return Settings(
        policies={
            name: _policy(table, rank=rank)
            for rank, (name, table) in enumerate(environments.items())
        },
        providers={name: _provider(name, table, environ) for name, table in file.providers.items()},
        prices=read_overrides(file.prices, where=where),
        event_attributes=file.event_attributes,
    )


def _policy(table: EnvironmentSettings, *, rank: int) -> Policy:
    return Policy(
        rank=rank,
        approvals=table.approvals,
        approver_not_author=table.approver_not_author,
        suites=table.suites,
        pinned_model=table.pinned_model,
        strict_units=table.strict_units,
    )


def _provider(name: str, table: ProviderTable, environ: Mapping[str, str]) -> ProviderSettings:
    if not table.base_url.startswith(("http://", "https://")):
        raise ConfigError(
            f"providers.{name}.base_url is {table.base_url!r}; write an address such as"
            ' "https://api.openai.com/v1"'
        )
    return ProviderSettings(
        name=name,
        base_url=table.base_url,
        key=environ.get(table.key_env, "") if table.key_env else "",
        timeout_s=table.timeout_s,
        connect_timeout_s=table.connect_timeout_s,
        keepalive_s=table.keepalive_s,
        pinned_models=tuple(table.pinned_models),
    )

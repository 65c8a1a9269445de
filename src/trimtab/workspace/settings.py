"""`trimtab.toml`: policies, providers, prices and what events keep; unknown keys are errors."""

import difflib
import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from trimtab.errors import BadReference, ConfigError
from trimtab.prompts.reference import check_tag
from trimtab.providers.pricing import Override, read_overrides
from trimtab.providers.upstream import ProviderSettings
from trimtab.releases.release import Policy

FILE_NAME = "trimtab.toml"
LEFT_OUT = {
    "store_unit_ids": "unit ids are only ever kept as keyed hashes; leave it out",
}
"""Keys that people look for and that do not exist, with what is there instead."""

T = TypeVar("T")

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
    """The whole file; the tables in it are read one by one, so that errors can name them."""

    event_attributes: tuple[str, ...] = ("tier", "region")
    environments: dict[str, dict[str, Any]] = {}
    providers: dict[str, dict[str, Any]] = {}
    prices: dict[str, Any] = {}  # read by `providers.pricing`


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the server runs with.

    Attributes:
        policies: By environment, in rank order.
        unset_keys: Providers whose `key_env` names a variable that is not set, and that variable.
    """

    policies: dict[str, Policy]
    providers: dict[str, ProviderSettings]
    prices: list[Override]
    event_attributes: tuple[str, ...]
    unset_keys: dict[str, str] = {}


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
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    file = _table(document, SettingsFile, where=where)
    tables = file.environments or tomllib.loads(DEFAULT_FILE)["environments"]
    environments = {
        name: _table(table, EnvironmentSettings, where=f"{where}: [environments.{name}]")
        for name, table in tables.items()
    }
    providers = {
        name: _table(table, ProviderTable, where=f"{where}: [providers.{name}]")
        for name, table in file.providers.items()
    }
    return Settings(
        policies={
            name: _policy(name, table, rank=rank, where=where)
            for rank, (name, table) in enumerate(environments.items())
        },
        providers={
            name: _provider(name, table, environ, where=where) for name, table in providers.items()
        },
        prices=read_overrides(file.prices, where=where),
        event_attributes=file.event_attributes,
        unset_keys={
            name: table.key_env
            for name, table in providers.items()
            if table.key_env and not environ.get(table.key_env)
        },
    )


def _table(table: dict[str, Any], kind: type[T], *, where: str) -> T:
    """A table as its record.

    Raises:
        ConfigError: It has a key that is not known, or a value of another type.
    """
    known = [field.name for field in msgspec.structs.fields(kind)]  # type: ignore[arg-type]  # T is one of the Structs above
    for key in table:
        if key in LEFT_OUT:
            raise ConfigError(f'{where} has "{key}", which does not exist: {LEFT_OUT[key]}')
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            way = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(known)}"
            raise ConfigError(f'{where} has no key "{key}"; {way}')
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{where}: {error}; `trimtab init` writes a {FILE_NAME} that shows the form"
        ) from error


def _policy(name: str, table: EnvironmentSettings, *, rank: int, where: str) -> Policy:
    try:
        # The rules of a tag, for both stand behind the "@"; "live" is no tag, yet a fine place.
        check_tag("live-" if name == "live" else name, environments=())
    except BadReference as error:
        raise ConfigError(
            f'{where}: "{name[:64]}" cannot name an environment, which stands in references such as'
            ' support.reply@prod; use letters, digits, ".", "_" and "-", and nothing that reads as'
            " a version number or a sha"
        ) from error
    if table.approvals < 0:
        raise ConfigError(
            f"{where}: [environments.{name}] approvals is {table.approvals}; write 0 or more"
        )
    return Policy(
        rank=rank,
        approvals=table.approvals,
        approver_not_author=table.approver_not_author,
        suites=table.suites,
        pinned_model=table.pinned_model,
        strict_units=table.strict_units,
    )


def _provider(
    name: str, table: ProviderTable, environ: Mapping[str, str], *, where: str
) -> ProviderSettings:
    where = f"{where}: [providers.{name}]"
    if "/" in name or not name.isprintable() or not name:
        raise ConfigError(f'{where}: models are called "provider/model"; use a name without "/"')
    _check_address(table.base_url, where=where)
    for key in ("timeout_s", "connect_timeout_s", "keepalive_s"):
        seconds: float = getattr(table, key)
        if not (math.isfinite(seconds) and seconds > 0):
            raise ConfigError(f"{where} {key} is {seconds:g}; write seconds, more than 0")
    return ProviderSettings(
        name=name,
        base_url=table.base_url,
        key=environ.get(table.key_env, "") if table.key_env else "",
        timeout_s=table.timeout_s,
        connect_timeout_s=table.connect_timeout_s,
        keepalive_s=table.keepalive_s,
        pinned_models=tuple(table.pinned_models),
    )


def _check_address(url: str, *, where: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # a port that is none raises
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigError(
            f'{where} base_url is {url!r}; write an address such as "https://api.openai.com/v1"'
        )

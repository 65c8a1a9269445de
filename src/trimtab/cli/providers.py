"""Which provider an evaluation asks, and with which key."""

import os
from collections.abc import Sequence
from pathlib import Path

from trimtab.errors import ConfigError
from trimtab.providers.upstream import ProviderSettings
from trimtab.workspace.settings import DEFAULT_FILE, parse_settings


def provider_settings(
    models: Sequence[str], *, url: str | None, key: str | None, settings: Path | None
) -> list[ProviderSettings]:
    """The providers of some models (`provider/name`).

    Args:
        models: Of the versions that are asked.
        url: Where every one of them is asked, whatever the settings say.
        key: Sent there.
        settings: A `trimtab.toml`; the one that `trimtab init` writes where None.

    Raises:
        ConfigError: An address is none, the settings cannot be read, or name no such provider.
    """
    names = list(dict.fromkeys(model.partition("/")[0] for model in models))
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(
                f'--provider-url is {url!r}; write an address such as "https://api.openai.com/v1"'
            )
        return [
            ProviderSettings(name=name, base_url=url.rstrip("/"), key=key or "") for name in names
        ]
    known = _known(settings)
    if missing := [name for name in names if name not in known]:
        raise ConfigError(
            f'provider "{missing[0]}" has no address; give --provider-url, or --settings with a '
            f"table [providers.{missing[0]}] (known: {', '.join(sorted(known))})"
        )
    return [known[name] for name in names]


def _known(settings: Path | None) -> dict[str, ProviderSettings]:
    if settings is None:
        text, where = DEFAULT_FILE, "the default settings"
    else:
        where = str(settings)
        try:
            text = settings.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{settings} cannot be read: {error}") from error
    return parse_settings(text, where=where, environ=os.environ).providers

from pathlib import Path

import pytest

from trimtab.cli.providers import provider_settings
from trimtab.errors import ConfigError


def test_an_address_given_serves_every_provider() -> None:
    found = provider_settings(
        ["openai/a", "own/b", "openai/c"], url="http://here/v1/", key="k", settings=None
    )

    assert [(each.name, each.base_url, each.key) for each in found] == [
        ("openai", "http://here/v1", "k"),
        ("own", "http://here/v1", "k"),
    ]


def test_settings_name_the_address_and_where_the_key_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trimtab.toml"
    path.write_text('[providers.own]\nbase_url = "http://own/v1"\nkey_env = "OWN_KEY"\n')
    monkeypatch.setenv("OWN_KEY", "secret")

    (found,) = provider_settings(["own/b"], url=None, key=None, settings=path)

    assert (found.base_url, found.key) == ("http://own/v1", "secret")


def test_openai_needs_no_settings() -> None:
    (found,) = provider_settings(["openai/a"], url=None, key=None, settings=None)

    assert found.base_url == "https://api.openai.com/v1"


def test_a_provider_nobody_knows_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--provider-url.*\[providers\.own\]"):
        provider_settings(["own/b"], url=None, key=None, settings=None)
    with pytest.raises(ConfigError, match="--provider-url is 'here'"):
        provider_settings(["own/b"], url="here", key=None, settings=None)
    with pytest.raises(ConfigError, match="cannot be read"):
        provider_settings(["own/b"], url=None, key=None, settings=tmp_path / "nowhere.toml")

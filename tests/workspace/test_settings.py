from pathlib import Path

import pytest

from trimtab.errors import ConfigError
from trimtab.workspace.settings import DEFAULT_FILE, Settings, parse_settings, read_settings


def parse(text: str, **environ: str) -> Settings:
    return parse_settings(text, where="trimtab.toml", environ=environ)


def test_the_file_that_init_writes_says_what_holds_without_it(tmp_path: Path) -> None:
    assert read_settings(tmp_path, {}) == parse(DEFAULT_FILE)


def test_the_default_asks_for_approval_and_a_pinned_model_in_prod_only() -> None:
    policies = parse(DEFAULT_FILE).policies

    assert list(policies) == ["dev", "staging", "prod"]
    assert [policy.rank for policy in policies.values()] == [0, 1, 2]
    assert [policy.approvals for policy in policies.values()] == [0, 0, 1]
    assert [policy.strict_units for policy in policies.values()] == [True, False, False]
    assert policies["prod"].pinned_model
    assert policies["prod"].approver_not_author


def test_a_file_without_environments_gets_the_three_usual_ones() -> None:
    assert list(parse('event_attributes = ["tier"]').policies) == ["dev", "staging", "prod"]


def test_environments_rank_in_the_order_they_are_written() -> None:
    policies = parse("[environments.live]\n[environments.test]\n").policies

    assert {name: policy.rank for name, policy in policies.items()} == {"live": 0, "test": 1}


def test_a_provider_s_key_comes_from_the_variable_that_is_named() -> None:
    text = '[providers.acme]\nbase_url = "https://acme.test/v1"\nkey_env = "ACME_KEY"\n'

    settings = parse(text, ACME_KEY="sk-1")

    assert settings.providers["acme"].key == "sk-1"
    assert settings.unset_keys == {}


def test_a_variable_that_is_not_set_is_told_by_name() -> None:
    text = '[providers.acme]\nbase_url = "https://acme.test/v1"\nkey_env = "ACME_KEY"\n'

    settings = parse(text)

    assert settings.providers["acme"].key == ""
    assert settings.unset_keys == {"acme": "ACME_KEY"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = [", "is not TOML"),
        ("enviroments = {}", r'no key "enviroments"; did you mean "environments"\?'),
        ("zzz = 1", 'no key "zzz"; there are event_attributes, environments, providers, prices'),
        ("store_unit_ids = true", '"store_unit_ids", which does not exist: .* leave it out'),
        ("[environments.dev]\naprovals = 1", r'environments.dev\] has no key "aprovals"; did you'),
        ("[environments.dev]\napprovals = -1", r"environments.dev\] approvals is -1; write 0"),
        ('[environments.dev]\napprovals = "1"', r"environments.dev\]: Expected `int`.*approvals"),
        ('[environments."1.0"]', '"1.0" cannot name an environment'),
        ('[environments."a b"]', '"a b" cannot name an environment'),
        ("environments = 3", "Expected `object`"),
        ('event_attributes = "tier"', "Expected `array`"),
        ("[providers.a]", r"providers.a\]: .*missing required field `base_url`"),
        ('[providers.a]\nbase_url = "acme.test"', "base_url is .*write an address such as"),
        ('[providers.a]\nbase_url = "https://"', "base_url is 'https://'"),
        ('[providers.a]\nbase_url = "https://a:port"', "base_url is 'https://a:port'"),
        ('[providers."a/b"]\nbase_url = "https://a.test"', 'use a name without "/"'),
        ('[providers.a]\nbase_url = "https://a.test"\nkey = "sk-1"', 'no key "key"; did you mean'),
        ('[providers.a]\nbase_url = "https://a.test"\ntimeout_s = 0', "timeout_s is 0"),
        ('[providers.a]\nbase_url = "https://a.test"\nkeepalive_s = nan', "keepalive_s is nan"),
        ("[prices.x]\ny = 1", 'price for "x"'),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place_and_the_way_out(
    text: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse(text)

    assert "trimtab.toml" in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trimtab.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match=r"trimtab\.toml cannot be read"):
        read_settings(tmp_path, {})

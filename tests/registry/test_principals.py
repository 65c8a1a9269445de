import hashlib

import pytest
from sqlalchemy import select

from trimtab.database import tables
from trimtab.errors import (
    BadInput,
    Conflict,
    Forbidden,
    KeyMismatch,
    NotFound,
    Unauthorized,
    UnknownEnvironment,
)
from trimtab.registry.principals import AUTOPILOT, Scope

from .house import House


def test_init_makes_a_key_for_each_role_and_environment(house: House) -> None:
    assert sorted(house.keys.secrets) == [
        "admin", "app-dev", "app-prod", "app-staging", "approver",
        "client-dev", "client-prod", "client-staging",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "scopes", "environment"),
    [
        ("admin", {"read", "author", "operate", "admin"}, None),
        ("approver", {"read", "approve"}, None),
        ("app-prod", {"render"}, "prod"),
        ("client-dev", {"decide"}, "dev"),
    ],
)
def test_a_first_key_authenticates_as_its_name_with_its_scopes(
    house: House, name: str, scopes: set[Scope], environment: str | None
) -> None:
    principal = house.person(name)

    assert (principal.name, set(principal.scopes)) == (name, scopes)
    assert principal.environment == environment


def test_secrets_are_stored_as_sha256_only(house: House) -> None:
    with house.database.read() as connection:
        stored = set(connection.execute(select(tables.keys.c.secret_sha256)).scalars())

    secrets = house.keys.secrets.values()
    assert stored == {hashlib.sha256(secret.encode()).hexdigest() for secret in secrets}
    assert not any(secret.encode() in house.path.read_bytes() for secret in secrets)


@pytest.mark.parametrize("secret", [None, "", "not a secret of ours"])
def test_an_unknown_secret_is_unauthorized(house: House, secret: str | None) -> None:
    with pytest.raises(Unauthorized):
        house.registry.principals.authenticate(secret)


def test_a_revoked_key_is_unauthorized_at_once_and_named(house: House) -> None:
    secret = house.keys.secrets["app-dev"]
    house.registry.principals.authenticate(secret)

    house.registry.principals.revoke(house.admin, "app-dev")

    with pytest.raises(Unauthorized, match='"app-dev" was revoked'):
        house.registry.principals.authenticate(secret)


def test_a_name_is_free_again_after_its_key_was_revoked(house: House) -> None:
    keys = house.registry.principals
    with pytest.raises(Conflict, match='"app-dev" exists'):
        keys.create_key(house.admin, name="app-dev", scopes=["render"], environments=["dev"])

    keys.revoke(house.admin, "app-dev")
    fresh = keys.create_key(house.admin, name="app-dev", scopes=["render"], environments=["dev"])

    assert keys.authenticate(fresh).name == "app-dev"
    listed = keys.list_keys()
    named = [key.revoked_at is None for key in listed if key.name == "app-dev"]
    assert named == [False, True]


def test_revoking_what_is_not_there_is_not_found(house: House) -> None:
    with pytest.raises(NotFound, match='no key named "nobody"'):
        house.registry.principals.revoke(house.admin, "nobody")


def test_a_missing_scope_names_key_scope_and_way_out(house: House) -> None:
    with pytest.raises(Forbidden, match=r'key "approver" lacks scope "operate".*ask an admin'):
        house.approver.require("operate", "prod")


def test_a_key_of_another_environment_is_a_mismatch(house: House) -> None:
    with pytest.raises(KeyMismatch, match='"app-dev" belongs to dev, not to environment "prod"'):
        house.person("app-dev").require("render", "prod")


def test_only_an_admin_makes_keys(house: House) -> None:
    with pytest.raises(Forbidden, match='lacks scope "admin"'):
        house.registry.principals.create_key(house.approver, name="me", scopes=["admin"])


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (("autopilot", ["read"], None), BadInput, "cannot name a key"),
        (("", ["read"], None), BadInput, "cannot name a key"),
        (("a b", ["read"], None), BadInput, "cannot name a key"),
        (("ci", [], None), BadInput, "has no scope"),
        (("ci", ["write"], None), BadInput, r"unknown scopes \['write'\]"),
        (("ci", ["render"], None), BadInput, "exactly one environment, got all"),
        (("ci", ["render"], ["dev", "prod"]), BadInput, "exactly one environment, got 2"),
        (("ci", ["decide", "operate"], ["dev"]), BadInput, "may be public"),
        (("ci", ["read"], []), BadInput, "has no environment"),
        (("ci", ["read"], ["moon"]), UnknownEnvironment, 'no environment "moon"'),
    ],
)
def test_a_key_that_cannot_be_is_refused_and_changes_nothing(
    house: House,
    key: tuple[str, list[Scope], list[str] | None],
    error: type[Exception],
    words: str,
) -> None:
    name, scopes, environments = key
    before = house.registry.audit.verify()

    with pytest.raises(error, match=words):
        house.registry.principals.create_key(
            house.admin, name=name, scopes=scopes, environments=environments
        )

    assert house.registry.audit.verify() == before


def test_a_secret_made_elsewhere_is_taken_if_it_is_long_and_new(house: House) -> None:
    keys = house.registry.principals
    with pytest.raises(BadInput, match="has 5 characters"):
        keys.create_key(house.admin, name="ci", scopes=["author"], secret="short")
    with pytest.raises(Conflict, match="was used before"):
        keys.create_key(
            house.admin, name="ci", scopes=["author"], secret=house.keys.secrets["app-dev"]
        )

    keys.create_key(house.admin, name="ci", scopes=["author"], secret="0123456789abcdef")

    assert keys.authenticate("0123456789abcdef").name == "ci"


def test_the_autopilot_may_operate_everywhere_and_approve_nowhere() -> None:
    AUTOPILOT.require("operate", "prod")
    with pytest.raises(Forbidden):
        AUTOPILOT.require("approve", "prod")


@pytest.mark.parametrize("scope", ["admin", "read"])
def test_scopes_of_the_whole_project_name_no_environment(house: House, scope: Scope) -> None:
    with pytest.raises(BadInput, match="whole project"):
        house.registry.principals.create_key(
            house.admin, name="half", scopes=[scope], environments=["dev"]
        )

import hashlib

import pytest

from trimtab.errors import BadReference, UnknownPrompt, UnknownVersion

from .house import PROMPT, House, reply


def test_a_version_is_found_by_every_kind_of_reference(house: House) -> None:
    [sha, _] = house.push("One.", "Two.")
    house.registry.registration.register(
        house.admin, prompt=PROMPT, version=reply("One."), tag="summer"
    )
    house.promote("1.0.0", "dev")

    names = ["1.0.0", f"sha:{sha}", f"sha:{sha[:8]}", "summer", "dev"]
    found = {house.registry.versions.resolve(f"{PROMPT}@{name}").sha for name in names}

    assert found == {sha}
    assert house.registry.versions.resolve(PROMPT, environment="dev").sha == sha


def test_a_name_alone_needs_an_environment(house: House) -> None:
    house.push("One.")
    with pytest.raises(BadReference, match="names no version"):
        house.registry.versions.resolve(PROMPT)


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("nobody@1.0.0", UnknownPrompt, 'no prompt "nobody"'),
        (f"{PROMPT}@9.9.9", UnknownVersion, r'no version "9\.9\.9"; the newest are 1\.0\.0'),
        (f"{PROMPT}@sha:00000000", UnknownVersion, "no version"),
        (f"{PROMPT}@prod", UnknownVersion, 'never released in "prod"'),
        (f"{PROMPT}@sha:12", BadReference, "hex digits"),
    ],
)
def test_what_cannot_be_found_is_named(
    house: House, reference: str, error: type[Exception], words: str
) -> None:
    house.push("One.")
    with pytest.raises(error, match=words):
        house.registry.versions.resolve(reference)


def _alike() -> tuple[str, str]:
    """Two texts whose versions' shas begin with the same 8 digits, found by trying."""
    before, after = reply("TEXT").body().split(b"TEXT")
    seen: dict[str, str] = {}
    for number in range(1_000_000):
        text = str(number)
        start = hashlib.sha256(before + text.encode() + after).hexdigest()[:8]
        if start in seen:
            return seen[start], text
        seen[start] = text
    raise AssertionError


def test_a_sha_prefix_that_fits_two_versions_is_refused(house: House) -> None:
    one, other = _alike()
    shas = house.push(one, other)

    with pytest.raises(BadReference, match="fits more than one version"):
        house.registry.versions.resolve(f"{PROMPT}@sha:{shas[0][:8]}")
    assert house.registry.versions.resolve(f"{PROMPT}@sha:{shas[0]}").sha == shas[0]


def test_the_stored_body_is_the_identity_whose_hash_is_the_sha(house: House) -> None:
    [sha] = house.push("Größe\r\n{{ 1 }}")

    body = house.registry.versions.body(sha)

    assert hashlib.sha256(body).hexdigest() == sha
    assert body == reply("Größe\r\n{{ 1 }}").body()


def test_the_newest_version_is_listed_first(house: House) -> None:
    house.push("One.", "Two.")

    listed = house.registry.versions.versions(PROMPT)

    assert [version.version for version in listed] == ["1.1.0", "1.0.0"]
    assert {version.author for version in listed} == {"admin"}


def test_a_body_that_nobody_registered_is_unknown(house: House) -> None:
    with pytest.raises(UnknownVersion, match="no version has sha"):
        house.registry.versions.body("0" * 64)

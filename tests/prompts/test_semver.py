import pytest

from trimtab.errors import BadReference
from trimtab.prompts.semver import Part, bump, is_semver, parse_semver


@pytest.mark.parametrize(
    ("part", "after"), [("major", "2.0.0"), ("minor", "1.5.0"), ("patch", "1.4.8")]
)
def test_a_bump_raises_its_part_and_clears_the_lower_ones(part: Part, after: str) -> None:
    assert bump("1.4.7", part) == after


def test_a_bump_drops_prerelease_and_build() -> None:
    assert bump("2.0.0-rc.1+abc", "minor") == "2.1.0"


@pytest.mark.parametrize(
    "text", ["1.4", "v1.4.0", "01.0.0", "1.4.0\n", "1.4.0-", "1.4.0-01", "", "1.4.0 ", "1.٤.0"]
)
def test_what_is_not_a_semantic_version_is_refused(text: str) -> None:
    assert not is_semver(text)
    with pytest.raises(BadReference, match="semantic version"):
        parse_semver(text)


def test_a_version_prints_as_it_was_written() -> None:
    assert str(parse_semver("1.4.0-rc.1+linux")) == "1.4.0-rc.1+linux"


def test_precedence_follows_the_example_of_the_specification() -> None:
    # https://semver.org/#spec-item-11
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
    ]

    found = sorted(set(ordered), key=lambda text: parse_semver(text).precedence)

    assert found == ordered

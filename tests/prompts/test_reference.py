import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import BadReference
from trimtab.prompts.reference import Reference, check_name, check_tag, parse_reference

ENVIRONMENTS = ("dev", "staging", "prod")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("support.reply", "live", ""),
        ("support.reply@sha:1F0c9a3b", "sha", "1f0c9a3b"),
        ("support.reply@sha:" + "a" * 64, "sha", "a" * 64),
        ("support.reply@1.4.0", "semver", "1.4.0"),
        ("support.reply@2.0.0-rc.1", "semver", "2.0.0-rc.1"),
        ("support.reply@prod", "environment", "prod"),
        ("support.reply@summer", "tag", "summer"),
        ("support.reply@Black-Friday.2", "tag", "Black-Friday.2"),
    ],
)
def test_what_follows_the_at_sign_says_which_version(text: str, kind: str, value: str) -> None:
    found = parse_reference(text, environments=ENVIRONMENTS)

    assert (found.prompt, found.kind, found.value) == ("support.reply", kind, value)


@pytest.mark.parametrize(
    "text",
    [
        "support.reply@",
        "support.reply@sha:1f0c9a3",
        "support.reply@sha:" + "a" * 65,
        "support.reply@sha:xyzxyzxyz",
        "support.reply@deadbeef",
        "support.reply@1.4",
        "support.reply@v1.4.0",
        "support.reply@prod@dev",
        "support.reply@live",
        "Support.reply@prod",
        "@prod",
        "",
        "support.reply@1.4.0\n",
    ],
)
def test_a_reference_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadReference):
        parse_reference(text, environments=ENVIRONMENTS)


@given(
    st.builds(
        "{}@{}".format,
        st.from_regex(r"[a-z.]{1,9}", fullmatch=True),
        st.text("abv019.-+:shaprod@\n", max_size=12),
    )
    | st.text(max_size=20)
)
def test_any_reference_that_is_read_prints_as_one_with_the_same_meaning(text: str) -> None:
    with contextlib.suppress(BadReference):
        found = parse_reference(text, environments=ENVIRONMENTS)

        assert parse_reference(str(found), environments=ENVIRONMENTS) == found


@pytest.mark.parametrize("name", ["a", "support.reply", "a-b_c.9", "x" * 128])
def test_a_prompt_name_has_small_letters_digits_and_dots_between(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "A", "a b", "é", "a\n", "x" * 129])
def test_another_prompt_name_is_refused(name: str) -> None:
    with pytest.raises(BadReference):
        check_name(name)


@pytest.mark.parametrize("tag", ["summer", "rc1", "deadbee", "Winter_24", "beef-and-face"])
def test_a_word_is_a_tag(tag: str) -> None:
    assert check_tag(tag, environments=ENVIRONMENTS) == tag


@pytest.mark.parametrize(
    ("tag", "other"),
    [
        ("deadbeef", "a sha"),
        ("DEADBEEF", "a sha"),
        ("12345678", "a sha"),
        ("1.4.0", "a version number"),
        ("v2", "a version number"),
        ("1.4", "a version number"),
        ("7", "a version number"),
        ("2.0.0-rc.1", "a version number"),
        ("prod", "an environment"),
        ("Prod", "an environment"),
        ("live", "the live version"),
    ],
)
def test_a_tag_that_reads_as_something_else_is_refused(tag: str, other: str) -> None:
    with pytest.raises(BadReference, match=f"could be read as {other}"):
        check_tag(tag, environments=ENVIRONMENTS)


@pytest.mark.parametrize("tag", ["", "-x", "sha:abc", "a b", "a@b", "é", "a\n", "x" * 65])
def test_a_tag_of_other_characters_is_refused(tag: str) -> None:
    with pytest.raises(BadReference, match="is not a tag"):
        check_tag(tag, environments=ENVIRONMENTS)


def test_a_reference_prints_as_it_is_written() -> None:
    reference = Reference(prompt="support.reply", kind="sha", value="1f0c9a3b")

    assert str(reference) == "support.reply@sha:1f0c9a3b"

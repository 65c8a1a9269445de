import pytest

from trimtab.errors import (
    BadInput,
    BadReference,
    Conflict,
    Forbidden,
    IdentityError,
    UnknownVersion,
)
from trimtab.prompts.version import Version, variables_schema
from trimtab.registry.registration import NewVersion

from .house import PROMPT, House, fragment, reply


def test_the_same_content_twice_is_one_version(house: House) -> None:
    register = house.registry.registration.register
    first = register(house.admin, prompt=PROMPT, version=reply("Be kind."))
    rows = house.registry.audit.verify().count

    second = register(house.admin, prompt=PROMPT, version=reply("Be kind."))

    assert (first.created, second.created) == (True, False)
    assert (first.sha, first.version) == (second.sha, second.version)
    assert house.registry.audit.verify().count == rows


def test_the_same_content_under_two_names_is_two_registrations_of_one_sha(house: House) -> None:
    [one] = house.push("Be kind.")
    [other] = house.push("Be kind.", prompt="support.copy")

    assert one == other
    assert len(house.registry.versions.versions("support.copy")) == 1


def test_numbers_follow_from_the_diff_to_the_highest_one(house: House) -> None:
    register = house.registry.registration.register
    schema = variables_schema({"q": {"type": "string"}})

    numbers = [
        register(house.admin, prompt=PROMPT, version=version).version
        for version in (reply("One."), reply("Two."), reply("Two {{ q }}.", variables=schema))
    ]

    assert numbers == ["1.0.0", "1.1.0", "2.0.0"]


def test_a_number_given_counts_and_the_next_goes_on_from_it(house: House) -> None:
    register = house.registry.registration.register
    given = register(house.admin, prompt=PROMPT, version=reply("One."), semver="3.0.0")
    following = register(house.admin, prompt=PROMPT, version=reply("Two."))

    assert (given.version, following.version) == ("3.0.0", "3.1.0")


def test_a_number_of_another_content_is_a_conflict(house: House) -> None:
    house.push("One.")
    with pytest.raises(Conflict, match=r"has a version 1\.0\.0 with other content"):
        house.registry.registration.register(
            house.admin, prompt=PROMPT, version=reply("Two."), semver="1.0.0"
        )


def test_content_keeps_its_number(house: House) -> None:
    house.push("One.")
    with pytest.raises(Conflict, match=r"registered as 1\.0\.0, not 2\.0\.0"):
        house.registry.registration.register(
            house.admin, prompt=PROMPT, version=reply("One."), semver="2.0.0"
        )


def test_a_tag_can_be_given_later_and_belongs_to_one_version(house: House) -> None:
    register = house.registry.registration.register
    house.push("One.", "Two.")
    house.promote("1.0.0")
    revision = house.registry.publisher.revision("dev")

    again = register(house.admin, prompt=PROMPT, version=reply("One."), tag="summer")

    assert (again.created, again.tag) == (False, "summer")
    assert house.registry.versions.resolve(f"{PROMPT}@summer").version == "1.0.0"
    assert house.registry.publisher.revision("dev") == revision + 1
    with pytest.raises(Conflict, match=r'"summer" .* belongs to version 1\.0\.0'):
        register(house.admin, prompt=PROMPT, version=reply("Two."), tag="summer")


def test_a_set_is_registered_whole_in_any_order_fragments_first(house: House) -> None:
    deep = fragment("Stay calm.")
    tone = fragment("{% include 'shared.calm' %}", includes={"shared.calm": deep.sha})
    whole = reply("{% include 'shared.tone' %}", includes={"shared.tone": tone.sha})
    items = [
        NewVersion(prompt=PROMPT, version=whole),
        NewVersion(prompt="shared.tone", version=tone),
        NewVersion(prompt="shared.calm", version=deep),
    ]

    registered = house.registry.registration.register_set(house.admin, items)

    assert [item.prompt for item in registered] == [PROMPT, "shared.tone", "shared.calm"]
    assert set(house.registry.versions.fragments_of(whole.sha)) == {tone.sha, deep.sha}


def test_a_set_with_one_fault_registers_nothing(house: House) -> None:
    lost = fragment("Nobody pushed this.")
    items = [
        NewVersion(prompt="a", version=reply("Fine.")),
        NewVersion(prompt="b", version=reply("{% include 'x' %}", includes={"x": lost.sha})),
    ]

    with pytest.raises(UnknownVersion, match=r'"b" includes "x".*not registered'):
        house.registry.registration.register_set(house.admin, items)

    assert house.registry.versions.prompts() == []


def test_only_fragments_can_be_included(house: House) -> None:
    [sha] = house.push("One.", prompt="other")
    with pytest.raises(BadInput, match='includes "other", which is a prompt'):
        house.registry.registration.register(
            house.admin,
            prompt=PROMPT,
            version=reply("{% include 'other' %}", includes={"other": sha}),
        )


@pytest.mark.parametrize(
    ("prompt", "semver", "tag"),
    [("No Such Name", None, None), (PROMPT, "1.0", None), (PROMPT, None, "prod")],
)
def test_bad_names_numbers_and_tags_are_refused(
    house: House, prompt: str, semver: str | None, tag: str | None
) -> None:
    with pytest.raises(BadReference):
        house.registry.registration.register(
            house.admin, prompt=prompt, version=reply("One."), semver=semver, tag=tag
        )

    assert house.registry.versions.prompts() == []


def test_a_sha_that_is_not_its_contents_is_refused(house: House) -> None:
    forged = Version(sha="0" * 64, identity=reply("One.").identity)
    with pytest.raises(IdentityError, match="its content has another"):
        house.registry.registration.register(house.admin, prompt=PROMPT, version=forged)


def test_registering_needs_the_scope(house: House) -> None:
    with pytest.raises(Forbidden, match='"approver" lacks scope "author"'):
        house.registry.registration.register(house.approver, prompt=PROMPT, version=reply("One."))

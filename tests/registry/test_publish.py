from datetime import timedelta

import msgspec
import pytest

from trimtab.errors import Conflict, UnknownEnvironment
from trimtab.registry.audit import timestamp
from trimtab.registry.ledger import Published
from trimtab.releases.compile import decision_bytes, with_bodies
from trimtab.releases.release import Policy
from trimtab.routing.payload import Payload, TrimtabBlock

from .house import POLICIES, PROMPT, House, fragment, reply


def _block(house: House, environment: str = "dev") -> TrimtabBlock:
    block = house.registry.publisher.payload(environment).trimtab
    assert block is not None
    return block


def test_a_fresh_installation_publishes_empty_environments(house: House) -> None:
    for environment in POLICIES:
        block = _block(house, environment)

        assert (block.revision, block.prompts, block.lineage) == (1, {}, house.keys.lineage)


def test_every_change_of_an_environment_is_one_revision_there_and_none_elsewhere(
    house: House,
) -> None:
    house.push("One.", "Two.")

    house.promote("1.0.0")

    assert (_block(house, "dev").revision, _block(house, "prod").revision) == (2, 1)


def test_published_at_grows_even_when_the_clock_stands_or_goes_back(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")
    first = _block(house).published_at
    house.clock.pass_by(hours=-1)

    house.promote("1.1.0")

    second = _block(house).published_at
    assert first < second < timestamp(house.clock.now + timedelta(hours=1, seconds=1))


def test_the_audit_head_is_the_chains_at_the_revision(house: House) -> None:
    house.push("One.")
    house.promote("1.0.0")

    checked = house.registry.audit.verify()

    assert (_block(house).audit.count, _block(house).audit.head) == (checked.count, checked.head)


def test_versions_released_here_are_named_others_are_not(house: House) -> None:
    [one, two, three] = house.push("One.", "Two.", "Three.")
    house.promote("1.0.0")
    house.promote("1.1.0")

    versions = _block(house).prompts[PROMPT].versions

    assert set(versions) == {one, two}
    assert three not in versions


def test_a_prompt_changed_for_years_names_what_matters_and_the_newest_ten(house: House) -> None:
    texts = [f"Text {number}." for number in range(14)]
    house.push(*texts)
    for number in range(14):
        house.promote(f"1.{number}.0")

    state = _block(house).prompts[PROMPT]

    named = {label.version for label in state.versions.values()}
    assert named == {f"1.{number}.0" for number in range(4, 14)}
    assert {state.live, state.last_good} <= state.versions.keys()


def test_the_same_revision_gives_the_same_bytes_in_another_process(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")
    house.start("1.1.0")
    before = decision_bytes(house.registry.publisher.payload("dev"), scope="decide")
    house.close()
    house.open()

    after = decision_bytes(house.registry.publisher.payload("dev"), scope="decide")

    assert before == after
    assert msgspec.json.decode(after, type=Payload) == house.registry.publisher.payload("dev")


def test_a_revision_is_compiled_once(house: House) -> None:
    first = house.registry.publisher.payload("dev")
    assert house.registry.publisher.payload("dev") is first


def test_bodies_hold_every_fragment_transitively(house: House) -> None:
    deep = fragment("Calm.")
    tone = fragment("{% include 'deep' %}", includes={"deep": deep.sha})
    whole = reply("{% include 'tone' %}", includes={"tone": tone.sha})
    register = house.registry.registration.register
    for prompt, version in (("deep", deep), ("tone", tone), (PROMPT, whole)):
        register(house.admin, prompt=prompt, version=version)
    house.promote("1.0.0")
    payload = house.registry.publisher.payload("dev")

    bodies = house.registry.publisher.bodies_for(payload)

    assert bodies == {version.sha: version.identity for version in (deep, tone, whole)}
    assert with_bodies(payload, bodies).trimtab is not None


def test_listeners_hear_of_every_commit_that_publishes(house: House) -> None:
    heard: list[Published] = []
    stop = house.registry.on_publish(heard.append)
    house.push("One.", "Two.")
    assert heard == []

    house.promote("1.0.0")
    stop()
    house.promote("1.1.0")

    assert [(told.environment, told.revision) for told in heard] == [("dev", 2)]


def test_a_listener_may_read_what_it_hears_of(house: House) -> None:
    seen: list[int] = []
    house.registry.on_publish(lambda told: seen.append(_block(house, told.environment).revision))
    house.push("One.")

    house.promote("1.0.0")

    assert seen == [2]


def test_a_listener_that_fails_stops_neither_the_caller_nor_the_others(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Published] = []

    def fail(told: Published) -> None:
        raise RuntimeError(told.environment)

    house.registry.on_publish(fail)
    house.registry.on_publish(heard.append)
    house.push("One.")

    assert house.promote("1.0.0").status == "live"
    assert len(heard) == 1
    assert "a listener failed on revision 2 of dev" in caplog.text


def test_a_changed_policy_is_adopted_and_published(house: House) -> None:
    assert _block(house, "prod").strict_units is False
    house.close()
    house.open({**POLICIES, "prod": Policy(rank=2, strict_units=True), "lab": Policy(rank=3)})

    assert house.registry.adopt_policies() == ["prod", "lab"]

    assert _block(house, "prod").strict_units is True
    assert (_block(house, "prod").revision, _block(house, "lab").revision) == (2, 1)
    assert house.registry.adopt_policies() == []


def test_an_environment_whose_policy_was_not_adopted_publishes_nothing(house: House) -> None:
    house.close()
    house.open({**POLICIES, "lab": Policy(rank=3)})
    with pytest.raises(Conflict, match='"lab" has published nothing yet'):
        house.registry.publisher.payload("lab")


def test_an_unknown_environment_is_named(house: House) -> None:
    with pytest.raises(UnknownEnvironment, match="choose from dev, staging, prod"):
        house.registry.publisher.payload("moon")

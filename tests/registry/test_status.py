from datetime import datetime

import pytest

from trimtab.errors import UnknownEnvironment
from trimtab.registry.status import PromptStatus

from .house import PROMPT, House


def _dev(house: House, at: datetime | None = None) -> PromptStatus | None:
    [environment] = house.registry.board.status(at=at, environment="dev").environments
    return environment.prompts[0] if environment.prompts else None


def _told(status: PromptStatus | None) -> tuple[object, ...]:
    """What the tests compare: live, last good, serving, killed, plan's share."""
    if status is None:
        return ()
    versions = (status.live, status.last_good, status.serving)
    return (
        *(version.version if version else None for version in versions),
        status.killed,
        status.plan.share if status.plan else None,
    )


def test_environments_stand_in_the_order_of_their_rank(house: House) -> None:
    names = [found.environment for found in house.registry.board.status().environments]
    assert names == ["dev", "staging", "prod"]


def test_live_is_told_with_who_why_and_since_when(house: House) -> None:
    house.push("One.")
    house.promote("1.0.0")

    status = _dev(house)

    assert status is not None
    assert (status.by, status.kind, status.generation) == ("admin", "promote", 1)
    assert status.since == house.registry.board.history("dev", PROMPT)[0].at


def test_any_past_time_tells_what_it_told_then(house: House) -> None:
    times: list[datetime] = []
    told: list[tuple[object, ...]] = []

    def look() -> None:
        house.clock.pass_by(minutes=20)
        told.append(_told(_dev(house)))
        times.append(house.registry.board.status().at)
        house.clock.pass_by(minutes=20)

    registry = house.registry
    look()
    house.push("One.", "Two.")
    house.promote("1.0.0")
    look()
    plan = house.start("1.1.0")
    look()
    registry.progress.advance(house.admin, plan.id)
    look()
    registry.progress.pause(house.admin, plan.id)
    look()
    registry.takebacks.kill(house.admin, environment="dev", prompt=PROMPT)
    look()
    registry.takebacks.unkill(house.admin, environment="dev", prompt=PROMPT)
    house.promote("1.1.0")
    look()
    registry.takebacks.rollback(house.admin, environment="dev", prompt=PROMPT)
    look()

    assert told == [
        (),
        ("1.0.0", None, "1.0.0", False, None),
        ("1.0.0", None, "1.0.0", False, 1000),
        ("1.0.0", None, "1.0.0", False, 5000),
        ("1.0.0", None, "1.0.0", False, 5000),
        ("1.0.0", None, "1.0.0", True, None),
        ("1.1.0", "1.0.0", "1.1.0", False, None),
        ("1.0.0", None, "1.0.0", False, None),
    ]
    assert [_told(_dev(house, at)) for at in times] == told


def test_a_past_revision_is_told(house: House) -> None:
    early = house.clock.now
    house.clock.pass_by(hours=1)
    house.push("One.")
    house.promote("1.0.0")
    house.clock.pass_by(seconds=1)

    def revision(at: datetime | None) -> int:
        return house.registry.board.status(at=at, environment="dev").environments[0].revision

    assert (revision(None), revision(house.clock.now)) == (2, 2)
    assert revision(early) == 1


def test_a_running_plan_is_told_with_its_step(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")
    plan = house.start("1.1.0")

    status = _dev(house)

    assert status is not None
    assert status.plan is not None
    assert (status.plan.plan_id, status.plan.step, status.plan.n_steps) == (plan.id, 0, 2)
    assert (status.plan.candidate.version, status.plan.status) == ("1.1.0", "running")


def test_an_unknown_environment_is_named(house: House) -> None:
    with pytest.raises(UnknownEnvironment):
        house.registry.board.status(environment="moon")

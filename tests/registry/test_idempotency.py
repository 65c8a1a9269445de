import pytest

from trimtab.errors import BadInput, Conflict
from trimtab.registry.idempotency import Answer

from .house import House

ANSWER = Answer(status=201, body={"sha": "abc"})


def test_a_write_sent_twice_is_answered_alike(house: House) -> None:
    memory = house.registry.idempotency
    assert memory.begin(house.admin, "k1", digest="d1") is None
    memory.finish(house.admin, "k1", answer=ANSWER)

    assert memory.begin(house.admin, "k1", digest="d1") == ANSWER


def test_a_key_stands_for_one_write(house: House) -> None:
    memory = house.registry.idempotency
    memory.begin(house.admin, "k1", digest="d1")
    memory.finish(house.admin, "k1", answer=ANSWER)
    with pytest.raises(Conflict, match="used for another request"):
        memory.begin(house.admin, "k1", digest="d2")


def test_keys_of_two_principals_never_meet(house: House) -> None:
    memory = house.registry.idempotency
    memory.begin(house.admin, "k1", digest="d1")
    assert memory.begin(house.approver, "k1", digest="d2") is None


def test_a_second_one_waits_for_the_first(house: House) -> None:
    memory = house.registry.idempotency
    memory.begin(house.admin, "k1", digest="d1")
    with pytest.raises(Conflict, match="still at work"):
        memory.begin(house.admin, "k1", digest="d1")


def test_one_that_died_at_work_can_be_sent_again_after_a_minute(house: House) -> None:
    memory = house.registry.idempotency
    memory.begin(house.admin, "k1", digest="d1")
    house.clock.pass_by(seconds=61)
    assert memory.begin(house.admin, "k1", digest="d1") is None


def test_one_that_failed_can_be_sent_again_at_once(house: House) -> None:
    memory = house.registry.idempotency
    memory.begin(house.admin, "k1", digest="d1")
    memory.forget(house.admin, "k1")
    assert memory.begin(house.admin, "k1", digest="d2") is None


def test_an_answer_is_kept_for_a_day(house: House) -> None:
    memory = house.registry.idempotency
    memory.begin(house.admin, "k1", digest="d1")
    memory.finish(house.admin, "k1", answer=ANSWER)
    house.clock.pass_by(hours=25)
    assert memory.begin(house.admin, "k1", digest="d2") is None


@pytest.mark.parametrize("key", ["", "k" * 257])
def test_a_key_of_another_length_is_refused(house: House, key: str) -> None:
    with pytest.raises(BadInput, match="want 1 to 256"):
        house.registry.idempotency.begin(house.admin, key, digest="d")

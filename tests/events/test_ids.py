import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from trimtab.events.ids import uuid7, uuid7_ms, uuid7_time

from .samples import calm

LAST_NS = 253_402_300_799_999 * 1_000_000


@calm
@given(st.integers(0, LAST_NS), st.binary(min_size=8, max_size=16))
def test_an_id_is_a_valid_uuid7_that_holds_its_instant(now_ns: int, random: bytes) -> None:
    text = uuid7(now_ns, random)

    assert str(uuid.UUID(text)) == text
    assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (7, uuid.RFC_4122)
    assert uuid7_ms(text) == now_ns // 1_000_000


@calm
@given(st.integers(0, LAST_NS - 1000), st.binary(min_size=8, max_size=8))
def test_later_ids_sort_after_earlier_ones(now_ns: int, random: bytes) -> None:
    assert uuid7(now_ns, b"\xff" * 8) < uuid7(now_ns + 1000, random)


def test_the_instant_inside_an_id_is_utc() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    text = uuid7(1_767_323_045_678_000_000, b"x" * 8)

    assert uuid7_time(text) == at


def test_other_ids_hold_no_instant() -> None:
    assert uuid7_time(str(uuid.UUID(int=7, version=4))) is None
    assert uuid7_time("req-1") is None
    assert uuid7_time("01900000-0000-7000-8000-00000000000G") is None


def test_an_id_dated_after_the_year_9999_holds_no_instant() -> None:
    assert uuid7_time("ffffffff-ffff-7000-8000-000000000000") is None


def test_a_uuid8_made_from_a_digest_holds_an_instant_too() -> None:
    assert uuid7_ms("00000000-0001-8000-8000-000000000000") == 1

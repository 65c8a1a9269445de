import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import BodyTooLarge, MalformedBody
from trimtab.events.door import MAX_EVENTS, Batch, admit
from trimtab.events.schema import Generation

from .samples import NOW, UNIT_KEY, Sender, Sent, calm


def post(body: object, **options: Any) -> Batch:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return admit(raw, environment="prod", received_at=NOW, unit_key=UNIT_KEY, **options)


def row(event: Sent) -> Sent:
    batch = post([event])
    assert batch.rejected == []
    return dict(msgspec.json.decode(batch.lines[0]))


def error(event: object) -> str:
    batch = post([event])
    assert batch.lines == []
    return batch.rejected[0].error


def test_an_event_is_written_with_environment_and_time_of_receipt() -> None:
    event = Sender().generation("u", "control")

    written = row(event)

    assert written["environment"] == "prod"
    assert written["received_at"] == "2026-03-04T12:30:00.000000Z"
    assert {k: v for k, v in event.items() if k != "unit_id"}.items() <= written.items()


def test_array_object_and_ndjson_carry_the_same_events() -> None:
    events = [Sender(seed).exposure("u", "control") for seed in range(3)]
    one_a_line = b"\n".join(json.dumps(event).encode() for event in events)

    assert post(events) == post({"events": events}) == post(one_a_line + b"\n")
    assert post(events[0]) == post(events[:1])


def test_records_are_admitted_like_what_they_encode_to() -> None:
    record = Generation(
        event_id=Sender().event_id(), occurred_at="2026-03-04T12:00:00.000000Z", status="ok"
    )

    batch = admit([record], environment="prod", received_at=NOW, unit_key=UNIT_KEY)

    assert batch == post([msgspec.to_builtins(record)])


def test_each_refused_event_is_named_by_its_place_and_the_others_are_taken() -> None:
    sender = Sender()
    good = sender.exposure("u", "control")
    no_status = sender.event("generation")

    batch = post([good, no_status, 7, {"kind": "thing"}, good])

    assert batch.accepted == 2
    assert [one.index for one in batch.rejected] == [1, 2, 3]
    assert "status" in batch.rejected[0].error
    assert "thing" in batch.rejected[2].error


def test_a_broken_line_of_ndjson_is_refused_alone() -> None:
    good = json.dumps(Sender().exposure("u", "control")).encode()

    batch = post(good + b'\n{"kind": \n' + good)

    assert (batch.accepted, [one.index for one in batch.rejected]) == (2, [1])


def test_unknown_fields_move_under_extra() -> None:
    event = Sender().event("exposure", colour="red", mark="late", extra={"a": 1})

    written = row(event)

    assert written["extra"] == {"a": 1, "colour": "red", "mark": "late"}
    assert "mark" not in written


def test_a_raw_id_of_a_person_is_never_in_a_line() -> None:
    event = Sender().exposure(
        "anna@example.org",
        "control",
        thread_id="anna-thread",
        attributes={"id": "anna@example.org", "user_id": "anna", "tier": "vip"},
    )

    line = post([event]).lines[0]

    assert b"anna" not in line
    assert msgspec.json.decode(line)["attributes"] == {"tier": "vip"}


def test_a_unit_key_is_the_start_of_an_hmac_over_kind_and_id() -> None:
    # echo -n user:u | openssl dgst -sha256 -hmac "installation secret"
    assert row(Sender().exposure("u", "control"))["unit_key"] == "1cc3488581eb54ca8c65a1251a1c6a9f"


def test_a_thread_has_one_key_as_a_unit_and_as_a_thread() -> None:
    event = Sender().event("exposure", unit_kind="thread", unit_id="t1", thread_id="t1")

    written = row(event)

    assert written["unit_key"] == written["thread_id"] != "t1"


def test_a_unit_without_a_kind_is_a_user() -> None:
    written = row(Sender().event("outcome", name="solved", unit_id="u"))

    assert written["unit_kind"] == "user"
    assert written["unit_key"] == UNIT_KEY("user", "u")


def test_an_event_of_another_environment_is_refused() -> None:
    assert "'dev'" in error(Sender().event("exposure", environment="dev"))


@pytest.mark.parametrize(
    ("age", "mark"),
    [
        (timedelta(days=8, seconds=1), "late"),
        (timedelta(days=7, hours=23), None),
        (timedelta(minutes=-9), None),
        (timedelta(minutes=-11), "clock"),
    ],
)
def test_events_dated_outside_the_window_are_taken_and_marked(
    age: timedelta, mark: str | None
) -> None:
    sender = Sender()
    event = sender.event("exposure") | {"event_id": sender.event_id(NOW - age)}

    assert row(event).get("mark") == mark


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"event_id": "e-1"}, "UUIDv7"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-01-01T00:00:00"}, "zone"),
        ({"unit_id": ""}, "unit_id"),
        ({"unit_id": "ä" * 129}, "unit_id"),
        ({"unit_key": "raw-id"}, "unit_key"),
        ({"epoch": -1}, "epoch"),
        ({"epoch": 2**70}, "epoch"),
        ({"prompt": "x" * 300}, "prompt"),
        ({"reason": "because"}, "reason"),
        ({"attributes": [1]}, "attributes"),
        ({"extra": {"text": "x" * 70_000}}, "65536"),
    ],
)
def test_a_value_out_of_form_is_refused_by_name(columns: Sent, words: str) -> None:
    assert words in error(Sender().event("exposure") | columns)


def test_a_call_cannot_carry_numbers_whose_squares_overflow() -> None:
    assert "latency_ms" in error(Sender().event("generation", status="ok", latency_ms=1e300))


def test_an_outcome_that_names_nothing_to_join_is_refused() -> None:
    assert "request_id" in error(Sender().event("outcome", name="solved"))


def test_times_are_brought_to_utc() -> None:
    event = Sender().event("exposure") | {"occurred_at": "2026-03-04T13:00:00+02:00"}

    assert row(event)["occurred_at"] == "2026-03-04T11:00:00.000000Z"


def test_ids_are_brought_to_one_form() -> None:
    event = Sender().event("exposure")

    assert row(event | {"event_id": event["event_id"].upper()}) == row(event)


def test_attributes_are_cut_to_a_bounded_list_of_plain_values() -> None:
    many = {f"a{i}": "x" * 1000 for i in range(100)} | {"nested": {"a": 1}}

    kept = row(Sender().event("exposure", attributes=many))["attributes"]

    assert len(kept) == 32
    assert {len(value) for value in kept.values()} == {256}


def test_only_allowed_attributes_are_kept_where_a_list_is_given() -> None:
    event = Sender().event("exposure", attributes={"tier": "vip", "age": 7})

    line = post([event], attributes=["tier"]).lines[0]

    assert msgspec.json.decode(line)["attributes"] == {"tier": "vip"}


@pytest.mark.parametrize(
    "raw",
    [b"", b" \n", b"[", b"nonsense", b"7", b'"x"', b"{}", b'{"events": 1}', b"\xff", b"[" * 99_999],
)
def test_a_body_that_holds_no_events_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedBody):
        post(raw)


def test_too_many_events_are_refused_whole() -> None:
    with pytest.raises(BodyTooLarge, match=str(MAX_EVENTS)):
        post(b"[" + b"1," * MAX_EVENTS + b"1]")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@calm
@given(st.dictionaries(st.sampled_from(sorted(Generation.__struct_fields__)), JSON))
def test_any_object_is_either_taken_or_refused_and_a_line_is_one_line(columns: Sent) -> None:
    batch = post([{**Sender().event("generation", status="ok"), **columns}])

    assert batch.accepted + len(batch.rejected) == 1
    assert not any(b"\n" in line for line in batch.lines)


@calm
@given(st.binary(max_size=60))
def test_any_bytes_are_either_malformed_or_counted(raw: bytes) -> None:
    try:
        batch = post(raw)
    except MalformedBody:
        return
    assert batch.accepted == len(batch.lines) == 0

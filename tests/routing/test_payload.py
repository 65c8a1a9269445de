import msgspec
import pytest

from tests.routing.payloads import payload_of
from trimtab.errors import PayloadError
from trimtab.routing.payload import Payload, decode_payload


def test_a_payload_is_read_back_as_it_was_written() -> None:
    payload = payload_of({"a": {"defaultValue": {"prompt": "a", "version": "1.0.0", "sha": "0"}}})

    assert decode_payload(msgspec.json.encode(payload)) == payload


def test_fields_of_a_later_payload_are_ignored() -> None:
    raw = msgspec.json.encode(
        msgspec.to_builtins(payload_of({})) | {"contextualBandits": {}, "new": [1]}
    )

    assert decode_payload(raw) == payload_of({})


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "truncated"),
        (b'{"features": {', "truncated"),
        (b'{"features": []}', r"Expected `object`, got `array` - at `\$.features`"),
        (b'"\xff"', "payload cannot be read"),
        (b'{"x": ' + b"[" * 100_000, "payload cannot be read"),
        (b"{}", "no trimtab block"),
    ],
)
def test_bytes_that_are_no_payload_say_what_is_wrong(raw: bytes, complaint: str) -> None:
    with pytest.raises(PayloadError, match=complaint):
        decode_payload(raw)


def test_a_later_format_is_refused_by_name() -> None:
    later: Payload = payload_of({}, format=2)

    with pytest.raises(PayloadError, match="format 2, this trimtab reads 1"):
        decode_payload(msgspec.json.encode(later))


def test_else_keeps_its_name_on_the_wire() -> None:
    plan = payload_of({}, plan_units={"p": "user"}).trimtab
    assert plan is not None

    written = msgspec.to_builtins(
        msgspec.structs.replace(plan.plans["p"], otherwise="request"), builtin_types=()
    )

    assert written["else"] == "request"

import enum
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import IdentityError
from trimtab.prompts.canonical import canonical_json, digest, format_number

EXACT = 2**53 - 1

# RFC 8785, appendix B: bits of a double and its serialisation.
APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


def is_taken(number: float) -> bool:
    return not EXACT < abs(number) < 1e21


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-EXACT, EXACT)
    | st.floats(allow_nan=False, allow_infinity=False).filter(is_taken)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_doubles_are_written_as_the_rfc_writes_them(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))

    assert format_number(number) == text


def test_the_object_of_the_rfc_comes_out_as_the_rfc_says() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }

    assert canonical_json(value).decode() == (
        '{"literals":[null,true,false],'
        '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_are_ordered_by_utf16_code_units() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    found = json.loads(canonical_json(dict.fromkeys(keys)))

    assert list(found) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(json_values)
def test_reading_the_canonical_form_gives_the_value_back(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


@given(json_values)
def test_the_canonical_form_of_the_canonical_form_is_itself(value: object) -> None:
    once = canonical_json(value)

    assert canonical_json(json.loads(once)) == once


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(0, 9)))
def test_the_order_keys_were_put_in_does_not_matter(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))

    assert digest(backwards) == digest(value)


@given(st.text(st.characters(codec="utf-8")))
def test_strings_are_escaped_as_json_stringify_escapes_them(text: str) -> None:
    # json's writer without ASCII escapes agrees with ECMAScript for well-formed strings.
    assert canonical_json(text).decode() == json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"sampling": {"seed": 2**53}}, "sampling.seed"),
        ({"sampling": {"seed": -(2**53)}}, "sampling.seed"),
        ({"seed": 2.0**53}, "seed"),
        ({"seed": 1e20}, "seed"),
        ({"a": [1, {"b": float("nan")}]}, "a[1].b"),
        ([float("inf")], "[0]"),
        ({"text": ["a", "\ud800"]}, "text[1]"),
        ({"x": {"\udfff": 1}}, "x"),
        ({"x": {1: 2}}, "x"),
        ({"when": object()}, "when"),
        (b"bytes", "the value"),
    ],
)
def test_a_value_without_canonical_form_is_refused_by_its_path(value: object, path: str) -> None:
    with pytest.raises(IdentityError) as refused:
        canonical_json(value)

    assert str(refused.value).startswith(path)
    str(refused.value).encode()


def test_the_largest_exact_integers_are_taken() -> None:
    assert canonical_json([EXACT, -EXACT]) == b"[9007199254740991,-9007199254740991]"


def test_nesting_beyond_the_cap_is_an_error_and_not_a_crash() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(IdentityError, match="deeper than 128"):
        canonical_json(value)


def test_subclasses_of_json_types_are_written_as_their_value() -> None:
    class Share(enum.IntEnum):
        HALF = 5000

    class Mode(enum.StrEnum):
        ON = "on"

    assert canonical_json({Mode.ON: (Share.HALF, Mode.ON)}) == b'{"on":[5000,"on"]}'


def test_the_digest_is_the_sha256_of_the_form() -> None:
    # sha256 of the two bytes `{}`.
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

import pytest

from trimtab.errors import BadUnit
from trimtab.routing.decision import check_unit


@pytest.mark.parametrize("value", ["u", "x" * 256, "é" * 128, "日本", " ", "null"])
def test_any_short_text_names_a_unit(value: str) -> None:
    check_unit("unit_id", value)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", 'unit_id is ""; give a non-empty string'),
        (42, "unit_id is 42; give a string, e.g. '42'"),
        (None, "unit_id is None; give a string"),
        ("x" * 257, "has 257 bytes, at most 256"),
        ("é" * 129, "has 258 bytes, at most 256"),
        ("a\ud800", "has a lone surrogate"),
    ],
)
def test_what_names_no_unit_is_refused_with_the_way_out(value: object, complaint: str) -> None:
    with pytest.raises(BadUnit, match=complaint):
        check_unit("unit_id", value)

import json
from datetime import UTC, datetime, timedelta

import pytest

from trimtab.cli.output import Output, age, clean, json_text, number, percent, share_percent, short

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (3 * 86_400, "3 days ago"),
        (-2, "0 s ago"),
        (-3600, "in 3600 s"),
    ],
)
def test_an_age_is_told_in_one_unit(seconds: int, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), now=NOW) == text


def test_a_time_is_shown_relative_and_in_utc() -> None:
    out = Output(as_json=False, now=NOW)

    assert out.when("2026-01-31T09:00:00+01:00") == "1 h ago (2026-01-31 08:00:00Z)"
    assert out.when(None) == ""


def test_shares_are_shown_in_percent() -> None:
    assert percent(10.0) == "10 %"
    assert percent(2.5) == "2.5 %"
    assert share_percent(10_000) == "100 %"
    assert share_percent(125) == "1.25 %"


def test_an_unknown_number_is_a_dash_and_never_a_zero() -> None:
    assert number(None) == short(None) == share_percent(None) == "\u2013"
    assert number(0) == "0"


def test_shas_are_cut_to_twelve_digits() -> None:
    assert short("0123456789abcdef" * 4) == "0123456789ab"


def test_text_from_others_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\x07\x9b") == "a\\x1b[2Jb\\x07\\x9b"
    assert clean("two\nlines\tand a tab") == "two\nlines\tand a tab"


def test_json_is_one_document_with_utf_8_as_it_is() -> None:
    assert json.loads(json_text({"why": "größer"})) == {"why": "größer"}
    assert "größer" in json_text({"why": "größer"})


def test_a_table_has_plain_columns_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output(as_json=False, now=NOW).table(("a", "long name"), [("1", "x\ny"), ("22", "")], empty="")

    assert capsys.readouterr().out == "a   long name\n1   x y\n22\n"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False, now=NOW).table(("a",), [], empty="nothing here")

    assert capsys.readouterr().out == "nothing here\n"

import pytest

from trimtab.errors import PromptFileError
from trimtab.prompts.text import decode_text, normal_template


def test_bytes_become_text_with_line_feeds_and_without_bom() -> None:
    assert decode_text(b"\xef\xbb\xbfa\r\nb\rc\n\r", where="a") == "a\nb\nc\n\n"


def test_only_a_bom_at_the_start_is_dropped() -> None:
    assert decode_text("a\ufeffb", where="a") == "a\ufeffb"


def test_bytes_that_are_not_utf8_are_refused_by_line() -> None:
    with pytest.raises(PromptFileError, match=r"^a, line 2: byte 0xff is not UTF-8"):
        decode_text(b"one\ntwo\xff", where="a")


def test_a_lone_surrogate_is_refused_by_line() -> None:
    with pytest.raises(PromptFileError, match=r"^a, line 2: \\udc00 is a lone surrogate"):
        decode_text("one\ntwo\udc00", where="a")


def test_a_template_is_composed_and_nothing_else_changes() -> None:
    assert normal_template("Cafe\u0301 \u00a0\u2028 \ufb01") == "Caf\u00e9 \u00a0\u2028 \ufb01"

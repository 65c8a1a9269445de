import builtins
import json
import math
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import PromptFileError
from trimtab.prompts.yaml import read_document, read_yaml

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0o14", 12),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-11-20", "2024-11-20"),
        ("2024-11-20T10:00:00Z", "2024-11-20T10:00:00Z"),
        ("1.0", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        ("1.", 1.0),
        (".", "."),
        ("'012'", "012"),
        ('"true"', "true"),
        ("=", "="),
        ("'<<'", "<<"),
    ],
)
def test_scalars_mean_what_the_core_schema_says(written: str, value: object) -> None:
    found = read_yaml(f"key: {written}", where="a")["key"]

    assert (type(found), found) == (type(value), value)


def test_a_tree_of_blocks_and_flows_is_read() -> None:
    text = """
sampling: {temperature: 0.2, stop: ["\\n", END]}
variables:
  topics:
    type: array
    items: {type: string}
steps:
  - name: a
  - name: b
    text: |
      one
      two
"""

    assert read_yaml(text, where="a") == {
        "sampling": {"temperature": 0.2, "stop": ["\n", "END"]},
        "variables": {"topics": {"type": "array", "items": {"type": "string"}}},
        "steps": [{"name": "a"}, {"name": "b", "text": "one\ntwo\n"}],
    }


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n"])
def test_an_empty_document_is_none(text: str) -> None:
    assert read_yaml(text, where="a") is None


@given(json_values)
def test_json_is_read_as_itself(value: object) -> None:
    assert read_yaml(json.dumps(value), where="a") == value


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: 2\na: 3", 3, 'key "a" stands here and on line 1'),
        ("x: {a: 1,\n a: 2}", 2, 'key "a"'),
        ("a: 1\n'a': 2", 2, 'key "a"'),
        ("a: &here 1\nb: 2", 1, "anchor &here"),
        ("a: &here {b: 1}", 1, "anchor &here"),
        ("b: 2\na: *there", 2, "alias|undefined"),
        ("a: !!str 1", 1, "tag"),
        ("a: ! 1", 1, "tag"),
        ("a: !secret x", 1, "tag"),
        ("a: 1\n<<: {b: 2}", 2, "merge key"),
        ("1: a", 1, "key 1 is no string"),
        ("true: a", 1, "key true is no string"),
        ("? [a, b]\n: c", 1, "list or mapping stands as a key"),
        ("a: .inf", 1, "no number JSON can hold"),
        ("a: -.INF", 1, "no number JSON can hold"),
        ("a: .nan", 1, "no number JSON can hold"),
        ("a: 1e999", 1, "no number JSON can hold"),
        ("a: " + "9" * 5000, 1, "no number JSON can hold"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: 1\nb: [1, 2", 2, "not YAML"),
        ("a: 1\n\tb: 2", 2, "not YAML"),
        ("a: 1\nb: \x07", 2, r"U\+0007"),
        ('a: "\\ud800"', 1, "lone surrogate"),
        ("a: b: c", 1, "not YAML"),
    ],
)
def test_what_two_readers_would_read_differently_is_refused_by_line(
    text: str, line: int, reason: str
) -> None:
    with pytest.raises(PromptFileError, match=reason) as refused:
        read_yaml(text, where="plan.yaml")

    assert str(refused.value).startswith(f"plan.yaml, line {line}: ")
    assert refused.value.line == line


def test_a_pair_of_escaped_surrogates_is_one_character() -> None:
    assert read_yaml('"\\ud83d\\ude00"', where="a") == "\U0001f600"


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 30_000 + "x"])
def test_deep_nesting_is_an_error_and_not_a_crash(text: str) -> None:
    with pytest.raises(PromptFileError, match=r"nested deeper than 64|not YAML"):
        read_yaml(text, where="a")


def test_a_document_beyond_the_cap_is_refused_unread() -> None:
    with pytest.raises(PromptFileError, match="characters of YAML"):
        read_yaml("a: 1\n" + "#" * 1_000_001, where="a")


def test_each_part_knows_its_line() -> None:
    document = read_document("a: 1\nb:\n  - x\n  - c: 2\n", where="a", first_line=5)

    assert document.line_of("a") == 5
    assert document.line_of("b", 0) == 7
    assert document.line_of("b", 1, "c") == 8
    assert document.line_of("b", "nowhere") == 6
    assert document.line_of("nowhere") is None


def test_without_pyyaml_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the builtin's own names
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        if name == "yaml" and level == 0:
            raise ImportError(name)
        return real(name, globals, locals, fromlist or (), level)

    monkeypatch.delitem(sys.modules, "yaml", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_yaml)

    with pytest.raises(PromptFileError, match=r"install trimtab\[files\]"):
        read_yaml("a: 1", where="a.prompt")


def test_numbers_are_finite_whatever_their_length() -> None:
    found = read_yaml("a: " + "0" * 300 + "7", where="a")["a"]

    assert found == 7
    assert math.isfinite(found)

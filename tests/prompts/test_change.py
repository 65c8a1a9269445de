from typing import Any

import pytest

from trimtab.prompts.change import changes, largest_bump, narrows
from trimtab.prompts.version import Version, variables_schema, version_from_identity

MODEL = "openai/gpt-4o-2024-11-20"


def version(**parts: Any) -> Version:
    variables = variables_schema(parts.pop("variables", {"q": {"type": "string"}}))
    return version_from_identity(
        {
            "messages": [{"role": "user", "template": "{{ q }}"}],
            "model": MODEL,
            "sampling": {"temperature": 0},
            "variables": variables,
            **parts,
        }
    )


@pytest.mark.parametrize(
    ("parts", "names", "bump"),
    [
        ({}, [], "none"),
        ({"messages": [{"role": "user", "template": "x"}]}, ["messages[0]"], "minor"),
        ({"messages": [{"role": "system", "template": "{{ q }}"}]}, ["messages[0]"], "minor"),
        (
            {"messages": [{"role": "user", "template": "{{ q }}"}, {"history": True}]},
            ["messages[1]"],
            "minor",
        ),
        ({"model": "openai/gpt-4o-2024-08-06"}, ["model"], "minor"),
        ({"model": "openai/gpt-4o-mini-2024-07-18"}, ["model"], "major"),
        ({"model": "azure/gpt-4o-2024-11-20"}, ["model"], "major"),
        ({"model": None}, ["model"], "major"),
        ({"sampling": {"temperature": 0.0}}, [], "none"),
        ({"sampling": {"temperature": 1}}, ["sampling.temperature"], "minor"),
        (
            {"sampling": {"top_p": None}},
            ["sampling.temperature", "sampling.top_p"],
            "minor",
        ),
        ({"tools": [{"type": "function"}]}, ["tools"], "major"),
        ({"response_format": {"type": "json_object"}}, ["response_format"], "major"),
        ({"includes": {"tone": "ab" * 32}}, ["includes.tone"], "minor"),
        ({"variables": {}}, ["variables.q"], "major"),
        ({"variables": {"q": {"type": "integer"}}}, ["variables.q"], "major"),
        ({"variables": {"q": {"type": ["string", "null"]}}}, ["variables.q"], "major"),
        ({"variables": {"q": {"type": "string", "maxLength": 9}}}, ["variables.q"], "major"),
        ({"variables": {"q": {"type": "string"}, "n": {}}}, ["variables.n"], "major"),
        ({"variables": {"q": {"type": "string"}, "n": {"default": 1}}}, ["variables.n"], "patch"),
        ({"variables": {"q": {"type": "string", "trusted": False}}}, ["variables.q"], "patch"),
        ({"variables": {"q": {"type": "string", "default": ""}}}, ["variables.q"], "patch"),
    ],
)
def test_each_change_has_its_part_and_its_step(
    parts: dict[str, Any], names: list[str], bump: str
) -> None:
    found = changes(version().identity, version(**parts).identity)

    assert [change.part for change in found] == names
    assert largest_bump(found) == bump


@pytest.mark.parametrize(
    ("old", "new", "bump"),
    [
        ({"default": "a"}, {"default": "b"}, "minor"),
        ({"default": "a"}, {}, "major"),
        ({"default": 1}, {"default": True}, "minor"),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, "patch"),
    ],
)
def test_a_variable_steps_by_what_its_callers_and_the_model_notice(
    old: dict[str, Any], new: dict[str, Any], bump: str
) -> None:
    before, after = version(variables={"q": old}), version(variables={"q": new})

    assert largest_bump(changes(before.identity, after.identity)) == bump


def test_the_largest_step_counts() -> None:
    new = version(sampling={"temperature": 1}, tools=[{"type": "function"}])

    assert largest_bump(changes(version().identity, new.identity)) == "major"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"enum": ["a", "b"]}, {"enum": ["a"]}),
        ({"enum": [1]}, {"enum": [True]}),
        ({}, {"enum": ["a"]}),
        ({}, {"const": 1}),
        ({"const": 1}, {"const": 2}),
        ({"const": 1}, {"enum": [2]}),
        ({"minimum": 1}, {"minimum": 2}),
        ({}, {"minLength": 1}),
        ({"maxItems": 3}, {"maxItems": 2}),
        ({"items": {"type": "string"}}, {"items": {"type": "integer"}}),
        ({}, {"items": {"type": "string"}}),
        ({"required": ["a"]}, {"required": ["a", "b"]}),
        ({}, {"additionalProperties": False}),
        (
            {"properties": {"a": {}, "b": {}}, "additionalProperties": False},
            {"properties": {"a": {}}, "additionalProperties": False},
        ),
        ({"properties": {"a": {}}}, {"properties": {"a": {"maximum": 3}}}),
    ],
)
def test_a_schema_that_takes_less_narrows(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert narrows(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"enum": ["a"]}, {"enum": ["b", "a"]}),
        ({"enum": ["a"]}, {}),
        ({"const": 1}, {"enum": [1, 2]}),
        ({"minimum": 2, "maximum": 3}, {"minimum": 1}),
        ({"type": ["string", "null"]}, {"type": ["null", "string"]}),
        ({"items": {"type": "string", "maxLength": 3}}, {"items": {"type": "string"}}),
        ({"required": ["a", "b"]}, {"required": ["b"]}),
        ({"additionalProperties": False}, {"additionalProperties": True}),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"properties": {"a": {}, "b": {}}, "additionalProperties": False},
        ),
    ],
)
def test_a_schema_that_takes_as_much_or_more_does_not_narrow(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert not narrows(old, new)

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trimtab.errors import IdentityError
from trimtab.prompts.canonical import canonical_json
from trimtab.prompts.files import build_set, read_set
from trimtab.prompts.version import (
    Version,
    stored_version,
    suggest_semver,
    variables_schema,
    version_from_identity,
)

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "identity.json").read_text(encoding="utf-8")
)
SHAS = {case["name"]: case["sha"] for case in VECTORS["cases"]}
HELLO: dict[str, Any] = {"messages": [{"role": "user", "template": "Hello"}]}


def build_case(case: dict[str, Any]) -> Version:
    if "identity" in case:
        return version_from_identity(case["identity"])
    found = read_set(case["files"])
    assert not found.errors
    return build_set(found.files, registered=case["registered"])[case["prompt"]]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_the_golden_vectors_hold(case: dict[str, Any]) -> None:
    version = build_case(case)

    assert version.body().decode() == case["canonical"]
    assert version.sha == case["sha"]
    assert version.identity == json.loads(case["canonical"])


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["name"])
def test_the_golden_vectors_of_refusal_hold(case: dict[str, Any]) -> None:
    with pytest.raises(IdentityError) as refused:
        version_from_identity(case["identity"])

    assert case["error"] in str(refused.value)


def test_what_is_not_part_of_the_identity_leaves_the_sha_alone() -> None:
    first = SHAS["a whole support prompt with an include from its set"]

    assert SHAS["the same text under another name"] == first
    assert SHAS["front matter outside the identity"] == first
    assert SHAS["CRLF and CR line ends"] == first
    assert SHAS["a BOM at the start of the file"] == first
    assert SHAS["empty tools, sampling and response format"] == SHAS["no variables"]
    assert len({SHAS[f"temperature {zero}"] for zero in ("0", "0.0", "-0.0")}) == 1


def test_a_stored_body_gives_the_version_back() -> None:
    for case in VECTORS["cases"]:
        body = case["canonical"].encode()

        assert stored_version(case["sha"], body) == build_case(case)


def test_a_body_that_was_changed_is_refused() -> None:
    version = version_from_identity(HELLO)

    with pytest.raises(IdentityError, match="changed or damaged"):
        stored_version(version.sha, version.body().replace(b"Hello", b"Hallo"))
    with pytest.raises(IdentityError, match="not JSON"):
        stored_version(version.sha, version.body()[:-1])


def test_a_version_shows_its_parts() -> None:
    version = version_from_identity(
        {
            **HELLO,
            "model": "openai/gpt-4o-2024-11-20",
            "sampling": {"temperature": 0.0},
            "tools": [{"type": "function"}],
            "variables": variables_schema({"b": {}, "a": {}, "c": {"default": 1}}),
        }
    )

    assert (version.kind, version.model) == ("prompt", "openai/gpt-4o-2024-11-20")
    assert version.sampling == {"temperature": 0}
    assert version.messages == HELLO["messages"]
    assert version.tools == [{"type": "function"}]
    assert version.variables is not None
    assert version.variables["required"] == ["a", "b"]
    assert (version.includes, version.steps, version.response_format) == ({}, [], None)
    assert {version: 1}[version] == 1


def test_a_version_does_not_change_with_the_mapping_it_came_from() -> None:
    given = {**HELLO, "sampling": {"stop": ["a"]}}
    version = version_from_identity(given)

    given["sampling"]["stop"].append("b")

    assert version.sampling == {"stop": ["a"]}
    assert msgspec.json.decode(canonical_json(version.identity)) == version.identity


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "snippet"}, "kind: 'snippet'"),
        ({"kind": ["prompt"]}, "kind:"),
        ({"engine": "jinja2/2"}, "engine:"),
        ({"name": "x"}, '"name" is not part'),
        ({"messages": []}, "messages: a prompt has at least one"),
        ({"messages": "x"}, "messages:"),
        ({"messages": [{"history": True}]}, "at least one message of its own"),
        ({"messages": [*HELLO["messages"], {"history": True}, {"history": True}]}, "once at most"),
        ({"messages": [{"role": "tool", "template": "x"}]}, "messages[0].role: 'tool'"),
        ({"messages": [{"role": "user", "template": 3}]}, "messages[0].template"),
        ({"messages": [{"role": "user", "template": "x", "name": "y"}]}, "messages[0]: an entry"),
        ({"messages": [{"template": "x"}]}, "messages[0]: an entry"),
        ({"messages": [{"history": False}]}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"model": "gpt-4o"}, "model: 'gpt-4o' is not provider/name"),
        ({"model": 4}, "model: 4"),
        ({"sampling": [1]}, "sampling:"),
        ({"tools": {"a": 1}}, "tools:"),
        ({"response_format": "json"}, "response_format:"),
        ({"includes": {"a": "abc"}}, 'includes["a"]'),
        ({"includes": {"A b": "ab" * 32}}, "includes:"),
        ({"includes": ["a"]}, "includes:"),
        ({"steps": [{"name": "a", "prompt": "b"}]}, "steps: a prompt has none"),
        ({"variables": {"type": "object"}}, "variables: not"),
        ({"variables": {"name": {"type": "string"}}}, "variables: not"),
        ({"kind": "fragment"}, "without role"),
        ({"kind": "fragment", "model": "a/b", "messages": [{"template": ""}]}, "model: a fragment"),
        ({"kind": "chain"}, "messages: a chain has none"),
    ],
)
def test_an_identity_of_another_shape_is_refused_by_its_part(
    change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(IdentityError) as refused:
        version_from_identity({**HELLO, **change})

    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("name", "schema", "reason"),
    [
        ("a", {"type": "text"}, "variables.a.type"),
        ("a-b", {}, '"a-b" is not a variable name'),
        ("loop", {}, "means something in the template language"),
    ],
)
def test_variables_that_nothing_can_fit_are_refused(
    name: str, schema: dict[str, Any], reason: str
) -> None:
    with pytest.raises(IdentityError, match=reason):
        version_from_identity({**HELLO, "variables": variables_schema({name: schema})})


def test_the_first_version_is_one() -> None:
    assert suggest_semver(None, version_from_identity(HELLO), previous_semver=None) == "1.0.0"


def test_a_changed_template_is_a_minor_step() -> None:
    new = version_from_identity({"messages": [{"role": "user", "template": "Good day"}]})

    found = suggest_semver(version_from_identity(HELLO), new, previous_semver="1.4.2")

    assert found == "1.5.0"


def test_an_equal_identity_keeps_its_number() -> None:
    version = version_from_identity(HELLO)

    assert suggest_semver(version, version, previous_semver="1.4.2") == "1.4.2"

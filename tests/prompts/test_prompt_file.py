from pathlib import PurePosixPath

import pytest

from trimtab.errors import BadReference, PromptFileError
from trimtab.prompts.files import name_from_path, parse_prompt_file

REPLY = """---
description: Answers customers
model: openai/gpt-4o-2024-11-20
sampling: {temperature: 0.2}
variables:
  tier: {enum: [free, pro]}
  question: {type: string, trusted: false}
policy: {suites: [smoke]}
---
{% message role="system" %}
Tier {{ tier }}. {% include "shared.tone" %}
{% endmessage %}
{% history %}
{% message role="user" %}{{ question }}{% endmessage %}
"""


def test_a_file_gives_its_parts_as_written() -> None:
    file = parse_prompt_file(REPLY, name="support.reply", path="prompts/support/reply.prompt")

    assert (file.kind, file.model) == ("prompt", "openai/gpt-4o-2024-11-20")
    assert file.sampling == {"temperature": 0.2}
    assert file.variables["question"] == {"type": "string", "trusted": False}
    assert file.meta == {"description": "Answers customers", "policy": {"suites": ["smoke"]}}
    assert file.includes == ["shared.tone"]
    assert file.messages == [
        {"role": "system", "template": 'Tier {{ tier }}. {% include "shared.tone" %}'},
        {"history": True},
        {"role": "user", "template": "{{ question }}"},
    ]


def test_a_file_knows_the_lines_of_its_parts() -> None:
    file = parse_prompt_file(REPLY, name="support.reply")

    assert file.template_lines == [11, 13, 14]
    assert file.line_of("variables", "question") == 7
    assert file.line_of("variables", "question", "pattern") == 7
    assert file.line_of("tools") == 1


def test_bytes_and_text_are_the_same_file() -> None:
    raw = b"\xef\xbb\xbf" + REPLY.replace("\n", "\r\n").encode()

    assert parse_prompt_file(raw, name="a") == parse_prompt_file(REPLY, name="a")


def test_a_file_without_front_matter_is_one_user_message() -> None:
    file = parse_prompt_file("Hello {{ name }}\n", name="a")

    assert file.messages == [{"role": "user", "template": "Hello {{ name }}"}]


def test_a_fragment_is_one_text_without_role() -> None:
    file = parse_prompt_file("---\nkind: fragment\n---\nBe kind.\n", name="a")

    assert file.messages == [{"template": "Be kind."}]


def test_null_and_empty_keys_count_as_absent() -> None:
    text = "---\nkind: fragment\nmodel:\ntools: []\nvariables: {}\n---\nBe kind.\n"

    assert parse_prompt_file(text, name="a").model is None


@pytest.mark.parametrize(
    ("front", "body", "line", "reason"),
    [
        ("modle: a/b", "x", 2, 'did you mean "model"'),
        ("a: 1\nzzz: 2", "x", 2, 'unknown key "a"'),
        ("model: 4", "x", 2, "model is text"),
        ("\nsampling: 0.2", "x", 3, "sampling is a mapping"),
        ("sampling: {seed: 9007199254740992}", "x", 2, "sampling.seed: integer"),
        ("tools: {a: 1}", "x", 2, "tools is a list"),
        ("response_format: json", "x", 2, "response_format is a mapping"),
        ("variables: [a]", "x", 2, "variables is a mapping"),
        ("variables:\n  a: string", "x", 3, "a schema is a mapping"),
        ("variables:\n  a: {type: text}", "x", 3, "variables.a.type"),
        ("variables:\n  a: {}\n  user-tier: {}", "x", 4, '"user-tier" is not a variable name'),
        ("variables:\n  a:\n    type: array\n    items:\n      enum: []", "x", 6, "a.items.enum"),
        ("kind: snippet", "x", 2, "kind 'snippet' is not one of"),
        ("kind: [prompt]", "x", 2, "is not one of"),
        ("kind: fragment\nmodel: a/b", "x", 3, "a fragment has no model"),
        ("kind: fragment", "{% history %}", 4, "a fragment has no history blocks"),
        ("kind: chain\nsteps: []", "", 3, "at least one"),
        ("kind: chain", "", 2, "at least one"),
        ("kind: chain\nsteps: [{name: a, prompt: b}]", "x", 5, "no body"),
        ("kind: chain\nsteps: [{name: a}]", "", 3, "a step has name, prompt"),
        ("kind: chain\nsteps: [{name: a, prompt: b}, {name: a, prompt: c}]", "", 3, '"a" too'),
        ("steps: [{name: a, prompt: b}]", "x", 2, "a prompt has no steps"),
        ("tag: v1.4", "x", 2, "could be read as a version number"),
        ("owner: [me]", "x", 2, "owner is text"),
        ("policy: strict", "x", 2, "policy is a mapping"),
        ("- a", "x", 2, "not a mapping"),
        ("a: [", "x", 3, "not YAML"),
        ("model: a/b\nmodel: a/c", "x", 3, 'key "model" stands here and on line 2'),
        ("model: a/b", '{% message role="user" %}\n{{ a', 4, "never closed"),
        ("model: a/b", "one\n{% if a %}", 5, "not a template: Unexpected end of template"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    front: str, body: str, line: int, reason: str
) -> None:
    text = f"---\n{front}\n---\n{body}"

    with pytest.raises(PromptFileError) as refused:
        parse_prompt_file(text, name="a", path="p/a.prompt")

    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"p/a.prompt, line {line}: ")
    assert refused.value.detail == {"path": "p/a.prompt", "line": line}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("---\nmodel: a/b\n", "never closed"),
        ("\n---\nmodel: a/b\n---\nx", "begins with"),
        ("---\nmodel: a/b\n---\n\n \n", "has no message"),
        ("---\nmodel: a/b\n---\n{% history %}\n", "has no message"),
        ("", "has no message"),
        (b"---\nmodel: a/b\n---\n\xff", "not UTF-8"),
        ("x\ud800", "lone surrogate"),
        ("x" * 200_000, "characters of templates; a prompt file has at most 131072"),
        ("---\n" + "#\n" * 50_000 + "---\nx", "characters of front matter"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(PromptFileError, match=reason):
        parse_prompt_file(text, name="a")


def test_a_name_no_prompt_can_have_is_refused() -> None:
    with pytest.raises(BadReference):
        parse_prompt_file("x", name="Support Reply")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("reply.prompt", "reply"),
        ("support/reply.prompt", "support.reply"),
        ("a/b-c/d_e.prompt", "a.b-c.d_e"),
    ],
)
def test_the_name_is_the_path_with_dots(path: str, name: str) -> None:
    assert name_from_path(PurePosixPath(path)) == name


@pytest.mark.parametrize(
    "path",
    [
        "reply.txt",
        "reply",
        "support.reply.prompt",
        "a.b/reply.prompt",
        "../reply.prompt",
        "/support/reply.prompt",
        "Support/reply.prompt",
        ".prompt",
        f"{'x' * 129}.prompt",
    ],
)
def test_a_path_that_gives_no_name_is_refused(path: str) -> None:
    with pytest.raises(PromptFileError):
        name_from_path(PurePosixPath(path))


def test_a_block_text_at_the_end_of_the_front_matter_keeps_its_line_end() -> None:
    file = parse_prompt_file("---\ndescription: |\n  one\n  two\n---\nx", name="a")

    assert file.meta["description"] == "one\ntwo\n"

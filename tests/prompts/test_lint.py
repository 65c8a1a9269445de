import msgspec
import pytest

from trimtab.prompts.files import read_set
from trimtab.prompts.lint import Finding, lint
from trimtab.prompts.version import version_from_identity

HEAD = "model: openai/gpt-4o-2024-11-20\n"


def prompt(body: str, front: str = HEAD) -> str:
    return f"---\n{front}---\n{body}"


def run(texts: dict[str, str], *, pinned_models: tuple[str, ...] = ()) -> list[Finding]:
    found = read_set(texts)
    return lint(found.files, errors=found.errors, pinned_models=pinned_models)


def rules(texts: dict[str, str]) -> list[tuple[str, str, int]]:
    return [(finding.level, finding.rule, finding.line) for finding in run(texts)]


CLEAN = {
    "support/reply.prompt": prompt(
        '{% message role="system" %}\n{% include "shared.tone" %}\n{% endmessage %}\n'
        '{% message role="user" %}{{ question }}{% endmessage %}\n',
        HEAD
        + "variables:\n  company: {type: string}\n  question: {type: string, trusted: false}\n",
    ),
    "shared/tone.prompt": "---\nkind: fragment\n---\nYou speak for {{ company }}.\n",
}


def test_a_clean_set_has_no_findings() -> None:
    assert run(CLEAN) == []


@pytest.mark.parametrize(
    ("front", "body", "expected"),
    [
        ("model: openai/gpt-4o\n", "x", ("error", "floating-model", 2)),
        ("sampling: {}\nmodel: gpt-4o\n", "x", ("error", "unknown-model-form", 3)),
        ("modle: openai/gpt-4o\n", "x", ("error", "unknown-field", 2)),
        ("a: [\n", "x", ("error", "file", 3)),
        (HEAD, "one\n{{ name }}", ("error", "undeclared-variable", 5)),
        (HEAD + "variables: {a: {}}\n", "x", ("warning", "unused-variable", 3)),
        (
            HEAD + "variables:\n  a:\n    type: string\n    pattern: x\n",
            "{{ a }}",
            ("error", "unknown-schema-keyword", 6),
        ),
        (
            HEAD + "variables:\n  a:\n    type: array\n    items:\n      format: date\n",
            "{{ a }}",
            ("error", "unknown-schema-keyword", 7),
        ),
        (HEAD, '\n{% include "tone" %}', ("error", "missing-include", 5)),
        (HEAD, '\n{% include "Tone Voice" %}', ("error", "missing-include", 5)),
        (HEAD, '{% include "reply" %}', ("error", "unknown-include-kind", 4)),
        (HEAD, "a\n\n{% include name %}", ("error", "template", 6)),
        (HEAD, "a\n{{ 'b' | nofilter }}", ("error", "template", 5)),
        (HEAD, "a\n{{ 'b' ", ("error", "template", 5)),
        (HEAD, "{{ " + "(" * 500 + ")" * 500 + " }}", ("error", "template", 4)),
    ],
)
def test_each_rule_finds_its_fault_on_its_line(
    front: str, body: str, expected: tuple[str, str, int]
) -> None:
    assert expected in rules({"reply.prompt": prompt(body, front)})


def test_one_fault_makes_one_finding() -> None:
    assert rules({"reply.prompt": prompt("{{ a }}\n{{ a }}{{ b }}")}) == [
        ("error", "undeclared-variable", 4),
        ("error", "undeclared-variable", 5),
    ]


def test_a_declared_pinned_model_does_not_float() -> None:
    texts = {"reply.prompt": prompt("x", "model: vllm/qwen3\n")}

    assert run(texts, pinned_models=("vllm/qwen3",)) == []
    assert [finding.rule for finding in run(texts)] == ["floating-model"]


def test_a_variable_read_by_a_fragment_must_be_declared_by_the_includer() -> None:
    texts = {**CLEAN, "other.prompt": prompt('\n{% include "shared.tone" %}')}

    (finding,) = run(texts)

    assert (finding.rule, finding.path, finding.line) == ("undeclared-variable", "other.prompt", 5)
    assert '"company" (in "shared.tone")' in finding.message


def test_a_variable_read_by_a_registered_fragment_counts() -> None:
    tone = version_from_identity({"kind": "fragment", "messages": [{"template": "{{ company }}"}]})
    found = read_set({"reply.prompt": prompt('{% include "tone@1.0.0" %}')})

    findings = lint(
        found.files,
        registered={"tone@1.0.0": tone.sha},
        registered_versions={tone.sha: tone},
    )

    assert [finding.rule for finding in findings] == ["undeclared-variable"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_an_untrusted_value_in_a_system_message_is_a_warning(role: str) -> None:
    front = HEAD + "variables:\n  q: {type: string, trusted: false}\n"
    body = f'{{% message role="{role}" %}}\n{{{{ q }}}}{{% endmessage %}}'

    assert rules({"reply.prompt": prompt(body, front)}) == [("warning", "untrusted-in-system", 7)]


def test_an_untrusted_value_reaches_a_system_message_through_a_fragment() -> None:
    texts = {
        "reply.prompt": prompt(
            '{% message role="system" %}{% include "f" %}{% endmessage %}',
            HEAD + "variables:\n  q: {type: string, trusted: false}\n",
        ),
        "f.prompt": "---\nkind: fragment\n---\n{{ q }}",
    }

    assert rules(texts) == [("warning", "untrusted-in-system", 6)]


def test_an_untrusted_value_in_a_user_message_is_fine() -> None:
    front = HEAD + "variables:\n  q: {type: string, trusted: false}\n"

    assert rules({"reply.prompt": prompt("{{ q }}", front)}) == []


def test_a_circle_of_includes_is_found_once_for_each_line_it_shows_on() -> None:
    texts = {
        "a.prompt": "---\nkind: fragment\n---\n{% include 'b' %}",
        "b.prompt": "---\nkind: fragment\n---\n{% include 'a' %}",
    }

    assert {finding.rule for finding in run(texts)} == {"include-cycle"}


def test_includes_that_go_too_deep_are_found() -> None:
    texts = {
        f"f{n}.prompt": f"---\nkind: fragment\n---\n{{% include 'f{n + 1}' %}}" for n in range(9)
    }
    texts["f9.prompt"] = "---\nkind: fragment\n---\nend"

    assert [(f.rule, f.path) for f in run(texts)] == [("include-depth", "f0.prompt")]


def test_a_default_that_does_not_fit_is_found() -> None:
    front = HEAD + "variables:\n  n: {type: integer, default: many}\n"

    assert rules({"reply.prompt": prompt("{{ n }}", front)}) == [("error", "bad-default", 4)]


def test_a_prompt_too_large_with_its_fragments_is_found() -> None:
    texts = {
        "reply.prompt": prompt('{% include "f" %}{% include "f" %}'),
        "f.prompt": "---\nkind: fragment\n---\n" + "x" * 40_000,
    }

    (finding,) = run(texts)

    assert (finding.rule, finding.path, finding.line) == ("template", "reply.prompt", 4)
    assert "bytes of template with all includes" in finding.message


def test_findings_are_sorted_and_are_plain_data() -> None:
    texts = {
        "b.prompt": prompt("{{ y }}\n{{ x }}", "model: openai/gpt-4o\n"),
        "a.prompt": prompt("{{ x }}"),
    }

    found = run(texts)

    assert [(f.path, f.line) for f in found] == [
        ("a.prompt", 4),
        ("b.prompt", 2),
        ("b.prompt", 4),
        ("b.prompt", 5),
    ]
    assert msgspec.to_builtins(found[0])["rule"] == "undeclared-variable"
    assert str(found[1]).startswith("b.prompt:2: error: ")


def test_a_finding_of_a_near_miss_says_what_was_meant() -> None:
    front = HEAD + "variables: {question: {type: string}}\n"

    found = run({"reply.prompt": prompt("{{ questoin }}", front)})

    assert 'did you mean "question"?' in found[1].message

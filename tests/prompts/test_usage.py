import pytest

from trimtab.errors import PromptFileError
from trimtab.prompts.usage import Include, Source, Use, template_usage


def outer(template: str) -> set[str]:
    return {use.name for use in template_usage(template, where="f").variables}


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("Hello {{ name }}", {"name"}),
        ("{{ a.b[c] | join(d) ~ e }}", {"a", "c", "d", "e"}),
        (
            "{% if a is defined and b > c %}{{ d }}{% elif e %}{% else %}{{ f }}{% endif %}",
            set("abcdef"),
        ),
        ("{{ a if b else c }}", set("abc")),
        ("{% set x = a %}{{ x }}", {"a"}),
        ("{{ x }}{% set x = 1 %}", {"x"}),
        ("{% set x = x %}{{ x }}", {"x"}),
        ("{% set x, y = a %}{{ x }}{{ y }}", {"a"}),
        ("{% set x %}{{ a }}{% set y = 1 %}{% endset %}{{ x }}{{ y }}", {"a", "y"}),
        ("{% if a %}{% set x = 1 %}{% endif %}{{ x }}", {"a", "x"}),
        ("{% if a %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}", {"a"}),
        ("{% if a %}{% set x = 1 %}{{ x }}{% endif %}", {"a"}),
        (
            "{% for x in xs if x.ok %}{{ x }}{{ loop.index }}{% else %}{{ y }}{% endfor %}",
            {"xs", "y"},
        ),
        ("{% for x in xs %}{% endfor %}{{ x }}", {"xs", "x"}),
        ("{% for x in x %}{{ x }}{% endfor %}", {"x"}),
        ("{% for x in xs %}{% set y = x %}{{ y }}{% endfor %}{{ y }}", {"xs", "y"}),
        ("{% for k, v in m.items() %}{{ k }}{{ v }}{% endfor %}", {"m"}),
        ("{% macro m(a, b=c) %}{{ a }}{{ b }}{{ d }}{% endmacro %}{{ m(e) }}", {"c", "d", "e"}),
        ("{% with x = a, y = b %}{{ x }}{{ y }}{% endwith %}{{ y }}", {"a", "b", "y"}),
        ("{% filter replace(a, 'b') %}{{ c }}{% endfilter %}", {"a", "c"}),
        ("{% set ns = namespace(n=a) %}{% set ns.n = b %}{{ ns.n }}", {"namespace", "a", "b"}),
        ("{% for i in range(n) %}{{ i }}{% endfor %}", {"range", "n"}),
        ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}{{ '{{ c }}' }}", set()),
    ],
)
def test_a_variable_counts_where_the_template_does_not_bind_it(
    template: str, names: set[str]
) -> None:
    assert outer(template) == names


def test_uses_and_includes_carry_their_line_in_the_file() -> None:
    usage = template_usage(
        'a\n{{ b }}\n{% include "x.y" %}{{ b }}{{ c }}', where="f", first_line=10
    )

    assert usage.variables == (Use(name="b", line=11), Use(name="c", line=12))
    assert usage.includes == (Include(name="x.y", line=12),)


def test_a_fragment_reads_in_the_scope_of_its_include() -> None:
    texts = {
        "list": "{% for x in xs %}{% include 'item' %}{% endfor %}",
        "item": "{{ x }}{{ unit }}",
    }

    usage = template_usage(
        "\n{% include 'list' %}",
        where="f",
        first_line=5,
        find=lambda _, name: Source(key=name, template=texts[name]),
    )

    assert usage.variables == (
        Use(name="unit", line=6, via=("list", "item")),
        Use(name="xs", line=6, via=("list",)),
    )


def test_fragments_that_include_themselves_end() -> None:
    usage = template_usage(
        "{% include 'a' %}",
        where="f",
        find=lambda _, name: Source(key=name, template="{{ x }}{% include 'a' %}"),
    )

    assert {use.name for use in usage.variables} == {"x"}


def test_fragments_that_multiply_are_read_as_far_as_a_version_may_grow() -> None:
    usage = template_usage(
        "{% include '1' %}",
        where="f",
        find=lambda _, name: Source(
            key=name, template="{{ a" + name + " }}" + f"{{% include '{int(name) + 1}' %}}" * 100
        ),
    )

    assert {use.name for use in usage.variables} == {f"a{n}" for n in range(1, 9)}


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("a\n{{ b", 8, "unexpected end of template"),
        ("{% if a %}\n", 7, "Unexpected end of template"),
        ("\n\n{% endif %}", 9, "Encountered unknown tag 'endif'"),
        ("{{ a b }}", 7, "expected token"),
    ],
)
def test_a_syntax_error_names_its_line_in_the_file_and_jinjas_words(
    template: str, line: int, words: str
) -> None:
    with pytest.raises(PromptFileError, match=words) as refused:
        template_usage(template, where="f.prompt", first_line=7)

    assert str(refused.value).startswith(f"f.prompt, line {line}: not a template: ")
    assert (refused.value.line, refused.value.rule) == (line, "template")


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("a\n{{ b | nofilter }}", 8),
        ("a\n\n{% import 'x' as y %}", 9),
        ("a\n{% include name %}", 8),
        ("{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}", 7),
        ("{{ a" + " + a" * 8000 + " }}", 7),
    ],
)
def test_what_can_never_be_compiled_is_told_and_not_raised(template: str, line: int) -> None:
    usage = template_usage(template, where="f", first_line=7)

    assert usage.refused
    assert usage.refused_line == line

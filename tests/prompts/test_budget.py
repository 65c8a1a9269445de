"""Hostile templates end in an error of ours: soon, and in little memory."""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.prompts import hostile
from tests.prompts.rendering import compiled, prompt, rendered
from trimtab.errors import TemplateBudgetExceeded, TemplateError, TrimtabError
from trimtab.prompts.budget import check_template
from trimtab.prompts.limits import DEFAULT_LIMITS, Limits
from trimtab.prompts.template import compile_version

_CPU_S = 1.0
_PEAK_MB = 50.0


@functools.cache
def _outcomes() -> dict[str, dict[str, Any]]:
    """Every case rendered in a process of its own, by name."""
    names = json.dumps([case.name for case in hostile.CASES])
    done = subprocess.run(
        [sys.executable, "-m", "tests.prompts.hostile"],
        input=names,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
        cwd=Path(__file__).parents[2],
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("case", hostile.CASES, ids=lambda case: case.name)
def test_a_hostile_template_ends_in_our_error_within_a_second_and_50_mb(
    case: hostile.Case,
) -> None:
    outcome = _outcomes()[case.name]

    assert outcome["ended"] == case.error
    assert outcome["cpu_s"] < _CPU_S
    assert outcome["peak_mb"] < _PEAK_MB


def test_the_table_of_hostile_templates_is_large_and_names_each_once() -> None:
    names = [case.name for case in hostile.CASES]

    assert len(names) >= 60
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "source",
    [
        "{{ v" + "|upper" * 46 + " }}",
        "{{ v" + "[0]" * 46 + " }}",
        "{{ 1" + "+1" * 46 + " }}{{ v }}",
        "{{ " + "v or " * 46 + "v }}",
        "{{ " + "(v ~ " * 22 + "v" + ")" * 22 + " }}",
        "{{ " + "v|default(" * 22 + "v" + ")" * 22 + " }}",
        "{{ " + "1 if v is none else " * 22 + "v }}",
        "{% for i in [1] if i %}{{ loop.index }}" * 16 + "{{ v }}" + "{% endfor %}" * 16,
        "{% if v %}" * 16 + "x" + "{% endif %}" * 16,
        "{% if v is none %}" + "{% elif v == 1 %}" * 64 + "{% else %}x{% endif %}",
        "{% if v %}x{% endif %}" * 1000,
        "{% for x in [v] %}{{ x }}{% endfor %}" * 600,
    ],
)
def test_what_is_just_within_the_static_caps_compiles_and_renders(source: str) -> None:
    assert rendered(source, v="a")


def test_ordinary_work_over_much_data_stays_within_the_fuel() -> None:
    rows = [{"name": f"row {i}", "price": i, "tags": ["a", "b"]} for i in range(2_000)]
    source = (
        "{% for r in rows %}{{ loop.index }}. {{ r.name|upper }}: {{ r.price * 2 }}"
        "{% if r.tags %} ({{ r.tags|join(', ') }}){% endif %}\n{% endfor %}"
    )

    assert rendered(source, rows=rows).count("\n") == 2_000


def test_fuel_is_shared_by_all_messages_of_a_rendering() -> None:
    loop = "{% for i in range(1000) %}x{% endfor %}"
    limits = Limits(fuel=15_000)

    assert compile_version(prompt(loop), {}, limits=limits).render({})
    with pytest.raises(TemplateBudgetExceeded, match="15000 steps"):
        compile_version(prompt(loop, loop, loop), {}, limits=limits).render({})


def test_every_rendering_begins_with_full_fuel() -> None:
    template = compiled(prompt("{% for i in range(9000) %}x{% endfor %}"))

    for _ in range(40):
        assert len(template.render({})[0]["content"]) == 9_000


def test_output_is_capped_in_bytes_over_all_messages() -> None:
    half = DEFAULT_LIMITS.output_bytes // 2
    version = prompt("{{ v }}", "{{ v }}", variables={"v": {"type": "string"}})

    assert compiled(version).render({"v": "a" * half})
    with pytest.raises(TemplateBudgetExceeded, match="262146 bytes"):
        compiled(version).render({"v": "a" * (half + 1)})
    with pytest.raises(TemplateBudgetExceeded, match="bytes"):
        compiled(version).render({"v": "é" * (half // 2 + 1)})


def test_source_is_capped_in_bytes() -> None:
    check_template("é" * (DEFAULT_LIMITS.source_bytes // 2), name="a")
    with pytest.raises(TemplateBudgetExceeded, match="a: the template has 65538 bytes"):
        check_template("é" * (DEFAULT_LIMITS.source_bytes // 2 + 1), name="a")


def test_source_is_capped_over_all_messages() -> None:
    with pytest.raises(TemplateBudgetExceeded, match="80000 bytes of template"):
        compiled(prompt("x" * 40_000, "y" * 40_000))


def test_the_static_check_names_the_template_and_the_line() -> None:
    with pytest.raises(TemplateError, match="message 0, line 3: no filter 'nope'"):
        check_template("a\n\n{{ v|nope }}", name="message 0")


def test_the_static_check_never_computes_a_constant() -> None:
    check_template("{{ 'a' * 1000000000 }}{{ 'a'|center(1000000000) }}", name="a")


_WORDS = (
    "{{ }} {% %} {%- -%} {# #} for in if elif else endif endfor set endset macro endmacro filter "
    "endfilter with endwith include raw endraw not and or is defined none a b v loop index range "
    "namespace ( ) [ ] { } | . , : = == < > + - * ** / // % ~ 'x' \"y\" 1 2.5 99999999 upper "
    "join map tojson select replace format batch first default __class__ x"
)
_TOKENS = st.sampled_from(_WORDS.split(" "))


@given(st.lists(_TOKENS, max_size=40).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_any_text_is_rendered_or_refused_with_our_error(source: str) -> None:
    try:
        ended: object = rendered(source, v=[1, "a", {"b": None}], a="text")
    except TrimtabError as error:
        ended = error

    assert isinstance(ended, str | TemplateError)


_EXPRESSIONS = st.recursive(
    st.sampled_from(["1", "0", "-7", "2.5", "'a'", "''", "none", "true", "v", "a", "m", "missing"]),
    lambda inner: st.one_of(
        st.tuples(
            inner,
            st.sampled_from(
                [
                    "+",
                    "-",
                    "*",
                    "/",
                    "//",
                    "%",
                    "**",
                    "~",
                    "and",
                    "or",
                    "<",
                    "==",
                    "!=",
                    ">=",
                    "in",
                    "not in",
                ]
            ),
            inner,
        ).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(
            inner,
            st.sampled_from(
                [
                    "upper",
                    "join",
                    "list",
                    "sort",
                    "first",
                    "length",
                    "tojson",
                    "int",
                    "string",
                    "unique",
                    "sum",
                    "reverse",
                    "max",
                    "items",
                    "batch(2)",
                    "replace('a', 'b')",
                    "default(1)",
                    "round",
                    "map('string')",
                    "indent",
                    "title",
                    "dictsort",
                ]
            ),
        ).map("|".join),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"{{{parts[0]}: {parts[1]}}}"),
        inner.map(lambda part: f"(not {part})"),
        inner.map(lambda part: f"{part}[1:]"),
        inner.map(lambda part: f"({part} is string)"),
    ),
    max_leaves=8,
)


@given(_EXPRESSIONS)
@settings(max_examples=300, deadline=None)
def test_any_expression_gives_text_or_our_error(expression: str) -> None:
    values = {"v": [3, 1, 2], "a": "some text", "m": {"k": 1, "j": "x"}}
    try:
        ended: object = rendered("{{ " + expression + " }}", **values)
    except TrimtabError as error:
        ended = error

    assert isinstance(ended, str | TemplateError)

"""Templates written to break a renderer, and the error each must end in.

Run as a script it renders the cases it reads from stdin, each in a forked process of its own, and
writes one JSON line for each: the error's class, CPU seconds, growth of peak memory in MB.
"""

import json
import os
import resource
import sys
from typing import Any, NamedTuple

BUDGET = "TemplateBudgetExceeded"
REFUSED = "TemplateError"
VARIABLE = "VariableError"


class Case(NamedTuple):
    """One hostile template; `values` are given to its rendering under the name `v`."""

    name: str
    source: str
    error: str
    values: str = "None"


def _unrolled(step: str, times: int, *, start: str = "{% set x = 'abcdefgh' %}") -> str:
    return start + step * times + "{{ x|length }}"


CASES = [
    # Repetition and padding
    Case("a repeated string", "{{ 'a' * 1000000000 }}", BUDGET),
    Case("repeated from the left", "{{ 1000000000 * 'a' }}", BUDGET),
    Case("a repeated list", "{{ [1] * 1000000000 }}", BUDGET),
    Case("a repeated tuple", "{{ (1, 2) * 1000000000 }}", BUDGET),
    Case("a constant centred", '{{ "a"|center(200000000) }}', BUDGET),
    Case("a width in a percent format", '{{ "%1000000000d"|format(1) }}', BUDGET),
    Case("a precision in a percent format", '{{ "%.1000000000f"|format(1.0) }}', BUDGET),
    Case("a starred width", '{{ "%*d"|format(1000000000, 1) }}', BUDGET),
    Case("many wide formats", "{{ '" + "%999d" * 900 + "'|format(" + "1, " * 899 + "1) }}", BUDGET),
    Case("the operator for formats", '{{ "%1000000000d" % 1 }}', REFUSED),
    Case("the format method", '{{ "{:>999999999}".format(1) }}', REFUSED),
    Case("zfill", '{{ "1".zfill(1000000000) }}', REFUSED),
    Case("ljust", '{{ "1".ljust(1000000000) }}', REFUSED),
    Case("expandtabs", r'{{ "\t".expandtabs(1000000000) }}', REFUSED),
    Case("translate", '{{ "a".translate({97: "b" * 100000}) }}', REFUSED),
    Case("an indented text", '{{ ("a\\n" * 1000)|indent(1000000) }}', BUDGET),
    Case("an indented text, by text", '{{ ("a\\n" * 9000)|indent("x" * 9000) }}', BUDGET),
    Case("indented JSON", "{{ [1]|tojson(indent=1000000000) }}", BUDGET),
    Case("indented JSON of many levels", "{{ " + "[" * 20 + "]" * 20 + "|tojson(9) }}", BUDGET),
    # Doubling
    Case("doubling by ~", _unrolled("{% set x = x ~ x %}", 60), BUDGET),
    Case("doubling by +", _unrolled("{% set x = x + x %}", 60), BUDGET),
    Case("doubling by replace", _unrolled("{% set x = x|replace('a', 'aa') %}", 60), BUDGET),
    Case("squaring by replace", _unrolled("{% set x = x|replace('', x) %}", 60), BUDGET),
    Case("squaring by join", _unrolled("{% set x = x|join(x) %}", 60), BUDGET),
    Case("doubling by list join", _unrolled("{% set x = [x, x]|join %}", 60), BUDGET),
    Case("doubling by the join method", _unrolled("{% set x = ','.join([x, x]) %}", 60), BUDGET),
    Case("doubling by set blocks", _unrolled("{% set x %}{{ x }}{{ x }}{% endset %}", 60), BUDGET),
    Case(
        "doubling in a namespace",
        "{% set n = namespace(x='a') %}"
        "{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        BUDGET,
    ),
    Case(
        "doubling by a filter block",
        "{% filter replace('a', 'aaaaaaaaaaaaaaaa') %}" * 8 + "aaaa" + "{% endfilter %}" * 8,
        BUDGET,
    ),
    Case(
        "doubling a list", _unrolled("{% set x = x + x %}", 60, start="{% set x = [1] %}"), BUDGET
    ),
    Case(
        "a list that holds itself twice",
        _unrolled("{% set x = [x, x] %}", 60, start="{% set x = [1] %}"),
        BUDGET,
    ),
    Case(
        "a tuple as its own key",
        _unrolled("{% set x = (x, x) %}", 60, start="{% set x = (1,) %}") + "{{ {x: 1} }}",
        BUDGET,
    ),
    Case(
        "comparing doubled lists",
        "{% set x = [1] %}{% set y = [1] %}"
        + "{% set x = [x, x] %}{% set y = [y, y] %}" * 60
        + "{{ x == y }}",
        BUDGET,
    ),
    Case(
        "a mapping that holds itself twice",
        _unrolled("{% set x = {'a': x, 'b': x} %}", 60, start="{% set x = {} %}"),
        BUDGET,
    ),
    Case(
        "many large strings at once",
        "".join(f"{{% set x{i} = 'ä' * 260000 ~ {i} %}}" for i in range(300)),
        BUDGET,
    ),
    Case(
        "many large lists at once",
        "".join(f"{{% set x{i} = range(90000) %}}" for i in range(90)),
        BUDGET,
    ),
    # Loops
    Case("a long range", "{{ range(1000000000)|length }}", BUDGET),
    Case("a long range walked", "{% for i in range(1000000000) %}{% endfor %}", BUDGET),
    Case("a range without end", "{% for i in range(0, 10, 0) %}{% endfor %}", REFUSED),
    Case("a range of huge numbers", "{{ range(0, 2**63, 2**40) }}", BUDGET),
    Case(
        "nested loops",
        "{% for i in range(1000) %}" * 6 + "x" + "{% endfor %}" * 6,
        BUDGET,
    ),
    Case(
        "nested empty loops over text",
        "{% set s = 'a' * 200000 %}" + "{% for i in s %}" * 4 + "{% endfor %}" * 4,
        BUDGET,
    ),
    Case(
        "a loop that writes much",
        "{% for i in range(90000) %}" + "x" * 900 + "{% endfor %}",
        BUDGET,
    ),
    Case(
        "a loop that sets much",
        "{% set y %}{% for i in range(9000) %}" + "x" * 9000 + "{% endfor %}{% endset %}",
        BUDGET,
    ),
    Case(
        "a loop with a condition",
        "{% for i in range(99999) if i is odd and 'b' in 'a' * 99999 %}{% endfor %}",
        BUDGET,
    ),
    Case("a recursive loop", "{% for i in [1] recursive %}{{ loop([i]) }}{% endfor %}", REFUSED),
    Case("a loop as a value", "{% for i in [1] %}{% set y = loop %}{% endfor %}", REFUSED),
    Case("a loop's insides", "{% for i in [1] %}{{ loop._iterable }}{% endfor %}", REFUSED),
    Case("blocks nested deeply", "{% if 1 %}" * 3000 + "{% endif %}" * 3000, BUDGET),
    Case("set blocks nested deeply", "{% set x %}" * 3000 + "{% endset %}" * 3000, BUDGET),
    Case("a long elif chain", "{% if v %}" + "{% elif v == 1 %}" * 3000 + "{% endif %}", BUDGET),
    # Macros
    Case("a recursive macro", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", REFUSED),
    Case(
        "macros that call each other",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        REFUSED,
    ),
    Case(
        "a macro handed to itself",
        "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
        REFUSED,
    ),
    Case(
        "macros that double",
        "{% macro m0() %}x{% endmacro %}"
        + "".join(
            f"{{% macro m{i} () %}}{{{{ m{i - 1}() }}}}{{{{ m{i - 1}() }}}}{{% endmacro %}}"
            for i in range(1, 60)
        )
        + "{{ m59() }}",
        BUDGET,
    ),
    Case(
        "quiet macros that double",
        "{% macro m0() %}{% endmacro %}"
        + "".join(
            f"{{% macro m{i} () %}}{{% if m{i - 1}() or m{i - 1}() %}}{{% endif %}}{{% endmacro %}}"
            for i in range(1, 60)
        )
        + "{{ m59() }}",
        BUDGET,
    ),
    Case(
        "a call block",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{% endcall %}",
        REFUSED,
    ),
    Case(
        "a thousand macros",
        "".join(f"{{% macro m{i}() %}}{{% endmacro %}}" for i in range(1000)),
        BUDGET,
    ),
    # Attributes and globals
    Case("a walk to the classes", "{{ ''.__class__.__mro__[1].__subclasses__() }}", REFUSED),
    Case("a walk by items", "{{ ''['__class__']['__mro__'] }}", REFUSED),
    Case("a walk by the attr filter", "{{ ''|attr('__class__') }}", REFUSED),
    Case("a walk by map", "{{ ['']|map(attribute='__class__')|list }}", REFUSED),
    Case("the template itself", "{{ self }}", REFUSED),
    Case("the template's globals", "{{ self.__init__.__globals__ }}", REFUSED),
    Case("lipsum", "{{ lipsum(n=100000) }}", REFUSED),
    Case("cycler", "{{ cycler('a', 'b').next() }}", REFUSED),
    Case("joiner", "{{ joiner(',')() }}", REFUSED),
    Case("dict", "{{ dict(a=1) }}", REFUSED),
    Case("a namespace printed", "{{ namespace(a=1) }}", REFUSED),
    Case(
        "a namespace in itself",
        "{% set n = namespace() %}{% set n.n = n %}{{ [n.n.n]|tojson }}",
        REFUSED,
    ),
    Case("a namespace's class", "{% set n = namespace() %}{{ n['__class__'].mro() }}", REFUSED),
    Case("a namespace's insides", "{% set n = namespace() %}{{ n['_Namespace__attrs'] }}", REFUSED),
    Case("the loop set from inside", "{% for i in [1] %}{% set loop.x = 1 %}{% endfor %}", REFUSED),
    Case("an argument twice", "{% macro m(a, a) %}{% endmacro %}{{ m(1) }}", REFUSED),
    Case("a macro printed", "{% macro m() %}{% endmacro %}{{ m }}", REFUSED),
    Case("the filter for tests by name", "{{ [1]|select('callable')|list }}", REFUSED),
    Case("a filter by a computed name", "{{ [1]|map('up' ~ 'per')|list }}", REFUSED),
    Case("map of map", "{{ [[1]]|map('map', 'upper')|list }}", REFUSED),
    Case("arguments from a list", "{{ 'a'|replace(*['a', 'b']) }}", REFUSED),
    Case("another template", "{% extends 'a' %}", REFUSED),
    Case("an import", "{% import 'a' as a %}", REFUSED),
    Case("a computed include", "{% include ['a', 'b'] %}", REFUSED),
    # Numbers
    Case("a power", "{{ 10 ** (10 ** 9) }}", BUDGET),
    Case("a tower of powers", "{{ 9 ** 9 ** 9 ** 9 }}", BUDGET),
    Case("a negative power", "{{ (0 - 1) ** 0.5 }}", REFUSED),
    Case(
        "a factorial",
        "{% set n = namespace(x=1) %}{% for i in range(1, 9999) %}"
        "{% set n.x = n.x * i %}{% endfor %}",
        BUDGET,
    ),
    Case("a long literal", "{{ " + "9" * 60000 + " }}", BUDGET),
    Case("a long hexadecimal literal", "{{ 0x" + "f" * 60000 + " }}", BUDGET),
    Case("a long text as a number", "{{ ('9' * 100000)|int }}", BUDGET),
    Case("a long text in another base", "{{ ('f' * 100000)|int(0, 16) }}", BUDGET),
    Case("a huge float as an integer", "{{ 1e308|int }}", BUDGET),
    Case("rounding far to the left", "{{ 5|round(-1000000000) }}", BUDGET),
    Case("rounding far to the right", "{{ 5|round(1000000000, 'ceil') }}", BUDGET),
    Case("a sum of lists", "{{ ([[1] * 1000] * 90)|sum(start=[]) }}", REFUSED),
    # Depth of expressions
    Case("brackets nested deeply", "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}", BUDGET),
    Case("lists nested deeply", "{{ " + "[" * 20000 + "]" * 20000 + " }}", BUDGET),
    Case("unclosed brackets", "{{ " + "(" * 60000, BUDGET),
    Case("signs in a row", "{{ " + "-" * 60000 + "1 }}", BUDGET),
    Case("many a not", "{{ " + "not " * 15000 + "1 }}", BUDGET),
    Case("a chain of inline ifs", "{{ " + "1 if v else " * 5000 + "1 }}", BUDGET),
    Case("a chain of keys", "{{ v" + ".a" * 9000 + " }}", BUDGET),
    Case("a chain of filters", "{{ v" + "|upper" * 9000 + " }}", BUDGET),
    Case("a chain of sums", "{{ 1" + " + 1" * 9000 + " }}", BUDGET),
    Case("a chain of ors", "{{ v" + " or v" * 9000 + " }}", BUDGET),
    Case("a chain of powers", "{{ 1" + "**1" * 9000 + " }}", BUDGET),
    Case("many outputs", "{{v}}" * 13000, BUDGET),
    Case("many items", "{{ [" + "1," * 30000 + "] }}", BUDGET),
    Case("many keywords", "{{ v|default(" + "a=1," * 9000 + ") }}", BUDGET),
    Case("a template that is too long", "x" * 65537, BUDGET),
    Case("half of a surrogate pair", r'{{ "\ud800" }}', REFUSED),
    Case("braces without end", "{{" * 32000, BUDGET),
    Case("comments without end", "{#" * 32000, REFUSED),
    Case("quotes without end", "{{ '" + "\\'" * 30000, REFUSED),
    Case("quotes in rows", "{{ " + "''" * 30000 + " }}", BUDGET),
    Case("an escape for each letter", "{{ '" + "\\x41" * 16000 + "' * 9999 }}", BUDGET),
    Case("digits with underscores", "{{ " + "1_" * 30000 + " }}", BUDGET),
    Case("raw blocks without end", "{% raw %}" * 7000, REFUSED),
    Case("a very long name", "{{ " + "a" * 60000 + " }}", REFUSED),
    # Searches, orders and walks over large values
    Case(
        "a search in a loop",
        "{% set s = 'a' * 250000 %}{% for i in range(9999) %}{{ 'aaaaaaaaab' in s }}{% endfor %}",
        BUDGET,
    ),
    Case("a search backwards", "{{ ('a' * 250000).rfind('b' ~ 'a' * 120000) }}", REFUSED),
    Case("a strip of many letters", "{{ ('a' * 250000).strip('b' * 200000) }}", BUDGET),
    Case(
        "a search for a long needle",
        "{% set s = 'a' * 200000 %}{% set t = 'a' * 50000 ~ 'b' %}"
        "{% for i in range(999) %}{{ s.count(t) }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "splitting into letters",
        "{% for i in range(99) %}{% set x = ('a,' * 120000).split(',') %}{% endfor %}",
        BUDGET,
    ),
    Case(
        "words held together by other white space, wrapped",
        "{% set v = ('a\u00a0' * 55000) ~ '\U0001f600' %}{{ v|wordwrap(1) }}",
        BUDGET,
    ),
    Case("one long word wrapped", "{{ ('a' * 250000)|wordwrap(1) }}", BUDGET),
    Case(
        "wrapped with a long end", "{{ ('a ' * 9000)|wordwrap(1, wrapstring='x' * 9000) }}", BUDGET
    ),
    Case(
        "sorting in a loop",
        "{% for i in range(999) %}{{ range(9999)|sort|length }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "sorting long texts",
        "{% set s = 'a' * 200000 %}{{ ([s ~ 1, s ~ 2, s ~ 3] * 9000)|sort|length }}",
        BUDGET,
    ),
    Case("slices without number", "{{ [1]|slice(1000000000)|list }}", BUDGET),
    Case("a batch filled without end", "{{ [1]|batch(1000000000, 0)|list }}", BUDGET),
    Case("batches in batches", _unrolled("{% set x = x|batch(1) %}", 60), BUDGET),
    Case(
        "equality in a loop",
        "{% set a = range(50000) %}{% set b = range(50000) %}"
        "{% for i in range(9999) %}{{ a == b }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "a list in a list, in a loop",
        "{% set a = range(50000) %}{% for i in range(9999) %}{{ -1 in a }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "JSON in a loop",
        "{% for i in range(9999) %}{{ range(9999)|tojson|length }}{% endfor %}",
        BUDGET,
    ),
    Case("letters that grow", "{{ ('ΐ' * 200000)|upper }}", BUDGET),
    Case(
        "letters that grow again and again",
        _unrolled("{% set x = x|title|upper|lower %}", 400, start="{% set x = 'ΐ' * 80000 %}"),
        BUDGET,
    ),
    Case("tags stripped", "{{ ('<' * 200000)|striptags }}", REFUSED),
    Case("words counted", "{{ ('a ' * 100000)|wordcount }}", REFUSED),
    Case("links made", "{{ ('http://' * 30000)|urlize }}", REFUSED),
    Case("printed prettily", "{{ range(1000)|pprint }}", REFUSED),
    Case("XML attributes", "{{ {'a': 1}|xmlattr }}", REFUSED),
    Case("groups", "{{ [{'a': 1}]|groupby('a') }}", REFUSED),
    Case(
        "folding long texts",
        "{% set s = 'A' * 200000 %}{{ ([s ~ 1, s ~ 2] * 9000)|unique|length }}",
        BUDGET,
    ),
    Case(
        "titles of many words",
        "{% for i in range(99) %}{{ ('ⅷⅷ-' * 80000)|title|length }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "many words wrapped",
        "{% for i in range(99) %}{{ ('a-' * 50000)|wordwrap(2)|length }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "indented JSON in a loop",
        "{% set a = range(9999) %}{% for i in a %}{{ a|tojson(indent=0)|length }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "reading through many keys",
        "{% for i in range(99999) %}{{ [i]|map(attribute='a.b.c', default=1)|first }}{% endfor %}",
        BUDGET,
    ),
    Case(
        "a caught error in a loop", "{% for i in range(99999) %}{{ 'x'|int }}{% endfor %}", BUDGET
    ),
    Case(
        "undefined in a loop",
        "{% for i in range(99999) %}{{ v.a is defined }}{{ i.b|default(1) }}{% endfor %}",
        BUDGET,
        "{}",
    ),
    # Values
    Case("a value of great depth", "{{ v }}", VARIABLE, "deep(100_000)"),
    Case("a value that holds itself", "{{ v }}", VARIABLE, "circle()"),
    Case("a value that doubles", "{{ v }}", VARIABLE, "doubled(60)"),
    Case("a value of many items", "{{ v }}", VARIABLE, "[0] * 1_000_000"),
    Case("a value of much text", "{{ v }}", VARIABLE, "'a' * 10_000_000"),
    Case("a number of many digits", "{{ v * v }}", VARIABLE, "1 << 5_000_000"),
    Case("an object", "{{ v.__class__ }}", REFUSED, "object()"),
    Case("an object as a value", "{{ v }}", VARIABLE, "object()"),
    Case(
        "a large value printed often",
        "{% for i in v %}{{ v }}{% endfor %}",
        BUDGET,
        "['a' * 100] * 1000",
    ),
    Case("text that is too long to print", "{{ v }}{{ v }}", BUDGET, "'ä' * 100_000"),
]


def deep(levels: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def circle() -> list[Any]:
    """A list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


def doubled(levels: int) -> list[Any]:
    """A list of few objects that is 2 ** levels large when walked."""
    value: list[Any] = [1]
    for _ in range(levels):
        value = [value, value]
    return value


_VALUES = {"deep": deep, "circle": circle, "doubled": doubled}


def _measure(case: Case) -> dict[str, object]:
    """Compiles and renders one case in this process."""
    from trimtab.errors import TrimtabError
    from trimtab.prompts.template import compile_version
    from trimtab.prompts.version import version_from_identity

    version = version_from_identity(
        {
            "messages": [{"role": "user", "template": case.source}],
            "variables": {
                "type": "object",
                "properties": {"v": {}},
                "required": ["v"],
                "additionalProperties": False,
            },
        }
    )
    value = eval(case.values, dict(_VALUES))  # noqa: S307  # our own table
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        rendered = compile_version(version, {}).render({"v": value})
        ended = f"{len(str(rendered))} characters"
    except TrimtabError as error:
        ended = type(error).__name__
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "name": case.name,
        "ended": ended,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": (after.ru_maxrss - before.ru_maxrss) / 1024,
    }


def _run_forked(case: Case) -> None:
    """Renders one case in a child that is killed at two seconds of CPU or 300 MB more."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps({"name": case.name, "ended": f"killed: {status}"}), flush=True)  # noqa: T201
        return
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
    print(json.dumps(_measure(case)), flush=True)  # noqa: T201
    os._exit(0)


def main() -> None:
    """Renders the cases whose names are on stdin, all of them when it is empty."""
    wanted = set(json.load(sys.stdin))
    _measure(Case("warm", "{% for i in [1] %}{{ v|upper }}{% endfor %}", REFUSED, "'a'"))
    for case in CASES:
        if case.name in wanted:
            _run_forked(case)


if __name__ == "__main__":
    main()

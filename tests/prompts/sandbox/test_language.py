"""The comfortable language: what templates write every day gives what bare Jinja2 gives."""

from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined

from tests.prompts.rendering import rendered
from trimtab.errors import TemplateError

_BARE = Environment(keep_trailing_newline=True, undefined=StrictUndefined)  # noqa: S701
_VALUES: dict[str, Any] = {
    "name": "ada LOVELACE",
    "text": "the quick-brown fox\njumps over\n\nthe lazy dog and runs far away",
    "words": ["pear", "Apple", "fig", "apple", "Fig", "quince"],
    "numbers": [3, 1, 2, 10, -4],
    "people": [
        {"name": "Bo", "age": 31, "tags": ["x", "y"], "home": {"city": "Bern"}},
        {"name": "al", "age": 25, "tags": [], "home": {"city": "Rome"}},
        {"name": "Cy", "age": 31, "tags": ["z"], "home": {"city": "Oslo"}},
    ],
    "prices": {"tea": 2.5, "Cake": 4, "bun": 1.25},
    "nothing": None,
    "empty": [],
    "flag": True,
    "ratio": 2.71828,
}

_TEMPLATES = [
    # text
    "{{ name|upper }}|{{ name|lower }}|{{ name|title }}|{{ name|capitalize }}",
    "{{ '  a  '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ name.strip('a') }}|{{ name.lstrip('ad') }}",
    "{{ name|replace('A', 'o') }}|{{ name|replace('a', 'o', 1) }}|{{ name.replace('L', 'l', 2) }}",
    "{{ text|truncate(20) }}|{{ text|truncate(20, true) }}|{{ text|truncate(20, end='') }}",
    "{{ text|truncate(60, leeway=0) }}|{{ 'short'|truncate }}",
    "{{ text|indent }}|{{ text|indent(2, first=true) }}|{{ text|indent('> ', true, true) }}",
    "{{ text|wordwrap(12) }}|{{ text|wordwrap(5, false) }}|{{ text|wordwrap(9, wrapstring='/') }}",
    "{{ name|center(30) }}|{{ name|length }}|{{ name|count }}|{{ name|reverse }}",
    "{{ name.split() }}|{{ name.split('a', 1) }}|{{ text.splitlines() }}|{{ ','.join(words) }}",
    "{{ name.startswith('ada') }}|{{ name.endswith('x') }}|{{ name.count('L') }}",
    "{{ name.removeprefix('ada ') }}|{{ name.removesuffix('E') }}|{{ name.title() }}",
    "{{ name[0] }}|{{ name[-1] }}|{{ name[1:5] }}|{{ name[::-1] }}|{{ name[:3] ~ name[3:] }}",
    "{{ '%s is %d, %.2f%%'|format(name, 7, ratio) }}|{{ '%5d|%-5s|'|format(3, 'a') }}",
    "{{ 'a' + 'b' }}|{{ 'ab' * 3 }}|{{ 1 ~ 'a' ~ none ~ 2.0 }}|{{ 'a' < 'b' }}|{{ 'd' in name }}",
    # numbers
    "{{ 1 + 2 * 3 - 4 }}|{{ 7 / 2 }}|{{ 7 // 2 }}|{{ 7 % 3 }}|{{ 2 ** 10 }}|{{ -3|abs }}",
    "{{ ratio|round }}|{{ ratio|round(2) }}|{{ ratio|round(1, 'ceil') }}|{{ 7|round(-1) }}",
    (
        "{{ ratio|round(1, 'floor') }}|{{ '12'|int }}|{{ '1.9'|int }}|{{ 'x'|int(5) }}|"
        "{{ '0x1f'|int(0, 16) }}"
    ),
    "{{ '1.5'|float }}|{{ 'x'|float(2.0) }}|{{ 3.0|string }}|{{ 10|string|length }}",
    "{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 1 == 1.0 }}|{{ 1 != 2 }}|{{ 3 >= 3 }}|{{ not flag }}",
    # lists
    "{{ words|join(', ') }}|{{ words|join }}|{{ people|join('; ', attribute='name') }}",
    "{{ words|first }}|{{ words|last }}|{{ words|length }}|{{ words[1] }}|{{ words[1:3] }}",
    "{{ words|sort }}|{{ words|sort(reverse=true) }}|{{ words|sort(case_sensitive=true) }}",
    "{{ people|sort(attribute='age,name')|map(attribute='name')|join(',') }}",
    "{{ people|sort(attribute='name', reverse=true)|map(attribute='name')|join(',') }}",
    "{{ words|unique|list }}|{{ words|unique(true)|list }}|{{ numbers|sort }}",
    "{{ people|unique(attribute='age')|map(attribute='name')|list }}",
    "{{ numbers|sum }}|{{ numbers|min }}|{{ numbers|max }}|{{ people|sum('age', 10) }}",
    "{{ words|min }}|{{ words|max }}|{{ (people|max(attribute='age')).name }}",
    "{{ words|map('upper')|list }}|{{ words|map('replace', 'p', 'b')|list }}",
    (
        "{{ people|map(attribute='home.city')|list }}|"
        "{{ people|map(attribute='tags.0', default='-')|list }}"
    ),
    (
        "{{ numbers|select('odd')|list }}|{{ numbers|reject('gt', 2)|list }}|"
        "{{ [0, 1, '']|select|list }}"
    ),
    "{{ people|selectattr('tags')|map(attribute='name')|list }}",
    "{{ people|selectattr('age', 'eq', 31)|map(attribute='name')|list }}",
    "{{ people|rejectattr('name', 'in', ['Bo', 'al'])|map(attribute='name')|list }}",
    "{{ words|batch(4)|list }}|{{ words|batch(4, '-')|list }}|{{ words|slice(4)|list }}",
    "{{ words|slice(4, '-')|list }}|{{ words|reverse|list }}|{{ 'abc'|list }}|{{ prices|list }}",
    "{{ [1, 2] + [3] }}|{{ [1] * 3 }}|{{ (1, 2) + (3,) }}|{{ [name, 1] }}|{{ 3 in numbers }}",
    "{{ range(3)|list }}|{{ range(1, 9, 3)|list }}|{{ range(5, 0, -2)|list }}",
    "{{ [[1, 2], [3]] == [[1, 2], [3]] }}|{{ [1, 2] < [1, 3] }}|{{ words == words }}",
    # mappings
    "{{ prices.tea }}|{{ prices['Cake'] }}|{{ prices.get('bun') }}|{{ prices.get('x', 0) }}",
    "{% for k, v in prices.items() %}{{ k }}={{ v }};{% endfor %}{{ prices.keys()|list }}",
    "{% for k, v in prices|items %}{{ k }}={{ v }};{% endfor %}{{ prices.values()|list }}",
    "{{ prices|dictsort }}|{{ prices|dictsort(true) }}|{{ prices|dictsort(by='value') }}",
    "{{ prices|dictsort(reverse=true) }}|{{ {'a': name, 'b': [1]} }}|{{ prices|length }}",
    "{{ people[0].home.city }}|{{ people[0]['home']['city'] }}|{{ people.0.name }}",
    # tests
    (
        "{{ name is defined }}{{ missing is defined }}{{ missing is undefined }}"
        "{{ prices.x is defined }}"
    ),
    (
        "{{ nothing is none }}{{ name is string }}{{ 1 is number }}{{ 1.5 is float }}"
        "{{ 1 is integer }}"
    ),
    "{{ prices is mapping }}{{ words is sequence }}{{ words is iterable }}{{ flag is true }}",
    (
        "{{ flag is boolean }}{{ false is false }}{{ 3 is odd }}{{ 3 is even }}"
        "{{ 9 is divisibleby 3 }}"
    ),
    "{{ 1 is eq 1 }}{{ 1 is ne 1 }}{{ 1 is lt 2 }}{{ 1 is gt 2 }}{{ 1 is le 1 }}{{ 1 is ge 2 }}",
    (
        "{{ 'A' is upper }}{{ 'A' is lower }}{{ 1 is in [1] }}{{ 'a' is not in 'b' }}"
        "{{ 2 is not none }}"
    ),
    # default
    "{{ missing|default('d') }}|{{ prices.x|d(3) }}|{{ ''|default('e', true) }}|{{ 0|default(1) }}",
    # control
    "{% if flag %}a{% elif name %}b{% else %}c{% endif %}{{ 'x' if empty else 'y' }}",
    "{% for w in words %}{{ w }}{{ ', ' if not loop.last }}{% endfor %}",
    "{% for w in words %}{{ loop.index }}/{{ loop.length }}{% endfor %}{{ 'x' ~ ('y' if empty) }}",
    (
        "{% for w in words %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}"
        "{{ loop.first }}{% endfor %}"
    ),
    (
        "{% for w in words %}{{ loop.cycle('a', 'b') }}{% if loop.previtem is defined %}<"
        "{% endif %}{% endfor %}"
    ),
    (
        "{% for w in empty %}x{% else %}none{% endfor %}{% for n in numbers if n > 1 %}"
        "{{ loop.index }}:{{ n }};{% endfor %}"
    ),
    "{% for p in people %}{% for t in p.tags %}{{ p.name }}{{ t }}{% endfor %}{% endfor %}",
    "{% for c in 'abc' %}{{ c }}.{% endfor %}{% for k in prices %}{{ k }}{% endfor %}",
    (
        "{% set x = 5 %}{{ x }}{% set y %}<{{ x }}>{% endset %}{{ y|upper }}"
        "{% set a, b = (1, 2) %}{{ a + b }}"
    ),
    (
        "{% set n = namespace(total=0) %}{% for i in numbers %}{% set n.total = n.total + i %}"
        "{% endfor %}{{ n.total }}"
    ),
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{% filter upper %}x{{ name }}{% endfilter %}",
    (
        "{% macro hi(who, sign='!') %}Hi {{ who }}{{ sign }}{% endmacro %}{{ hi('Bo') }}"
        "{{ hi('Al', sign='?') }}"
    ),
    (
        "{% macro a(x) %}[{{ x }}]{% endmacro %}{% macro b(x) %}{{ a(x) }}{{ a(x) }}"
        "{% endmacro %}{{ b(1)|length }}"
    ),
    "{% for w in words %}{% set up = w|upper %}{{ up }}{% endfor %}",
    "{# a comment #}{% raw %}{{ not this }}{% endraw %}{%- if flag -%} tight {%- endif -%} end\n",
    "line\n{% if flag %}\nkept\n{% endif %}\n",
    "{{ 'tab\\t and \\\\ and \\u00e9' }}|{{ \"it's\" }}",
]


@pytest.mark.parametrize("template", _TEMPLATES)
def test_a_template_of_the_language_renders_as_bare_jinja_renders_it(template: str) -> None:
    assert rendered(template, **_VALUES) == _BARE.from_string(template).render(_VALUES)


def test_json_keeps_the_order_of_keys_and_escapes_nothing_for_html() -> None:
    value = {"z": "<b> & 'é'", "a": [1, 2.5, None, True]}

    assert rendered("{{ v|tojson }}", v=value) == (
        """{"z": "<b> & 'é'", "a": [1, 2.5, null, true]}"""
    )


def test_json_is_indented_when_asked() -> None:
    assert rendered("{{ v|tojson(indent=2) }}", v={"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}'


def test_json_refuses_what_json_cannot_write() -> None:
    with pytest.raises(TemplateError, match="NaN or infinity"):
        rendered("{{ (1e308 * 10)|tojson }}")


def test_a_key_named_like_a_method_is_read_as_a_key() -> None:
    assert rendered("{{ v.items }}{{ v.get }}", v={"items": "a", "get": "b"}) == "ab"


def test_html_is_left_as_it_is() -> None:
    assert rendered("{{ v }}<&>", v="<b>&'\"") == "<b>&'\"<&>"


def test_a_value_is_never_read_as_a_template() -> None:
    hostile = "{{ 7 * 7 }}{% for i in range(9) %}{% include 'x' %}"

    assert rendered("{{ v }}{{ v|upper|lower }}", v=hostile) == hostile * 2


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ v.x }}", "no key 'x'"),
        ("{{ v.x.y }}", "no key 'x'"),
        ("{% for i in missing %}{% endfor %}", "'missing' is undefined"),
        ("{{ missing ~ 'a' }}", "'missing' is undefined"),
        ("{{ [missing]|join }}", "'missing' is undefined"),
        ("{{ missing == 1 }}", "'missing' is undefined"),
        ("{{ [] | first }}", "no first item"),
        ("{{ v['__class__'] }}", "no key '__class__'"),
        ("{{ 'a'.real }}", "attributes|no 'real'"),
        ("{% for i in 5 %}{% endfor %}", "`for` cannot be done with int"),
        ("{{ 'a' + 1 }}", "`~` joins anything"),
        ("{{ 'a' - 1 }}", "takes numbers, not str"),
        ("{{ '%s' % 1 }}", "use the filter `format`"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 1 < 'a' }}", "not supported between"),
        ("{{ [1, 'a']|sort }}", "not supported between"),
        ("{{ {[1]: 2} }}", "a mapping's key"),
        ("{{ v.upper() }}", "the method `upper` cannot be done with dict"),
        ("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "macro 'm' takes not more than 1"),
        ("{% set n = 1 %}{% set n.x = 2 %}", "non-namespace"),
        ("{{ 1 is divisibleby 'a' }}", "`divisibleby` cannot be done with str"),
    ],
)
def test_a_failing_expression_says_why(template: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        rendered(template, v={"a": 1})


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ a|nope }}", "no filter 'nope'; there are abs, batch"),
        ("{{ a is nope }}", "no test 'nope'; there are"),
        ("{{ a.nope() }}", "no method 'nope'; there are capitalize"),
        ("{{ a|replace('x') }}", "the filter 'replace': missing a required argument: 'new'"),
        ("{{ a|upper(1) }}", "the filter 'upper': too many"),
        ("{{ a|join(sep=',') }}", "unexpected keyword argument 'sep'"),
        ("{{ a|map('nope') }}", "map takes the name of a filter"),
        ("{{ a|map }}", "map takes a filter name or attribute"),
        ("{{ a|selectattr }}", "selectattr takes the name of an attribute first"),
        ("{{ a|selectattr('x', 'nope') }}", "takes the name of a test"),
        ("{{ nope() }}", "'nope' cannot be called; there are range, namespace"),
        ("{{ a()() }}", "only macros, range, namespace and methods"),
        ("{{ loop.index }}", "only in the body of a `for`"),
        ("{% for i in a %}{{ loop.depth }}{% endfor %}", "`loop` has no 'depth'"),
        ("{% set range = 1 %}", "'range' is reserved"),
        ("{% set _x = 1 %}", "underscore"),
        ("{% macro m() %}{% endmacro %}{% set m = 1 %}", "'m' is a macro"),
        ("{% if a %}{% macro m() %}{% endmacro %}{% endif %}", "top level"),
        ("{% include a %}", "one constant name"),
        ("{% include 'x' ignore missing %}", "ignore missing"),
        ("{% block a %}{% endblock %}", "no `block`: use include"),
        ("{% autoescape true %}{% endautoescape %}", "nothing is escaped"),
        ("{{ a[1:2, 3] }}", "a slice stands alone"),
        (r"{{ '\d' }}", "escape"),
        ("{{ a", "unexpected end of template"),
        ("{% nope %}", "unknown tag 'nope'"),
        ("{{ a }}\n{{ b", "line 2"),
    ],
)
def test_what_is_outside_the_language_is_refused_before_rendering(
    template: str, reason: str
) -> None:
    with pytest.raises(TemplateError, match=reason):
        rendered(template, a=[])

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import PromptFileError
from trimtab.prompts.blocks import Block, cut_blocks


def cut(body: str) -> list[Block]:
    return cut_blocks(body, where="f", first_line=1)


def templates(body: str) -> list[str]:
    return [block.template for block in cut(body)]


def test_a_body_without_tags_is_one_text_less_one_line_end() -> None:
    assert cut("Hello\n\n") == [Block(kind="text", line=1, template="Hello\n")]


def test_messages_and_history_come_in_order_with_their_lines() -> None:
    body = (
        '{% message role="system" %}\nBe kind.\n{% endmessage %}\n\n'
        '{% history %}\n{% message role="user" %}{{ q }}{% endmessage %}\n'
    )

    assert cut_blocks(body, where="f", first_line=10) == [
        Block(kind="message", line=11, role="system", template="Be kind."),
        Block(kind="history", line=14),
        Block(kind="message", line=15, role="user", template="{{ q }}"),
    ]


@pytest.mark.parametrize(
    ("inner", "template"),
    [
        ("", ""),
        ("\n", ""),
        ("\n\n", ""),
        ("\n\n\n", "\n"),
        ("\na\n", "a"),
        ("a", "a"),
        ("\n  a\n  ", "  a\n  "),
        (" \na\n", " \na"),
    ],
)
def test_one_line_end_is_lost_inside_each_tag(inner: str, template: str) -> None:
    assert templates(f'{{% message role="user" %}}{inner}{{% endmessage %}}') == [template]


@pytest.mark.parametrize(
    ("opening", "closing", "template"),
    [
        ('{% message role="user" -%}', "{% endmessage %}", "a\n"),
        ('{% message role="user" %}', "{%- endmessage %}", "\n  a"),
        ('{%- message role="user" -%}', "{%- endmessage -%}", "a"),
        ('{% message role="user" +%}', "{% endmessage %}", "\n\n  a\n"),
        ('{% message role="user" %}', "{%+ endmessage %}", "\n  a\n\n"),
        ("{%message role = 'user'%}", "{%endmessage%}", "\n  a\n"),
    ],
)
def test_signs_of_white_space_control_decide_as_in_jinja(
    opening: str, closing: str, template: str
) -> None:
    assert templates(f"{opening}\n\n  a\n\n{closing}") == [template]


def test_white_space_control_of_other_tags_stays_in_the_template() -> None:
    body = '{% message role="user" %}\n\n{%- if x -%}\n\n a {% endif -%}\n\n{% endmessage %}\n'

    assert templates(body) == ["\n{%- if x -%}\n\n a {% endif -%}\n"]


@pytest.mark.parametrize(
    "text",
    [
        "{% raw %}{% endmessage %}{% endraw %}",
        "{%- raw -%} {% message %} {%- endraw -%}",
        "{# {% endmessage %} #}",
        "{#- {% message role='user' %} -#}",
        '{{ "{% endmessage %}" }}',
        "{% if x == '{% endmessage %}' %}a{% endif %}",
        "{{ {'a': {'b': 1}}.a.b }}",
    ],
)
def test_tags_in_raw_comments_and_strings_are_text(text: str) -> None:
    assert templates(f'{{% message role="user" %}}{text}{{% endmessage %}}') == [text]
    assert cut(text.replace("{% endmessage %}", "x"))[0].kind == "text"


def test_comments_and_white_space_may_stand_between_blocks() -> None:
    body = '{# a #}\n\n{% message role="user" %}x{% endmessage %}\n {#- {{ b }} -#} \n'

    assert templates(body) == ["x"]


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ('Hi\n{% message role="user" %}x{% endmessage %}', 1, '"Hi" stands outside'),
        ('{% message role="user" %}x{% endmessage %}\n\n bye', 3, '"bye" stands outside'),
        ('{{ a }}{% message role="user" %}x{% endmessage %}', 1, "outside the message blocks"),
        ("{% raw %}{% endraw %}{% history %}", 1, "outside the message blocks"),
        ('{% set a = 1 %}{% message role="user" %}x{% endmessage %}', 1, "{% set a = 1 %}"),
        (
            '{% if a %}\n{% message role="user" %}x{% endmessage %}\n{% endif %}',
            2,
            "{% message %} stands inside {% if %} of line 101",
        ),
        ("\n{% for a in b %}\n\n{% history %}{% endfor %}", 4, "inside {% for %} of line 102"),
        (
            '{% message role="user" %}\n{% if a %}\n{% message role="user" %}x{% endmessage %}',
            3,
            "inside the message of line 101",
        ),
        ('{% message role="user" %}\n{% history %}{% endmessage %}', 2, "inside the message"),
        ('\n{% message role="user" %}x', 2, "never closed"),
        ("x\n{% endmessage %}", 1, "outside"),
        ("{% endmessage %}", 1, "closes nothing"),
        ('{% message role="robot" %}x{% endmessage %}', 1, 'role "robot" is not one of system'),
        ("{% message role=user %}x{% endmessage %}", 1, 'write {% message role="user" %}'),
        ('{% message "user" %}x{% endmessage %}', 1, 'write {% message role="user" %}'),
        ("{% message %}x{% endmessage %}", 1, 'write {% message role="user" %}'),
        ('{% message role="user" if a %}x{% endmessage %}', 1, "write {% message"),
        ('{% message role="user" %}x{% endmessage user %}', 1, "endmessage %} takes nothing"),
        ("{% history 3 %}", 1, "history %} takes nothing"),
        ("{% history %}\n{% history %}", 2, "stands on line 101 already"),
        ('{% message role="user" %}\nx{% endmessage', 2, "not closed by %}"),
        ('{% message role="user" %}\n{# x', 2, "Missing end of comment"),
        ('{% message role="user" %}\n{% raw %}x{% endmessage %}', 2, "Missing end of raw"),
        ("a\n{{ ( ] }}", 2, "unexpected"),
    ],
)
def test_a_block_that_cannot_be_cut_is_refused_by_its_line_in_the_file(
    body: str, line: int, reason: str
) -> None:
    with pytest.raises(PromptFileError) as refused:
        cut_blocks(body, where="f", first_line=101)

    assert str(refused.value).startswith(f"f, line {line + 100}: ")
    assert reason in str(refused.value)
    assert refused.value.line == line + 100


@given(st.text(st.sampled_from('{%}-+# \n"ab'), max_size=40))
def test_any_text_inside_raw_comes_out_as_it_stands(text: str) -> None:
    inner = f"<{{% raw %}}{text}{{% endraw %}}>"

    assert templates(f'{{% message role="user" %}}{inner}{{% endmessage %}}') == [inner]


@given(
    st.lists(
        st.sampled_from(
            [
                "{% ",
                "%}",
                "message ",
                "role=",
                '"user"',
                "{{",
                "}}",
                "\n",
                "{% endmessage %}",
                '{% message role="user" %}',
                "{# ",
                "#}",
                "{% raw %}",
                "{% endraw %}",
                "x",
                "{%- ",
                "-%}",
                "history ",
            ]
        )
    )
)
def test_any_body_is_cut_or_refused_with_a_line(parts: list[str]) -> None:
    body = "".join(parts)
    line: int | None = 1
    try:
        blocks = cut(body)
    except PromptFileError as error:
        blocks, line = [], error.line

    assert line in range(1, body.count("\n") + 2)
    assert all(block.template in body for block in blocks)

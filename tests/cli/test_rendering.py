import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json

HOSTILE = {
    "repeated text": '{{ "a" * 1000000000 }}',
    "wide centre": '{{ "a" | center(200000000) }}',
    "nested loops": "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
    "recursive macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "endless range": "{% for i in range(10**9) %}x{% endfor %}",
    "doubling": (
        '{% set n = namespace(a="aaaa") %}{% for i in range(60) %}'
        "{% set n.a = n.a ~ n.a %}{% endfor %}{{ n.a }}"
    ),
    "replace": '{{ ("a" * 1000) | replace("a", "b" * 100000) }}',
    "wide format": '{{ "%999999999d" | format(1) }}',
    "attribute walk": "{{ ().__class__.__base__.__subclasses__() }}",
    "deep parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "big power": "{{ 10 ** 10 ** 10 }}",
}


def test_a_file_becomes_messages(prompts: Path, name: str) -> None:
    values = '{"question": "Where is it?"}'

    found = run_json("render", str(prompts / f"{name}.prompt"), "--vars", values)

    assert found["prompt"] == name
    assert found["model"] == "openai/gpt-4o-2024-11-20"
    assert found["messages"] == [
        {"role": "system", "content": "Answer briefly. Be kind."},
        {"role": "user", "content": "Where is it?"},
    ]


def test_people_see_each_message_under_its_role(prompts: Path, name: str) -> None:
    result = run("render", str(prompts / f"{name}.prompt"), "--vars", '{"question": "\\u001b[2J"}')

    assert result.exit_code == 0
    assert "system" in result.stdout
    assert "Answer briefly. Be kind." in result.stdout
    assert "\\x1b[2J" in result.stdout


def test_the_history_stands_where_the_template_says(tmp_path: Path) -> None:
    path = tmp_path / "chat.prompt"
    path.write_text('{% message role="system" %}Hi{% endmessage %}{% history %}')
    history = tmp_path / "history.json"
    history.write_text('[{"role": "user", "content": "hello"}]')

    found = run_json("render", str(path), "--history", f"@{history}")

    assert [message["role"] for message in found["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--vars", "{question: 1}"), "is not JSON"),
        (("--vars", '{"question": 1}'), "question"),
        (("--vars", "{}"), "question"),
        (("--vars", '{"question": "x", "other": 1}'), "other"),
        (("--vars", "@/nowhere"), "cannot be read"),
        (("--vars", '{"question": "x"}', "--history", "[1]"), "list of messages"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_values_that_do_not_fit_are_one_clear_error(
    prompts: Path, name: str, arguments: tuple[str, ...], said: str
) -> None:
    result = run("render", str(prompts / f"{name}.prompt"), *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("template", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_template_ends_in_one_clear_error(tmp_path: Path, template: str) -> None:
    path = tmp_path / "hostile.prompt"
    path.write_text(template)
    began = time.process_time()

    result = run("render", str(path))

    assert result.exit_code == 2
    assert result.stderr.startswith("trimtab: ")
    assert len(result.stderr.splitlines()) == 1
    assert time.process_time() - began < 1.0


def test_hostile_templates_take_no_more_than_fifty_megabytes(tmp_path: Path) -> None:
    paths = []
    for number, template in enumerate(HOSTILE.values()):
        paths.append(tmp_path / f"hostile{number}.prompt")
        paths[-1].write_text(template)
    code = (
        "import resource, sys\n"
        "from click.testing import CliRunner\n"
        "from trimtab.cli.commands import trimtab\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "CliRunner().invoke(trimtab, ['render', '--help'])\n"
        "before = peak()\n"
        "codes = [CliRunner().invoke(trimtab, ['render', p]).exit_code for p in sys.argv[1:]]\n"
        "print(peak() - before, codes)\n"
    )
    arguments = [sys.executable, "-c", code, *map(str, paths)]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True)
    grown, codes = found.stdout.split(maxsplit=1)

    assert json.loads(codes) == [2] * len(HOSTILE)
    per_unit = 1024 if sys.platform != "darwin" else 1
    assert int(grown) * per_unit < 50 * 1024 * 1024


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"---\nmodel: [\n---\nHi", "not YAML"),
        (b"---\nmodle: x\n---\nHi", "did you mean"),
        (b"---\nnever closed", "never closed"),
        (b"\xff\xfe", "hello.prompt"),
        (b"{{ x", "hello.prompt"),
        (b'{% include "nowhere" %}', "nowhere"),
    ],
    ids=["yaml", "field", "fence", "bytes", "template", "include"],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "hello.prompt"
    path.write_bytes(content)

    result = run("render", str(path))

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("given", ["nowhere/x.prompt", "support.reply", "A B@1.0.0", "x@"])
def test_a_file_or_reference_that_cannot_be_is_refused_without_a_server(given: str) -> None:
    result = run("render", given, env={"TRIMTAB_KEY": "tt_some_key_that_is_long"})

    assert result.exit_code == 2
    assert result.stderr.startswith("trimtab: ")


def test_a_registered_version_is_rendered_with_its_fragments(
    server: Running, released: str
) -> None:
    values = '{"question": "Where?"}'

    live = run_json("render", f"{released}@dev", "--vars", values, env=server.env())
    newest = run_json("render", f"{released}@1.1.0", "--vars", values, env=server.env())

    assert live["messages"][0]["content"] == "Answer briefly. Be kind."
    assert newest["messages"][0]["content"] == "Answer in one sentence. Be kind."

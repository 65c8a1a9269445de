from pathlib import Path

import pytest

from trimtab.cli.json_values import json_messages, json_object
from trimtab.errors import BadInput


def test_an_object_is_taken_from_the_text_or_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text('{"question": "größer?"}')

    assert json_object('{"n": 2}', option="--vars") == {"n": 2}
    assert json_object(f"@{path}", option="--vars") == {"question": "größer?"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{question: 1}", "is not JSON"),
        ("[1]", "is a list, want an object"),
        ("null", "is null, want an object"),
        ('"text"', "is a text, want an object"),
        ("true", "is true or false, want an object"),
        ("1", "is a number, want an object"),
        ("@/nowhere/values.json", "cannot be read"),
        ("@/", "cannot be read"),
        ("[" * 100_000, "is not JSON"),
    ],
    ids=lambda text: text[:20],
)
def test_anything_else_is_refused_with_the_option_and_the_way_out(given: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"--vars") as caught:
        json_object(given, option="--vars")

    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_history_is_a_list_of_messages() -> None:
    messages = [{"role": "user", "content": "hi"}]

    assert json_messages('[{"role": "user", "content": "hi"}]', option="--history") == messages
    with pytest.raises(BadInput, match="list of messages"):
        json_messages('["hi"]', option="--history")

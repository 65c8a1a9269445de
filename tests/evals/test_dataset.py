import pytest

from trimtab.errors import DatasetError
from trimtab.evals.dataset import read_dataset

LINES = """\
{"id": "a", "variables": {"question": "Where?"}, "expected": "here", "tags": ["place"]}

{"id": "b", "history": [{"role": "user", "content": "Hi"}]}
"""
YAML = """\
- id: a
  variables: {question: "Where?"}
  expected: here
  tags: [place]
- id: b
  history: [{role: user, content: Hi}]
"""


def test_json_lines_give_samples_in_order() -> None:
    dataset = read_dataset(LINES, where="d.jsonl")

    first, second = dataset.samples
    assert first.id == "a"
    assert first.variables == {"question": "Where?"}
    assert first.expected == "here"
    assert second.history == [{"role": "user", "content": "Hi"}]


def test_the_same_samples_have_one_sha_in_either_form() -> None:
    assert read_dataset(LINES, where="d.jsonl").sha == read_dataset(YAML, where="d.yaml").sha


def test_another_expectation_has_another_sha() -> None:
    changed = LINES.replace("here", "there")

    assert read_dataset(LINES, where="d.jsonl").sha != read_dataset(changed, where="d.jsonl").sha


@pytest.mark.parametrize(
    ("text", "where", "named"),
    [
        ('{"id": "a"}\n{"id": "a"}\n', "d.jsonl", r'line 2: id "a" is there twice'),
        ('{"id": "a"}\n{"id": \n', "d.jsonl", "line 2: not JSON"),
        ('{"id": "a", "expect": 1}\n', "d.jsonl", "line 1: .*expect"),
        ('{"variables": {}}\n', "d.jsonl", "line 1: .*id"),
        ('{"id": ""}\n', "d.jsonl", "line 1: the id is empty"),
        ("- id: a\n- id: b\n  extra: 1\n", "d.yaml", "line 2: .*extra"),
        ("- id: a\n- id: [\n", "d.yaml", "d.yaml"),
        ("id: a\n", "d.yaml", "want a list of samples"),
        ("\n", "d.jsonl", "no samples"),
    ],
)
def test_a_bad_file_is_refused_with_the_line(text: str, where: str, named: str) -> None:
    with pytest.raises(DatasetError, match=named):
        read_dataset(text, where=where)

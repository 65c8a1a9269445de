from pathlib import Path

import msgspec
import pytest

from trimtab.errors import DatasetError
from trimtab.evals.suite import load_suite, read_suite

SUITE = """\
prompt: support.reply
dataset: data.jsonl
scorers:
  - scorer: contains
    threshold: 0.5
  - {scorer: sentence_count, name: brief, params: {at_most: 3}}
repeat: 2
concurrency: 4
gate: {min_score: 0.8, max_drop: 0.1}
"""


def test_a_suite_file_is_read_whole() -> None:
    suite = read_suite(SUITE, where="evals/reply.yaml")

    assert suite.name == "reply"
    assert suite.prompt == "support.reply"
    assert [entry.name or entry.scorer for entry in suite.scorers] == ["contains", "brief"]
    assert suite.repeat == 2
    assert suite.gate.max_drop == 0.1


def test_a_suite_is_loaded_with_the_dataset_beside_it(tmp_path: Path) -> None:
    (tmp_path / "reply.yaml").write_text(SUITE)
    (tmp_path / "data.jsonl").write_text('{"id": "a", "expected": "x"}\n')

    loaded = load_suite(tmp_path / "reply.yaml")

    assert [sample.id for sample in loaded.dataset.samples] == ["a"]
    assert set(loaded.scorers) == {"contains", "brief"}


def test_the_sha_is_that_of_what_is_measured_and_not_how_fast(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"id": "a"}\n')

    def sha(text: str) -> str:
        (tmp_path / "reply.yaml").write_text(text)
        return load_suite(tmp_path / "reply.yaml").sha

    assert sha(SUITE) == sha(SUITE.replace("concurrency: 4", "concurrency: 9"))
    assert sha(SUITE) != sha(SUITE.replace("at_most: 3", "at_most: 4"))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("prompt:", "promt:", "promt|prompt"),
        ("scorer: contains", "scorer: includes", "includes"),
        ("threshold: 0.5", "threshold: 50", "threshold is 50"),
        ("repeat: 2", "repeat: 0", "repeat is 0"),
        ("max_drop: 0.1", "max_fall: 0.1", "max_fall"),
        ("name: brief", "name: contains", "name of its own"),
        ("repeat: 2", "repeat: [", "reply.yaml"),
    ],
)
def test_a_suite_that_cannot_be_used_says_why(old: str, new: str, named: str) -> None:
    with pytest.raises(DatasetError, match=named):
        read_suite(SUITE.replace(old, new), where="reply.yaml")


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    (tmp_path / "reply.yaml").write_text(SUITE)

    with pytest.raises(DatasetError, match=r"data\.jsonl"):
        load_suite(tmp_path / "reply.yaml")


def test_a_suite_survives_json() -> None:
    suite = read_suite(SUITE, where="reply.yaml")

    assert msgspec.json.decode(msgspec.json.encode(suite), type=type(suite)) == suite

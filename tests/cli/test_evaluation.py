import json
from pathlib import Path

import pytest

from tests.cli.conftest import Running
from tests.cli.running import run, run_json

SUITE = """\
prompt: {prompt}
dataset: samples.jsonl
scorers:
  - {{scorer: regex, params: {{pattern: {pattern}}}}}
gate: {{min_score: 0.9}}
"""


@pytest.fixture
def suite(tmp_path: Path, released: str) -> Path:
    """A suite of five samples that any answer passes."""
    samples = [{"id": f"s{n}", "variables": {"question": f"Where is {n}?"}} for n in range(5)]
    text = "".join(json.dumps(sample) + "\n" for sample in samples)
    (tmp_path / "samples.jsonl").write_text(text)
    return write_suite(tmp_path, released, pattern="'[a-z]'")


def write_suite(folder: Path, prompt: str, *, pattern: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(SUITE.format(prompt=prompt, pattern=pattern))
    return path


def test_a_version_that_passes_is_recorded(
    server: Running, suite: Path, released: str, provider_url: str
) -> None:
    asked = ("--ref", f"{released}@1.1.0", "--against", "dev", "--provider-url", provider_url)

    found = run_json("eval", str(suite), *asked, env=server.env())

    assert found["passed"]
    assert found["recorded"]["verdict"] == "pass"
    assert found["recorded"]["sha"] == found["report"]["sha"]
    assert found["baseline"]["sha"] != found["report"]["sha"]
    assert len(found["report"]["results"]) == 5


def test_a_gate_that_stays_shut_leaves_with_one(
    server: Running, suite: Path, released: str, provider_url: str
) -> None:
    write_suite(suite.parent, released, pattern="'^nothing says this$'")
    asked = ("--ref", f"{released}@1.1.0", "--provider-url", provider_url)

    result = run("eval", str(suite), *asked, env=server.env())

    assert result.exit_code == 1
    assert "the gate stays shut" in result.stdout
    assert "under min_score 0.9" in result.stdout


def test_a_file_is_evaluated_without_recording(
    suite: Path, released: str, prompts: Path, provider_url: str
) -> None:
    path = str(prompts / f"{released}.prompt")

    result = run("eval", str(suite), "--ref", path, "--provider-url", provider_url, "--no-record")

    assert result.exit_code == 0
    assert "the gate opens" in result.stdout


def test_a_file_that_is_not_registered_is_refused_before_anything_is_spent(
    server: Running, suite: Path, released: str, prompts: Path
) -> None:
    path = prompts / f"{released}.prompt"
    path.write_text(path.read_text().replace("one sentence", "two sentences"))

    result = run("eval", str(suite), "--ref", str(path), env=server.env())

    assert result.exit_code == 2
    assert "--no-record" in result.stderr


def test_a_provider_that_is_away_is_trouble_and_no_verdict(
    server: Running, suite: Path, released: str
) -> None:
    asked = ("--ref", f"{released}@1.1.0", "--provider-url", "http://127.0.0.1:9/v1")

    result = run("eval", str(suite), *asked, env=server.env())

    assert result.exit_code == 2
    assert "none of 5 answers came" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt: [", "suite.yaml"),
        ("prompt: x\ndataset: samples.jsonl\nscorers: []\n", "suite.yaml"),
        (SUITE.format(prompt="x", pattern="'('"), "suite.yaml"),
        (SUITE.format(prompt="x", pattern="a").replace("samples", "nowhere"), "nowhere.jsonl"),
        (SUITE.format(prompt="other", pattern="a"), "other"),
    ],
    ids=["yaml", "no scorer", "bad pattern", "no dataset", "other prompt"],
)
def test_a_suite_that_cannot_be_run_is_one_clear_error(
    suite: Path, released: str, prompts: Path, *, text: str, said: str
) -> None:
    suite.write_text(text)
    path = str(prompts / f"{released}.prompt")

    result = run("eval", str(suite), "--ref", path, "--no-record")

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1

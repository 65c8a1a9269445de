"""A real server and a real simulated provider, one of each for a test process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.running import run_json


class Running(NamedTuple):
    """A server in a process of its own, and the environments of people who use it."""

    url: str
    folder: Path
    keys: dict[str, str]

    def env(self, key: str = "admin") -> dict[str, str]:
        """The environment of whoever holds a key."""
        return {"TRIMTAB_URL": self.url, "TRIMTAB_KEY": self.keys[key]}


@contextmanager
def process(*arguments: str) -> Iterator[dict[str, Any]]:
    """Run Python until the block ends; gives the JSON line it prints when it is ready."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line, f"{arguments} ended with {child.wait(10)} before it was ready"
            yield json.loads(line)
        finally:
            child.terminate()
            child.wait(20)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server") / "data"
    command = ("-c", "from trimtab.cli.main import main; main()")
    options = ("--data", str(folder), "--init", "--port", "0", "--json")
    with process(*command, "serve", *options) as ready:
        yield Running(ready["url"], folder, ready["keys"])


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    module = ("-m", "trimtab.testing.simulated_provider")
    with process(*module, "--port", "0", "--time-scale", "0") as ready:
        yield f"http://127.0.0.1:{ready['port']}/v1"


@pytest.fixture
def prompts(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with one prompt and one fragment, whose names no other test has."""
    stem = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())
    folder = tmp_path / "prompts"
    (folder / "shared").mkdir(parents=True)
    (folder / "shared" / "tone.prompt").write_text("---\nkind: fragment\n---\nBe kind.\n")
    (folder / f"{stem[:100]}.prompt").write_text(prompt_text("Answer briefly."))
    return folder


@pytest.fixture
def name(prompts: Path) -> str:
    """The name of the prompt in `prompts`."""
    return next(prompts.glob("*.prompt")).stem


@pytest.fixture
def released(server: Running, prompts: Path, name: str) -> str:
    """The same prompt, with 1.0.0 live in dev and 1.1.0 registered."""
    run_json("push", str(prompts), env=server.env())
    run_json("promote", f"{name}@1.0.0", "dev", "--why", "first", env=server.env())
    (prompts / f"{name}.prompt").write_text(prompt_text("Answer in one sentence."))
    run_json("push", str(prompts), env=server.env())
    return name


def prompt_text(instruction: str) -> str:
    """A prompt file that says one thing to the model."""
    return (
        "---\nmodel: openai/gpt-4o-2024-11-20\nvariables:\n"
        "  question: {type: string, trusted: false}\n---\n"
        f'{{% message role="system" %}}{instruction} {{% include "shared.tone" %}}'
        "{% endmessage %}\n"
        '{% message role="user" %}{{ question }}{% endmessage %}\n'
    )

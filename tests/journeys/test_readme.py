"""What the README shows works as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.house import House
from trimtab.prompts.files import build_set
from trimtab.sdk.files import read_folder

ROOT = Path(__file__).parents[2]
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readme_has_an_sdk_and_a_gateway_snippet() -> None:
    assert ["trimtab.Client" in snippet for snippet in SNIPPETS] == [True, False]
    assert ["OpenAI(" in snippet for snippet in SNIPPETS] == [False, True]


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_readme_runs(house: House, number: int, tmp_path: Path) -> None:
    versions = build_set(read_folder(ROOT / "examples/support/prompts"))
    items = [{"prompt": name, "identity": each.identity} for name, each in versions.items()]
    house.admin.post("/api/v1/push", {"items": items})
    if not released(house):
        house.promote("support.reply", "1.0.0")
    environment = {
        **os.environ,
        "TRIMTAB_URL": house.url,
        "TRIMTAB_KEY": house.secrets["app-prod"],
        "TRIMTAB_CACHE": str(tmp_path),
    }

    done = subprocess.run(
        [sys.executable, "-c", SNIPPETS[number]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ("1.0.0 default Where is it?", "hello")[number]


def released(house: House) -> bool:
    """Whether the prompt is live in prod."""
    status = house.admin.get("/api/v1/status", {"environment": "prod"})
    return any(each["prompt"] == "support.reply" for each in status["environments"][0]["prompts"])

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.house import House, identity, problem_of
from trimtab.sdk.columns import new_id
from trimtab.server.ui.page import FILES
from trimtab.workspace.workspace import now

HOSTILE = "<script>alert('x')</script>\" onload=\"y"
PLAN = {
    "prompt": "support.reply",
    "environment": "dev",
    "candidate": "1.1.0",
    "unit": "thread",
    "alpha": 0.05,
    "steps": [{"share": 10, "hold_s": 5, "min_treated": 60}],
    "guardrails": ["flagged_rate > 1.5x"],
    "on_breach": "rollback",
    "tolerated_harm": "continue",
    "why": HOSTILE,
}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def drafted(fresh: House) -> House:
    """1.0.0 is live in dev, a draft waits to move traffic to 1.1.0."""
    fresh.push()
    fresh.promote("1.0.0")
    fresh.push("Be kind.")
    fresh.json("POST", "/api/v1/plans", {"document": PLAN})
    return fresh


def page(house: House) -> str:
    answer = house.ask("GET", "/", key=None)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.body.decode()


def plan_id(house: House) -> str:
    found: str = house.json("GET", "/api/v1/plans")["plans"][0]["id"]
    return found


def test_an_empty_installation_says_what_to_do_first(fresh: House) -> None:
    shown = page(fresh)

    assert "Nothing is released. Run <code>trimtab push" in shown
    assert "No rollout yet" in shown
    assert "No requests yet. Point an OpenAI client at <code>http://localhost/v1</code>" in shown


def test_nothing_from_elsewhere_and_nothing_inline_may_run_or_load(fresh: House) -> None:
    answer = fresh.ask("GET", "/", key=None)
    shown = answer.body.decode()

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*src=\"/ui/)", shown) == []
    assert re.findall(r"\sstyle=|\son\w+=|https?://", shown) == ["http://"]  # the gateway's address


def test_a_draft_stands_on_the_page(drafted: House) -> None:
    shown = page(drafted)

    assert '<span class="badge draft">draft</span>' in shown
    assert "1.1.0" in shown


def test_texts_of_people_are_shown_and_never_run(drafted: House) -> None:
    identifier = plan_id(drafted)
    drafted.json("POST", f"/api/v1/plans/{identifier}/start", {"why": HOSTILE})
    running = page(drafted)
    kill = "/api/v1/environments/dev/prompts/support.reply/kill"
    drafted.json("PUT", kill, {"why": HOSTILE})
    killed = page(drafted)

    for shown in (running, killed):
        assert "<script>alert" not in shown
        assert '" onload=' not in shown
        assert "&lt;script&gt;alert" in shown


def test_a_running_plan_stands_in_its_cell_and_a_killed_prompt_says_so(drafted: House) -> None:
    drafted.json("POST", f"/api/v1/plans/{plan_id(drafted)}/start", {"why": "go"})
    running = page(drafted)
    drafted.json("PUT", "/api/v1/environments/dev/prompts/support.reply/kill", {"why": "stop"})

    assert "1.1.0 at 10 %" in running
    assert '<span class="badge breach">killed</span>' in page(drafted)


def test_events_from_outside_name_what_they_like_without_harm(fresh: House) -> None:
    fresh.workspace.record(
        {
            "kind": "generation",
            "event_id": new_id(),
            "occurred_at": now().isoformat(),
            "environment": "dev",
            "prompt": "<img src=x>",
            "version": "<b>1</b>",
            "sha": "f" * 64,
            "status": "ok",
        }
    )

    shown = page(fresh)

    assert "&lt;img src=x&gt;" in shown
    assert "<img src=x>" not in shown
    assert "<b>1</b>" not in shown


def test_many_prompts_fit_on_the_page(fresh: House) -> None:
    names = [f"team{number}.reply" for number in range(300)]
    items = [{"prompt": name, "identity": identity()} for name in names]
    fresh.json("POST", "/api/v1/push", {"items": items})
    for name in names[:20]:
        fresh.promote("1.0.0", name=name)

    shown = page(fresh)

    assert shown.count('<th scope="row">') == 20


@pytest.mark.parametrize("name", FILES)
def test_the_files_of_the_page_are_served_with_their_type(fresh: House, name: str) -> None:
    answer = fresh.ask("GET", f"/ui/{name}", key=None)

    assert answer.status == 200
    assert answer.headers["content-type"] == FILES[name]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["page.py", "..%2Fpage.py", "%2e%2e", "none.css"])
def test_no_other_file_is_served(fresh: House, name: str) -> None:
    assert problem_of(fresh.ask("GET", f"/ui/{name}", key=None))["status"] == 404

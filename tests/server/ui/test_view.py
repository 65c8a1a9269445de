from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from trimtab.events.rollup import VersionRollup
from trimtab.registry.audit import AuditRow
from trimtab.registry.plan_rows import PlanRecord
from trimtab.registry.status import EnvironmentStatus, PromptStatus, Status, VersionStatus
from trimtab.releases.rollout import PlanStatus, read_plan
from trimtab.server.ui import view

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSION = VersionStatus(sha="f" * 64, version="1.2.3", tag=None)
STANDING = PromptStatus(
    prompt="support.reply",
    live=VERSION,
    generation=1,
    since=NOW - timedelta(minutes=5),
    by="ana",
    kind="promote",
    why="first",
    last_good=None,
    serving=VERSION,
    killed=False,
    killed_at=None,
    killed_by=None,
    killed_why=None,
    plan=None,
)


def status(**prompts: list[PromptStatus]) -> Status:
    return Status(
        at=NOW,
        environments=[
            EnvironmentStatus(environment=name, revision=1, published_at=NOW, prompts=found)
            for name, found in prompts.items()
        ],
    )


def row(seq: int, action: str = "kill", **details: object) -> AuditRow:
    return AuditRow(
        seq=seq,
        at=NOW - timedelta(seconds=30),
        actor="ana",
        action=action,
        environment="prod",
        prompt="support.reply",
        details=details,
        prev_hash="",
        hash="",
    )


def plan(number: int, state: PlanStatus) -> PlanRecord:
    document = read_plan(
        {
            "prompt": "support.reply",
            "environment": "prod",
            "candidate": "1.1.0",
            "unit": "thread",
            "alpha": 0.05,
            "steps": [{"share": 10, "hold_s": 5, "min_treated": 60}],
            "guardrails": ["flagged_rate > 1.5x"],
            "why": "a test",
        },
        where="plan.yaml",
    )
    return PlanRecord(
        id=f"plan-{number}",
        environment="prod",
        prompt="support.reply",
        candidate="f" * 64,
        baseline=None,
        document=document,
        document_sha="",
        plan=None,
        plan_sha=None,
        status=state,
        step=0,
        step_started_at=None,
        epoch=None,
        share=None,
        seed=f"plan-{number}",
        author="ana",
        created_at=NOW,
        moved_at=NOW,
        moved_by="ana",
        why="",
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s ago"),
        (0, "0 s ago"),
        (89, "89 s ago"),
        (90, "2 min ago"),
        (5400, "2 h ago"),
        (129_600, "2026-02-28 00:00"),
    ],
)
def test_a_time_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert view.ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_what_is_not_known_is_a_dash_and_never_zero() -> None:
    assert view.percent(None) == view.number(None) == "–"
    assert view.percent(0.0) == "0.0 %"
    assert view.number(1234567.0, " ms") == "1\u202f234\u202f567 ms"


def test_a_prompt_has_a_cell_in_each_environment_in_their_order() -> None:
    (shown,) = view.matrix(status(dev=[STANDING], staging=[], prod=[STANDING]))

    assert shown["prompt"] == "support.reply"
    assert [cell["version"] for cell in shown["cells"]] == ["1.2.3", None, "1.2.3"]
    assert shown["cells"][0]["since"] == "5 min ago"


def test_nothing_released_gives_no_rows() -> None:
    assert view.matrix(status(dev=[], prod=[])) == []


def test_a_killed_prompt_keeps_its_version_and_is_marked() -> None:
    killed = msgspec.structs.replace(STANDING, killed=True, serving=None)

    (shown,) = view.matrix(status(prod=[killed]))

    assert shown["cells"][0]["killed"] is True
    assert shown["cells"][0]["version"] == "1.2.3"


def test_versions_without_costs_or_rates_show_dashes() -> None:
    rollup = VersionRollup(
        prompt="support.reply",
        version="1.2.3",
        sha="f" * 64,
        n=4,
        mean_latency_ms=None,
        p95_latency_ms=812.4,
        input_tokens=400,
        output_tokens=40,
        cost_usd=None,
        flagged_rate=None,
        error_rate=0.25,
    )

    (shown,) = view.versions([rollup])

    assert (shown["mean"], shown["p95"], shown["cost"]) == ("–", "812 ms", "–")
    assert (shown["tokens"], shown["flagged"], shown["errors"]) == ("100 / 10", "–", "25.0 %")


def test_a_change_is_a_sentence_with_its_reason() -> None:
    (shown,) = view.changes([row(1, why="wrong language", version="1.2.3")], NOW, most=5)

    assert (shown["actor"], shown["action"], shown["at"]) == ("ana", "killed", "30 s ago")
    assert shown["summary"] == "1.2.3 · wrong language"


def test_a_very_long_reason_is_cut() -> None:
    (shown,) = view.changes([row(1, why="x" * 2000)], NOW, most=5)

    assert len(shown["summary"]) == 400


def test_the_same_change_again_and_again_takes_one_line() -> None:
    shown = view.changes([row(seq) for seq in range(5)], NOW, most=5)

    assert len(shown) == 1
    assert "5 times in a row" in shown[0]["summary"]


def test_an_action_without_a_phrase_is_told_by_its_name() -> None:
    (shown,) = view.changes([row(1, "polish_brass")], NOW, most=5)

    assert shown["action"] == "polish brass"


def test_a_plan_that_divides_traffic_is_shown_however_many_came_after_it() -> None:
    plans = [plan(0, "running"), *(plan(number, "draft") for number in range(1, 9))]

    shown = view.most_wanted(plans, most=3)

    assert [each.id for each in shown] == ["plan-0", "plan-8", "plan-7"]


def test_no_plan_that_divides_traffic_is_left_out_for_want_of_room() -> None:
    plans = [plan(number, "paused") for number in range(5)]

    assert len(view.most_wanted(plans, most=3)) == 5

import json
import logging
from collections.abc import Iterator

import pytest

from tests.server.fuzzing import mutations, requests
from tests.server.house import House, identity, problem_of
from trimtab.server.envelope import MAX_BODY

PLAN = {
    "prompt": "support.reply",
    "environment": "dev",
    "candidate": "1.1.0",
    "unit": "thread",
    "alpha": 0.05,
    "steps": [{"share": 10, "hold_s": 5, "min_treated": 60}, {"share": 50, "hold_s": 5}],
    "guardrails": ["flagged_rate > 1.5x", "latency_p95 +25%"],
    "on_breach": "rollback",
    "tolerated_harm": "continue",
    "why": "a test",
}
ITEM = {"prompt": "a.b", "identity": identity(), "semver": "1.0.0", "tag": "t", "meta": {"a": "b"}}
EVAL = {
    "prompt": "support.reply",
    "version": "1.0.0",
    "suite": "small",
    "suite_sha": "a" * 64,
    "verdict": "pass",
    "baseline": "1.0.0",
    "scores": {"exact": {"mean": 1.0}},
}
KEY = {"name": "reader", "scopes": ["read"], "environments": ["dev"]}


@pytest.fixture(scope="module", autouse=True)
def released(house: House) -> Iterator[None]:
    """1.0.0 is live in dev, 1.1.0 is registered."""
    house.push()
    house.promote("1.0.0")
    house.push("Be kind.")
    yield
    assert house.workspace.registry.audit.verify().broken is None


def test_no_odd_request_is_answered_with_a_failure_and_none_that_is_refused_changes_anything(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    openapi = house.json("GET", "/api/v1/openapi.json")
    seen = 0

    for method, path, content in requests(openapi):
        before = house.last_decision()
        answer = house.ask(method, path, content=content)
        seen += 1
        if answer.status >= 400:
            shown = (method, path[:200], content[:200], answer)
            assert answer.status < 500, shown
            assert problem_of(answer)["detail"], shown
            assert house.last_decision() == before, shown

    assert seen > 1800
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/api/v1/plans", {"document": PLAN}),
        ("/api/v1/push", {"items": [ITEM]}),
        ("/api/v1/evals", EVAL),
        ("/api/v1/keys", KEY),
    ],
)
def test_an_odd_value_deep_in_a_document_is_refused_or_kept_but_never_a_failure(
    house: House, path: str, document: object
) -> None:
    for odd in mutations(document):
        before = house.last_decision()

        answer = house.ask("POST", path, content=json.dumps(odd).encode())

        assert answer.status < 500, (odd, answer)
        if answer.status >= 400:
            assert problem_of(answer)["detail"], odd
            assert house.last_decision() == before, odd


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON"),
        (b'{"why": "\xff"}', "not JSON"),
        (b'{"why": NaN}', "not JSON"),
        (b'{"why": "\\ud800"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"why": "a\\u0000b"}', "U+0000"),
        (b'{"why": 1e400}', "not JSON"),
        (b'{"why": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_body_that_no_store_can_hold_is_told_as_such(
    house: House, content: bytes, says: str
) -> None:
    answer = house.ask(
        "PUT", "/api/v1/environments/dev/prompts/support.reply/kill", content=content
    )

    assert answer.status in {400, 422}
    assert says in problem_of(answer)["detail"]


def test_an_over_large_body_is_refused_before_it_is_parsed(house: House) -> None:
    content = b"{" * (MAX_BODY + 1)

    answer = house.ask("POST", "/api/v1/push", content=content)

    assert answer.status == 413
    assert f"larger than {MAX_BODY} bytes" in problem_of(answer)["detail"]


def test_a_body_that_says_it_is_over_large_is_refused_before_it_is_read(house: House) -> None:
    answer = house.ask("POST", "/api/v1/push", headers={"content-length": "9000000000"})

    assert answer.status == 413
    assert "9000000000 bytes" in problem_of(answer)["detail"]


def test_a_route_that_is_none_and_a_method_it_does_not_have_are_problems(house: House) -> None:
    assert (
        "no route GET /api/v1/nowhere" in problem_of(house.ask("GET", "/api/v1/nowhere"))["detail"]
    )
    wrong = house.ask("POST", "/api/v1/status")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET")
    assert house.ask("GET", "/api/v1/status/").status == 404


def test_the_description_of_the_routes_can_be_read(house: House) -> None:
    described = house.json("GET", "/api/v1/openapi.json")

    assert "/api/v1/push" in described["paths"]
    assert described["info"]["title"] == "trimtab"

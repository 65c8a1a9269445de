"""What holds for every management request, whatever the route."""

import asyncio
import json
import logging
from typing import Any

import pytest

from tests.server.house import House, identity, problem_of
from trimtab.gateway.http import Receive, Scope, Send
from trimtab.server.envelope import Envelope
from trimtab.server.local import LocalReply, ask

PUSH = "/api/v1/push"


def push_of(name: str, instruction: str = "Answer.") -> dict[str, Any]:
    return {"items": [{"prompt": name, "identity": identity(instruction)}]}


def keyed(house: House, body: object, key: str, *, who: str = "admin") -> LocalReply:
    return house.ask("POST", PUSH, body, key=who, headers={"idempotency-key": key})


def test_the_same_write_with_the_same_key_is_done_once_and_answered_alike(house: House) -> None:
    first = keyed(house, push_of("once"), "k1")
    before = house.audit_count()

    second = keyed(house, push_of("once"), "k1")

    assert (second.status, json.loads(second.body)) == (first.status, json.loads(first.body))
    assert json.loads(second.body)["registered"][0]["created"] is True
    assert second.headers["content-type"] == "application/json"
    assert second.headers["idempotent-replay"] == "true"
    assert house.audit_count() == before


def test_a_key_used_for_another_body_is_a_conflict_and_changes_nothing(house: House) -> None:
    keyed(house, push_of("first"), "k2")
    before = house.audit_count()

    answer = keyed(house, push_of("second"), "k2")

    assert answer.status == 409
    assert "use a fresh one" in problem_of(answer)["detail"]
    assert house.audit_count() == before


def test_a_key_used_with_another_query_is_a_conflict(house: House) -> None:
    house.push(name="killed")
    house.promote("1.0.0", name="killed")
    path = "/api/v1/environments/dev/prompts/killed/kill"
    house.json("PUT", path, {"why": "now"})
    header = {"idempotency-key": "k3"}

    assert house.ask("DELETE", f"{path}?why=calm", headers=header).status == 200
    assert house.ask("DELETE", f"{path}?why=other", headers=header).status == 409


def test_keys_of_two_people_never_meet(house: House) -> None:
    assert keyed(house, push_of("mine"), "k4").status == 200
    assert keyed(house, push_of("mine"), "k4", who="approver").status == 403


def test_a_refused_write_may_be_sent_again_with_its_key(house: House) -> None:
    before = house.audit_count()
    refused = keyed(house, push_of("No Name"), "k5")

    again = keyed(house, push_of("a-name"), "k5")

    assert refused.status == 422
    assert again.status == 200
    assert house.audit_count() > before


def test_an_idempotency_key_without_a_known_principal_is_unauthorized(house: House) -> None:
    answer = keyed(house, push_of("x"), "k6", who="tt_wrong")

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_an_idempotency_key_that_is_none_is_refused(house: House) -> None:
    assert keyed(house, push_of("x"), "").status == 422
    assert keyed(house, push_of("x"), "k" * 257).status == 422


def test_the_secret_of_a_new_key_is_not_kept_with_the_answer(house: House) -> None:
    body = {"name": "robot", "scopes": ["read"]}
    header = {"idempotency-key": "k7"}

    made = house.ask("POST", "/api/v1/keys", body, headers=header)
    again = house.ask("POST", "/api/v1/keys", body, headers=header)

    secret = json.loads(made.body)["secret"]
    assert again.status == 409
    stored = b"".join(path.read_bytes() for path in house.folder.glob("registry.db*"))
    assert b"robot" in stored
    assert secret.encode() not in stored


def test_a_problem_of_a_keyed_write_keeps_its_headers(house: House) -> None:
    answer = house.ask("POST", PUSH, {"items": []}, headers={"idempotency-key": "k8"})

    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_what_no_route_foresaw_is_a_problem_and_a_traceback_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError("secret details")

    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(
            ask(Envelope(failing, house.workspace, log="the log"), "GET", "/api/v1/odd")
        )

    assert answer.status == 500
    assert "ZeroDivisionError" in problem_of(answer)["detail"]
    assert b"secret details" not in answer.body
    assert caplog.records[0].exc_info is not None


def test_a_write_that_failed_inside_may_be_sent_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError

    envelope = Envelope(failing, house.workspace, log="the log")
    headers = {"idempotency-key": "k9", "authorization": f"Bearer {house.secrets['admin']}"}

    statuses = [
        asyncio.run(ask(envelope, "POST", PUSH, content=b"{}", headers=headers)).status
        for _ in range(2)
    ]

    assert statuses == [500, 500]
    assert len(caplog.records) == 2

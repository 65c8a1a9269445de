"""What an application tells through the SDK arrives, is accepted, and finds its decision."""

import gzip
import json
from pathlib import Path
from typing import Any

from tests.journeys.house import REPLY, House, held_plan
from tests.journeys.wire import exchange, head
from trimtab import Client
from trimtab.sdk.columns import event_times

ANSWER = {
    "model": "gpt-4o-2024-11-20",
    "choices": [{"message": {"content": "four"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3},
}


def test_everything_the_sdk_tells_is_accepted_and_joined(house: House, tmp_path: Path) -> None:
    house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.start_plan(held_plan(house.prompt, candidate, unit="user"))
    with Client(house.url, house.secrets["app-prod"], cache_dir=tmp_path) as client:
        prompt = client.get(house.prompt, unit_id="user-42", thread_id="t-1")
        prompt.render(question="q")
        prompt.render(question="again")
        with client.generation(prompt) as timer:
            timer.finish(ANSWER, metrics={"score": 0.5})
        client.feedback(prompt.request_id, thumb="down", correction="five", comment="no")
        client.outcome("resolved", 1, unit_id="user-42")
        client.outcome("resolved", 1, request_id=prompt.request_id)
        assert client.flush(10)
        counts = client.counts

    assert (counts.taken, counts.delivered, counts.rejected) == (6, 6, 0)
    seen = house.events(prompt.request_id)
    assert seen["exposure"]["plan_id"] == seen["generation"]["plan_id"]
    assert seen["exposure"]["variant"] == prompt.variant
    assert (seen["generation"]["output_tokens"], seen["generation"]["status"]) == (3, "ok")
    said = {each["name"]: each["comment"] for each in seen["feedback"]}
    assert said == {"thumb": "no", "correction": "five"}
    journals = (house.folder / "journals").glob("*")
    kept = b"".join(path.read_bytes() for path in journals if path.is_file())
    assert b"user-42" not in kept


def post(
    house: House, body: bytes, *, key: str | None = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    top = head(
        "POST",
        "/api/v1/events",
        Authorization=f"Bearer {key or house.secrets['app-prod']}",
        Content_Length=str(len(body)),
        **headers,
    )
    status, _, answer = exchange(house.url, top + body)
    return status, json.loads(answer)


def outcome(**columns: Any) -> dict[str, Any]:
    times = event_times()
    return {"kind": "outcome", "name": "n", "request_id": "r", **times, **columns}


def test_a_batch_is_taken_in_every_form_and_its_bad_parts_are_named(house: House) -> None:
    good, bad = outcome(), outcome(environment="dev")
    lines = b"\n".join(json.dumps(each).encode() for each in (good, bad, outcome()))

    assert post(house, json.dumps([good]).encode()) == (200, {"accepted": 1, "rejected": []})
    assert post(house, json.dumps({"events": [good]}).encode())[1]["accepted"] == 1
    for status, answer in (
        post(house, lines),
        post(house, gzip.compress(lines), Content_Encoding="gzip"),
    ):
        assert (status, answer["accepted"]) == (200, 2)
        (refused,) = answer["rejected"]
        assert refused["index"] == 1
        assert "belongs to 'prod'" in refused["error"]


def test_an_event_sent_twice_counts_once(house: House) -> None:
    house.release()
    request_id = f"{house.prompt}-twice"
    event = {
        "kind": "feedback",
        "name": "thumb",
        "label": "up",
        "request_id": request_id,
        **event_times(),
    }
    generation = {"kind": "generation", "status": "ok", "request_id": request_id, **event_times()}
    body = json.dumps([event, {**generation, "prompt": house.prompt}]).encode()

    for _ in range(3):
        assert post(house, body)[1]["accepted"] == 2

    assert len(house.events(request_id)["feedback"]) == 1


def test_who_may_not_tell_is_refused_and_nothing_is_kept(house: House) -> None:
    body = json.dumps([outcome()]).encode()

    assert post(house, body, key="tt_unknown")[0] == 401
    assert post(house, body, key=house.secrets["client-prod"])[0] == 403
    assert post(house, body, key=house.secrets["admin"])[0] == 403
    assert post(house, b"{", Content_Type="application/json")[0] == 400
    assert post(house, b"")[0] == 400
    assert post(house, gzip.compress(body)[:-4], Content_Encoding="gzip")[0] == 400
    assert post(house, gzip.compress(bytes(40 * 2**20)), Content_Encoding="gzip")[0] == 413

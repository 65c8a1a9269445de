import json
from datetime import UTC, datetime
from os import urandom
from urllib.request import Request, urlopen

from tests.cli.conftest import Running
from tests.cli.running import run, run_json
from trimtab.events.ids import uuid7


def test_a_request_is_told_from_decision_to_feedback(server: Running, released: str) -> None:
    request_id = _send(server, released)

    found = run_json("explain", request_id, env=server.env())
    result = run("explain", request_id, env=server.env())

    assert found["decision"]["prompt"] == released
    assert found["generation"]["latency_ms"] == 120.0
    assert result.exit_code == 0
    assert f"request {request_id}" in result.stdout
    assert "latency_ms" in result.stdout
    assert "thumb" in result.stdout


def test_a_request_that_nobody_knows_is_trouble(server: Running) -> None:
    result = run("explain", "no such request", env=server.env())

    assert result.exit_code == 2
    assert result.stderr.startswith("trimtab: no event names the request")


def _send(server: Running, prompt: str) -> str:
    """Tell the server of one request and its thumb; gives the request's id."""
    version = run_json("show", f"{prompt}@dev", env=server.env())
    moment = datetime.now(UTC)
    now_ns = int(moment.timestamp() * 1e9)
    request_id, *ids = (uuid7(now_ns, urandom(10)) for _ in range(3))
    common = {
        "request_id": request_id,
        "occurred_at": moment.isoformat().replace("+00:00", "Z"),
        "environment": "dev",
        "prompt": prompt,
    }
    generation = {
        **common,
        "kind": "generation",
        "event_id": ids[0],
        "version": version["version"],
        "sha": version["sha"],
        "reason": "default",
        "source": "live",
        "status": "ok",
        "latency_ms": 120.0,
    }
    feedback = {**common, "kind": "feedback", "event_id": ids[1], "name": "thumb", "value": 1.0}
    body = json.dumps([generation, feedback]).encode()
    headers = {
        "authorization": f"Bearer {server.keys['app-dev']}",
        "content-type": "application/json",
    }
    request = Request(f"{server.url}/api/v1/events", body, headers)  # noqa: S310 - loopback
    with urlopen(request) as answer:  # noqa: S310 - the same
        assert json.load(answer)["rejected"] == []
    return request_id

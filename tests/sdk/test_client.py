"""What an application sees: decisions, errors of its own, and never an error of ours."""

import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sdk.scripted import ScriptedServer, eventually, version_of
from trimtab import Client
from trimtab.errors import BadUnit, ConfigError, KeyMismatch, UnknownVersion


def client_of(server: ScriptedServer, folder: Path, **options: Any) -> Client:
    return Client(server.url, "k", cache_dir=folder, **options)


def events(server: ScriptedServer) -> list[dict[str, Any]]:
    lines = [line for body in server.posted for line in body.splitlines()]
    return [msgspec.json.decode(line) for line in lines]


@pytest.mark.parametrize("bad", ["", "x" * 257, 7, b"u"])
def test_an_id_that_is_none_is_an_error_everywhere(
    server: ScriptedServer, tmp_path: Path, bad: Any
) -> None:
    server.serve(version_of("hello"))
    with client_of(server, tmp_path) as client:
        for kind in ("unit_id", "thread_id", "request_id"):
            with pytest.raises(BadUnit, match=kind):
                client.get("greet", **{kind: bad})
            with pytest.raises(BadUnit, match=kind):
                client.get("greet", version="1.0.1", **{kind: bad})
        with pytest.raises(BadUnit):
            client.outcome("resolved", unit_id=bad)
        with pytest.raises(BadUnit):
            client.feedback(bad, thumb="up")


def test_a_pin_serves_what_the_environment_serves(server: ScriptedServer, tmp_path: Path) -> None:
    version = version_of("hello")
    server.serve(version)
    with client_of(server, tmp_path) as client:
        for reference in ("1.0.1", f"sha:{version.sha[:12]}"):
            prompt = client.get("greet", version=reference)
            assert (prompt.sha, prompt.reason) == (version.sha, "pin")
        with pytest.raises(UnknownVersion, match=r"it has 1\.0\.1"):
            client.get("greet", version="9.9.9")


def test_another_environment_ends_the_client_at_once(
    server: ScriptedServer, tmp_path: Path
) -> None:
    server.serve(version_of("hello"))
    before = threading.active_count()

    with pytest.raises(KeyMismatch, match=r"'prod'.*'dev'"):
        client_of(server, tmp_path, environment="dev")

    eventually(lambda: threading.active_count() <= before + 2)  # the script's own handlers
    assert not [t for t in threading.enumerate() if t.name == "trimtab-feed"]


def test_many_threads_get_and_render_while_versions_change(
    server: ScriptedServer, tmp_path: Path
) -> None:
    words = {version_of(f"word {n}").sha: f"word {n}" for n in range(60)}
    server.serve(version_of("word 0"))
    errors: list[BaseException] = []
    stop = threading.Event()

    def use(client: Client) -> None:
        try:
            while not stop.is_set():
                prompt = client.get("greet", unit_id="u")
                assert prompt.render()[0]["content"] == words[str(prompt.sha)]
        except BaseException as error:  # noqa: BLE001 - every failure counts
            errors.append(error)

    with client_of(server, tmp_path) as client:
        threads = [threading.Thread(target=use, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: server.count("open stream"))
        for number in range(1, 60):
            server.serve(version_of(f"word {number}"), revision=number + 1)
        eventually(lambda: client.revision == 60)
        stop.set()
        for thread in threads:
            thread.join()

    assert errors == []


def test_a_child_process_tells_for_itself(server: ScriptedServer, tmp_path: Path) -> None:
    server.serve(version_of("hello"))
    with client_of(server, tmp_path) as client:
        client.outcome("parent", unit_id="u")
        child = os.fork()
        if child == 0:  # pragma: no cover - runs in the child
            status = 1
            try:
                client.outcome("child", unit_id="u")
                if client.flush(5) and client.counts.taken == 1:
                    status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        client.flush()

    assert status == 0
    assert sorted(event["name"] for event in events(server)) == ["child", "parent"]


def test_a_model_call_leaves_a_generation(server: ScriptedServer, tmp_path: Path) -> None:
    server.serve(version_of("hello"))
    with client_of(server, tmp_path, service="shop") as client:
        prompt = client.get("greet", unit_id="u", thread_id="t")
        with client.generation(prompt) as timer:
            timer.finish({"choices": [None]}, metrics={"score": 1, "bad": float("nan")})
        with pytest.raises(TimeoutError), client.generation(prompt):
            raise TimeoutError
        client.flush()

    ok, late = events(server)
    assert (ok["status"], ok["metrics"], ok["service"]) == ("ok", {"score": 1.0}, "shop")
    assert (late["status"], late["error_type"]) == ("timeout", "TimeoutError")
    assert ok["event_id"] != late["event_id"]
    assert ok["request_id"] == late["request_id"] == prompt.request_id


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_outcome_is_a_finite_number(
    server: ScriptedServer, tmp_path: Path, value: float
) -> None:
    server.serve(version_of("hello"))
    with client_of(server, tmp_path) as client, pytest.raises(ConfigError, match="finite"):
        client.outcome("score", value, unit_id="u")

import os
import threading
from pathlib import Path

import pytest

from tests.journeys.house import REPLY, House, eventually, held_plan
from trimtab import Client
from trimtab.cli.api import pointer_path
from trimtab.errors import (
    Forbidden,
    KeyMismatch,
    ServerRefused,
    ServerUnreachable,
    Unauthorized,
)


def served(client: Client, house: House) -> str | None:
    return client.get(house.prompt).version


def test_a_pointer_move_arrives_without_polling(house: House) -> None:
    house.release(word="first")
    client = house.client()
    second = house.push(house.prompt, REPLY.replace("NAME", "second"))
    swapped = threading.Event()
    client.on_change(lambda _snapshot: swapped.set())

    house.promote(house.prompt, second)

    assert swapped.wait(5)
    eventually(lambda: served(client, house) == second, within_s=2)
    messages = client.get(house.prompt).render(question="why?")
    assert messages[0]["content"] == "second"


def test_the_kill_switch_serves_the_last_good_release_and_back(house: House) -> None:
    first = house.release(word="first")
    second = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, second)
    client = house.client()
    assert served(client, house) == second
    kill = f"{pointer_path('prod', house.prompt)}/kill"

    house.admin.call("PUT", kill, {"why": "it hurts"})

    eventually(lambda: served(client, house) == first, within_s=2)
    assert client.get(house.prompt).reason == "killed"
    house.admin.call("DELETE", kill)
    eventually(lambda: served(client, house) == second, within_s=2)


def test_a_kill_that_names_another_generation_than_the_live_one_is_refused(house: House) -> None:
    house.release(word="first")
    house.promote(house.prompt, house.push(house.prompt, REPLY.replace("NAME", "second")))
    kill = f"{pointer_path('prod', house.prompt)}/kill"

    with pytest.raises(ServerRefused) as refused:
        house.admin.call("PUT", kill, {"why": "late", "from_generation": 1})
    assert (refused.value.status, refused.value.code) == (409, "stale_generation")

    assert house.admin.call("PUT", kill, {"why": "now", "from_generation": 2})["killed"]


def test_a_rollback_by_hand_takes_back_the_live_release_once(house: House) -> None:
    first = house.release(word="first")
    second = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, second)
    client = house.client()
    path = f"{pointer_path('prod', house.prompt)}/rollback"

    taken = house.admin.post(path, {"why": "worse"})
    again = house.admin.post(path, {"why": "worse"})

    assert not taken["already"]
    assert again["already"]
    eventually(lambda: served(client, house) == first, within_s=2)


def test_a_rollback_under_a_plan_keeps_the_baseline(house: House) -> None:
    first = house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.start_plan(held_plan(house.prompt, candidate))
    client = house.client()
    eventually(lambda: client.get(house.prompt, thread_id="t").reason == "plan")

    house.admin.post(f"{pointer_path('prod', house.prompt)}/rollback", {"why": "stop"})

    eventually(lambda: client.get(house.prompt, thread_id="t").reason == "default")
    assert {client.get(house.prompt, thread_id=f"t{n}").version for n in range(50)} == {first}


def test_a_client_that_starts_without_a_server_serves_from_disk(
    tmp_path: Path, house: House
) -> None:
    version = house.release(word="first")
    with Client(house.url, house.secrets["app-prod"], cache_dir=tmp_path) as client:
        assert client.get(house.prompt).source == "live"
    url = "http://127.0.0.1:9"
    for path in tmp_path.glob("*.json"):
        from trimtab.sdk.store import store_name

        path.rename(tmp_path / f"{store_name(url, house.secrets['app-prod'])}.json")

    with Client(url, house.secrets["app-prod"], cache_dir=tmp_path) as client:
        prompt = client.get(house.prompt)
        assert (prompt.source, prompt.version) == ("disk", version)
        assert prompt.render(question="q")[0]["content"] == "first"


def test_a_client_with_nothing_says_what_to_do(tmp_path: Path) -> None:
    with (
        Client("http://127.0.0.1:9", "k", cache_dir=tmp_path, wait_s=0.2) as client,
        pytest.raises(ServerUnreachable, match="fallback="),
    ):
        client.get("support.reply")


def test_a_fallback_folder_serves_from_the_first_second(tmp_path: Path) -> None:
    (tmp_path / "support").mkdir()
    (tmp_path / "support/reply.prompt").write_text(REPLY.replace("NAME", "from files"))
    client = Client("http://127.0.0.1:9", "k", cache_dir="", fallback=tmp_path, wait_s=0.1)
    with client:
        prompt = client.get("support.reply")

        assert prompt.source == "fallback"
        assert prompt.render(question="q")[0]["content"] == "from files"


def test_a_wrong_key_and_a_wrong_environment_are_named(house: House) -> None:
    house.release()

    with (
        Client(house.url, "tt_wrong", cache_dir="") as client,
        pytest.raises(Unauthorized, match="TRIMTAB_KEY"),
    ):
        client.get(house.prompt)
    with pytest.raises(KeyMismatch, match="'prod'"):
        Client(house.url, house.secrets["app-prod"], environment="dev", cache_dir="")
    with (
        Client(house.url, house.secrets["admin"], cache_dir="") as client,
        pytest.raises(Forbidden),
    ):
        client.get(house.prompt)


def test_a_forked_worker_refreshes_too(house: House) -> None:
    house.release(word="first")
    client = house.client()
    assert client.get(house.prompt).version == "1.0.0"
    second = house.push(house.prompt, REPLY.replace("NAME", "second"))
    read, write = os.pipe()

    child = os.fork()
    if child == 0:  # pragma: no cover - runs in the child
        try:
            eventually(lambda: served(client, house) == second)
            os.write(write, b"y")
        finally:
            os._exit(0)
    house.promote(house.prompt, second)
    os.waitpid(child, 0)
    os.close(write)

    assert os.read(read, 1) == b"y"
    os.close(read)


def test_clients_serve_on_while_the_server_is_gone_and_lose_no_event(
    tmp_path: Path, house: House
) -> None:
    house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.start_plan(held_plan(house.prompt, candidate))
    client = house.client(cache_dir=tmp_path / "cache")
    eventually(lambda: client.get(house.prompt, thread_id="t").reason == "plan")
    house.server.kill()

    request_ids = []
    for number in range(40):
        prompt = client.get(house.prompt, thread_id=f"t{number}")
        prompt.render(question="q")
        with client.generation(prompt) as timer:
            timer.finish({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})
        request_ids.append(prompt.request_id)
    assert client.flush(10)
    assert client.counts.spooled == 80
    house.start()

    eventually(lambda: client.counts.delivered == 80, within_s=20)
    found = [house.events(request_id) for request_id in request_ids]
    assert all(each["generation"]["flagged"] is False for each in found)
    assert all(each["exposure"]["reason"] == "plan" for each in found)
    assert not list((tmp_path / "cache").glob("*.spool/*.ndjson"))

"""How streams begin, go on and end; seen from bare sockets and an unmodified GrowthBook SDK."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiohttp import web
from growthbook import GrowthBook, feature_repo

from tests.journeys.house import REPLY, House, eventually
from tests.journeys.scripted import ScriptedProvider, chunk
from tests.journeys.wire import chat, connect, exchange, head, read_to_end, read_until
from trimtab.cli.demo.processes import free_port
from trimtab.gateway.http import Receive, Scope, Send
from trimtab.server.app import App, TrimtabServer
from trimtab.workspace import Workspace
from trimtab.workspace.init import initialise

LAST_CHUNK = b"0\r\n\r\n"


@contextmanager
def growthbook(url: str, client_key: str) -> Iterator[GrowthBook]:
    """A streaming instance; the SDK keeps one stream a process, so it is taken away after."""
    feature_repo.clear_cache()
    sdk = GrowthBook(
        api_host=url, client_key=client_key, streaming=True, attributes={"id": "nobody"}
    )
    try:
        sdk.load_features()
        yield sdk
    finally:
        sdk.destroy(timeout=1)
        feature_repo.sse_client = None
        feature_repo.clear_cache()


def version_seen(sdk: GrowthBook, house: House) -> Any:
    value: Any = sdk.eval_feature(house.prompt).value
    return value and value["version"]


@pytest.mark.filterwarnings("ignore")  # the SDK's own loose ends
def test_an_unmodified_growthbook_sdk_gets_moves_and_heals_after_a_kill(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    with House(tmp_path, provider_url=provider.url) as house:
        first = house.release(word="first")
        second = house.push(house.prompt, REPLY.replace("NAME", "second"))
        third = house.push(house.prompt, REPLY.replace("NAME", "third"))
        with growthbook(house.url, house.secrets["client-prod"]) as sdk:
            assert version_seen(sdk, house) == first

            house.promote(house.prompt, second)
            eventually(lambda: version_seen(sdk, house) == second, within_s=5)

            house.server.kill()
            house.start()
            house.promote(house.prompt, third)  # before it is back: the first event heals
            eventually(lambda: version_seen(sdk, house) == third, within_s=20)


def test_every_connect_begins_with_the_snapshot(house: House) -> None:
    house.release()
    for request, event in (
        (head("GET", f"/sub/{house.secrets['client-prod']}"), b"event: features\n"),
        (
            head("GET", "/api/v1/stream", Authorization=f"Bearer {house.secrets['app-prod']}"),
            b"event: payload\n",
        ),
    ):
        with connect(house.url) as sock:
            sock.sendall(request)
            data = read_until(sock, b'"trimtab"')
            assert data.startswith(b"HTTP/1.1 200")
            assert event in data
            assert b'"bodies"' not in data


def test_a_stopped_server_cuts_its_streams_and_is_gone_soon(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    async def endless(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(chunk({"content": "more "}))
            await asyncio.sleep(0.05)

    provider.handler = endless
    with House(tmp_path, provider_url=provider.url) as house:
        house.release()
        body = {
            "model": house.model,
            "stream": True,
            "trimtab": {"variables": {"question": "q"}, "request_id": "r-stopped"},
        }
        key = house.secrets["app-prod"]
        asked = [
            (head("GET", f"/sub/{house.secrets['client-prod']}"), b"event: features"),
            (head("GET", "/api/v1/stream", Authorization=f"Bearer {key}"), b"event: payload"),
            (chat(key, body), b"more"),
        ]
        socks = [connect(house.url) for _ in asked]
        for sock, (request, mark) in zip(socks, asked, strict=True):
            sock.sendall(request)
            read_until(sock, mark)
        stuck = connect(house.url)  # reads nothing at all
        stuck.sendall(asked[0][0])

        began = time.monotonic()
        code = house.server.terminate()
        took_s = time.monotonic() - began
        ends = [read_to_end(sock) for sock in socks]
        for sock in (*socks, stuck):
            sock.close()
        log = (tmp_path / "server.log").read_text()
        house.start()
        event = house.events("r-stopped")["generation"]

    assert (code, log) == (-signal.SIGTERM, "")  # uvicorn ends by the signal it was sent
    assert took_s < 5.0  # two for the streams; the rest is a loaded machine's
    assert not any(end.endswith(LAST_CHUNK) for end in ends)
    assert (event["status"], event["error_type"]) == ("cut_stream", "server_ending")


def test_only_a_bad_key_is_refused_on_sub_and_a_render_key_is_one(house: House) -> None:
    house.release()
    keys = ["nonsense", house.secrets["app-prod"], house.secrets["admin"], "%0d%0a"]
    made = house.admin.post(
        "/api/v1/keys",
        {"name": f"k-{house.prompt}", "scopes": ["decide"], "environments": ["prod"]},
    )
    secret = made["secret"]
    with connect(house.url) as sock:
        sock.sendall(head("GET", f"/sub/{secret}"))
        assert read_until(sock, b"event: features").startswith(b"HTTP/1.1 200")
    house.admin.call("DELETE", f"/api/v1/keys/k-{house.prompt}")

    for key in [*keys, secret]:
        for path in ("/sub/", "/api/features/"):
            status, headers, _ = exchange(house.url, head("GET", path + key))
            assert (status, headers["access-control-allow-origin"]) == (401, "*")


def test_browsers_may_ask_first(house: House) -> None:
    path = f"/api/features/{house.secrets['client-prod']}"

    status, headers, _ = exchange(house.url, head("OPTIONS", path, Origin="https://x"))

    assert status == 204
    assert "if-none-match" in headers["access-control-allow-headers"]


def test_a_tag_stands_for_the_bytes_a_scope_reads(house: House) -> None:
    house.release()
    path = f"/api/features/{house.secrets['client-prod']}"
    bearer = f"Bearer {house.secrets['app-prod']}"
    _, public, _ = exchange(house.url, head("GET", path))
    _, private, body = exchange(house.url, head("GET", "/api/v1/payload", Authorization=bearer))
    assert public["etag"] != private["etag"]

    for tag in (private["etag"], f'"x", W/{private["etag"]}'):
        status, headers, rest = exchange(
            house.url, head("GET", "/api/v1/payload", Authorization=bearer, If_None_Match=tag)
        )
        assert (status, headers["etag"], rest) == (304, private["etag"], b"")
    status, headers, rest = exchange(
        house.url, head("HEAD", "/api/v1/payload", Authorization=bearer)
    )
    assert (status, headers["content-length"], rest) == (200, str(len(body)), b"")


def test_a_reader_that_does_not_read_holds_up_nobody(house: House) -> None:
    house.release(word="w" * 200)
    path = f"/sub/{house.secrets['client-prod']}"
    stuck = []
    for _ in range(20):
        sock = connect(house.url)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(head("GET", path))
        stuck.append(sock)
    client = house.client()

    for number in range(12):
        version = house.push(house.prompt, REPLY.replace("NAME", f"w{number}"))
        house.promote(house.prompt, version)
        eventually(lambda v=version: client.get(house.prompt).version == v, within_s=3)  # type: ignore[misc]  # a lambda's default has no type

    for sock in stuck:
        sock.close()


class Counting:
    """The application, and how often each path was asked for."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self.app(scope, receive, send)


@pytest.mark.filterwarnings("ignore")  # the SDK's own loose ends
def test_a_recycled_stream_is_cut_and_no_client_comes_back_in_a_hurry(tmp_path: Path) -> None:
    secrets = initialise(tmp_path / "data").secrets
    app = App(Workspace.open(tmp_path / "data"), recycle_s=(0.05, 0.1))
    counting = Counting(app)
    port = free_port()
    config = uvicorn.Config(counting, port=port, log_level="critical")
    server = TrimtabServer(config, app)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    url = f"http://127.0.0.1:{port}"
    with connect(url) as sock:
        sock.sendall(head("GET", f"/sub/{secrets['client-dev']}"))
        assert not read_to_end(sock).endswith(LAST_CHUNK)
    with growthbook(url, secrets["client-dev"]):
        threading.Event().wait(3.0)
        connects = sum(path.startswith("/sub/") for path in counting.paths) - 1
    server.should_exit = True
    app.end()
    thread.join(10)

    assert 1 <= connects <= 3

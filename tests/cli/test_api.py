import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli.running import run
from trimtab.cli.api import Api, HttpTransport, pointer_path, segment
from trimtab.errors import ConfigError, ServerRefused, ServerUnreachable

KEY = "tt_test_key"


class Replies(BaseHTTPRequestHandler):
    """Answers by path, as a trimtab server and other things at its address would."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str | None, object]]

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/page":
                self._answer(200, b"<html>", "text/html")
            case "/list":
                self._answer(200, b"[]")
            case "/proxy":
                self._answer(502, b"Bad Gateway", "text/plain")
            case "/odd":
                self._answer(500, b'{"error": "something else"}')
            case "/empty":
                self._answer(200, b"")
            case "/stale":
                self._problem(409, "stale_generation", "it moved", move={"generation": 3})
            case _:
                self._answer(200, b'{"fine": true}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        key = self.headers["idempotency-key"]
        self.seen.append((self.path, self.headers["authorization"], key, json.loads(body)))
        self._answer(201, b'{"made": 1}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def _problem(self, status: int, code: str, detail: str, **facts: object) -> None:
        problem = {"type": f"urn:trimtab:{code}", "title": code, "status": status, **facts}
        body = json.dumps({**problem, "detail": detail}).encode()
        self._answer(status, body, "application/problem+json")

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def replies() -> Iterator[ThreadingHTTPServer]:
    Replies.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Replies) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(replies: ThreadingHTTPServer) -> Iterator[Api]:
    made = Api(HttpTransport(f"http://127.0.0.1:{replies.server_port}", KEY))
    yield made
    made.close()


def test_a_problem_becomes_an_error_with_the_server_s_words_status_and_facts(api: Api) -> None:
    with pytest.raises(ServerRefused, match=r"^it moved$") as caught:
        api.get("/stale")

    assert caught.value.status == 409
    assert caught.value.code == "stale_generation"
    assert caught.value.detail == {"move": {"generation": 3}}


@pytest.mark.parametrize("path", ["/page", "/proxy", "/list"])
def test_what_is_no_trimtab_server_is_named_as_such(api: Api, path: str) -> None:
    with pytest.raises(ServerRefused, match=r"TRIMTAB_URL|not a JSON object"):
        api.get(path)


def test_a_failure_of_another_form_shows_what_there_is(api: Api) -> None:
    with pytest.raises(ServerRefused, match=r"answered 500: .*something else"):
        api.get("/odd")


def test_an_empty_answer_is_an_empty_object(api: Api) -> None:
    assert api.get("/empty") == {}


def test_every_write_carries_the_key_and_a_fresh_idempotency_key(api: Api) -> None:
    api.post("/thing", {"n": 1})
    api.post("/thing", {"n": 1})

    (first, second) = Replies.seen
    assert first[0] == "/thing"
    assert first[1] == f"Bearer {KEY}"
    assert first[3] == {"n": 1}
    assert first[2]
    assert first[2] != second[2]


def test_values_of_none_are_left_out_of_a_query(api: Api) -> None:
    assert api.get("/any", {"prompt": None, "limit": 5}) == {"fine": True}


def test_a_server_that_does_not_answer_is_told_with_the_way_out() -> None:
    api = Api(HttpTransport("http://127.0.0.1:9", KEY))

    with pytest.raises(ServerUnreachable, match=r"trimtab serve --data DIR.*TRIMTAB_URL"):
        api.get("/any")


@pytest.mark.parametrize("url", ["ftp://here", "here:8321", "http://here:port", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="server url"):
        HttpTransport(url, KEY)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "größer"])
def test_a_key_that_cannot_stand_in_a_header_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="TRIMTAB_KEY"):
        HttpTransport("http://127.0.0.1:9", key)


def test_names_stand_in_paths_as_one_segment() -> None:
    assert segment("1.0.0+build") == "1.0.0%2Bbuild"
    assert segment("a/../b") == "a%2F..%2Fb"
    assert segment("..") == "%2E%2E"
    assert pointer_path("prod", "support.reply") == (
        "/api/v1/environments/prod/prompts/support.reply"
    )


def test_a_server_that_is_away_leaves_with_two() -> None:
    result = run("status", env={"TRIMTAB_URL": "http://127.0.0.1:9", "TRIMTAB_KEY": KEY})

    assert result.exit_code == 2
    assert result.stderr.startswith("trimtab: http://127.0.0.1:9 does not answer")


def test_address_and_folder_exclude_each_other(tmp_path: str) -> None:
    result = run("ls", "--url", "http://127.0.0.1:9", "--data", str(tmp_path), "--key", KEY)

    assert result.exit_code == 2
    assert "--url and --data" in result.stderr

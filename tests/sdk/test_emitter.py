"""What becomes of events when the server takes them, refuses them, stumbles or is away."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sdk.scripted import ScriptedServer, accept, eventually
from trimtab.events.schema import Outcome
from trimtab.sdk.columns import event_times
from trimtab.sdk.emitter import MAX_BUFFERED, Emitter
from trimtab.sdk.http import Connection
from trimtab.sdk.spool import Spool

Open = Callable[[], Emitter]


class Clock:
    """A clock that the test moves, so that retries do not wait."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 100.0
        return self.now


@pytest.fixture
def open_emitter(server: ScriptedServer, tmp_path: Path) -> Iterator[Open]:
    opened = []

    def make() -> Emitter:
        connection = partial(Connection, server.url, "k")
        emitter = Emitter(connection, Spool(tmp_path / "spool"), clock=Clock())
        opened.append(emitter)
        return emitter

    yield make
    for emitter in opened:
        emitter.stop()


def event(name: str = "resolved", **columns: Any) -> Outcome:
    return Outcome(**event_times(), name=name, request_id="r", **columns)


def names(server: ScriptedServer) -> list[str]:
    """The distinct events the server acknowledged, in order of their first arrival."""
    lines = [line for body in server.posted for line in body.splitlines()]
    return list(dict.fromkeys(msgspec.json.decode(line)["name"] for line in lines))


def test_events_arrive_in_order(server: ScriptedServer, open_emitter: Open) -> None:
    emitter = open_emitter()

    for number in range(250):
        emitter.emit(event(str(number)))

    assert emitter.flush()
    assert names(server) == [str(number) for number in range(250)]
    assert (emitter.counts.taken, emitter.counts.delivered) == (250, 250)


@pytest.mark.parametrize(
    "trouble",
    [
        (500, b"boom"),
        (503, b""),
        (429, b""),
        (404, b"<html>no such page</html>"),
        (302, b""),
        (200, b"<html>log in first</html>"),
        (200, b""),
        None,  # the line is closed before an answer
    ],
)
def test_nothing_is_lost_while_the_server_stumbles(
    server: ScriptedServer, open_emitter: Open, trouble: tuple[int, bytes] | None
) -> None:
    emitter = open_emitter()
    server.events = lambda _body: trouble
    for number in range(120):
        emitter.emit(event(str(number)))
    assert emitter.flush()
    eventually(lambda: emitter.counts.spooled == 120)
    server.posted.clear()

    server.events = accept

    eventually(lambda: emitter.counts.delivered == 120)
    assert names(server) == [str(number) for number in range(120)]
    assert emitter.counts.dropped == emitter.counts.rejected == 0


def test_refused_events_are_counted_and_not_sent_again(
    server: ScriptedServer, open_emitter: Open
) -> None:
    emitter = open_emitter()
    server.events = lambda _body: (200, b'{"accepted": 0, "rejected": [{"index": 0, "error": ""}]}')
    emitter.emit(event("refused"))
    assert emitter.flush()
    server.events = accept

    emitter.emit(event("taken"))

    eventually(lambda: emitter.counts.delivered == 1)
    assert emitter.counts.rejected == 1
    assert sum(b"refused" in body for body in server.posted) == 1


def test_a_refused_key_is_counted(server: ScriptedServer, open_emitter: Open) -> None:
    emitter = open_emitter()
    server.events = lambda _body: (401, b"{}")

    emitter.emit(event())

    assert emitter.flush()
    eventually(lambda: emitter.counts.rejected == 1)


def test_an_event_that_is_no_json_takes_no_other_with_it(
    server: ScriptedServer, open_emitter: Open
) -> None:
    emitter = open_emitter()

    emitter.emit(event("before"))
    emitter.emit(event("broken", extra={"object": object()}))
    emitter.emit(event("after"))

    assert emitter.flush()
    assert names(server) == ["before", "after"]
    assert emitter.counts.dropped == 1


def test_events_of_an_earlier_process_are_delivered_first(
    server: ScriptedServer, open_emitter: Open, tmp_path: Path
) -> None:
    Spool(tmp_path / "spool").put(msgspec.json.encode(event("yesterday")) + b"\n")
    emitter = open_emitter()

    emitter.emit(event("today"))

    assert emitter.flush()
    assert names(server) == ["yesterday", "today"]
    assert not list((tmp_path / "spool").glob("*.ndjson"))


def test_beyond_the_buffer_events_are_dropped_and_counted(
    server: ScriptedServer, open_emitter: Open
) -> None:
    emitter = open_emitter()
    held = threading.Event()

    def hold(_body: bytes) -> tuple[int, bytes]:
        held.wait(10)
        return accept(b"")

    server.events = hold
    emitter.emit(event("first"))
    eventually(lambda: server.count("/api/v1/events"))
    for _ in range(MAX_BUFFERED + 7):
        emitter.emit(event())
    held.set()

    assert emitter.flush(10)
    assert emitter.counts.dropped == 7
    eventually(lambda: emitter.counts.delivered == MAX_BUFFERED + 1)


def test_stopping_delivers_what_is_left(server: ScriptedServer, open_emitter: Open) -> None:
    emitter = open_emitter()
    emitter.emit(event("last words"))

    emitter.stop()

    assert names(server) == ["last words"]


def test_stopping_without_a_server_spools_what_is_left(tmp_path: Path) -> None:
    emitter = Emitter(partial(Connection, "http://127.0.0.1:9", "k"), Spool(tmp_path))
    emitter.emit(event("last words"))

    emitter.stop()

    assert b"last words" in Spool(tmp_path).waiting()[0].read_bytes()


def test_an_event_after_the_stop_goes_to_the_spool(
    open_emitter: Open, server: ScriptedServer, tmp_path: Path
) -> None:
    emitter = open_emitter()
    emitter.emit(event("before"))
    emitter.stop()

    emitter.emit(event("after"))

    assert emitter.flush(0.1)
    assert names(server) == ["before"]
    assert b"after" in Spool(tmp_path / "spool").waiting()[0].read_bytes()


def test_many_threads_may_tell_at_once(server: ScriptedServer, open_emitter: Open) -> None:
    emitter = open_emitter()

    def tell(who: int) -> None:
        for number in range(300):
            emitter.emit(event(f"{who}-{number}"))

    threads = [threading.Thread(target=tell, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert emitter.flush(10)
    eventually(lambda: len(names(server)) == 1800)


def test_what_is_told_just_before_the_end_of_the_program_arrives(
    server: ScriptedServer, tmp_path: Path
) -> None:
    program = f"""
        import trimtab
        client = trimtab.Client({server.url!r}, "k", cache_dir={str(tmp_path)!r}, wait_s=0.1)
        client.outcome("done", unit_id="u")
    """

    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=30)

    assert names(server) == ["done"]

"""What a client holds when the server speaks, lies, falls silent or goes away."""

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.sdk.scripted import ScriptedServer, eventually, fragment_of, payload, version_of
from trimtab.sdk.feed import Feed
from trimtab.sdk.http import Connection
from trimtab.sdk.store import PayloadStore

Open = Callable[..., Feed]


@pytest.fixture
def open_feed(server: ScriptedServer, tmp_path: Path) -> Iterator[Open]:
    feeds = []

    def opened(**options: float) -> Feed:
        feed = Feed(partial(Connection, server.url, "k"), PayloadStore(tmp_path, "p"), **options)  # type: ignore[arg-type]  # silence_s only
        feeds.append(feed)
        feed.start()
        assert feed.answered.wait(5)
        return feed

    yield opened
    for feed in feeds:
        feed.stop()


def revision(feed: Feed) -> int:
    return feed.snapshot.revision if feed.snapshot is not None else -1


def text(feed: Feed) -> str:
    snapshot = feed.snapshot
    assert snapshot is not None
    sha = snapshot.block.prompts["greet"].live
    assert sha is not None
    content: str = snapshot.library.template(sha).render({})[0]["content"]
    return content


def test_a_change_on_the_stream_is_swapped_in(server: ScriptedServer, open_feed: Open) -> None:
    server.serve(version_of("first"))
    feed = open_feed()
    assert (revision(feed), text(feed), feed.source) == (1, "first", "live")
    eventually(lambda: server.count("open stream"))

    server.serve(version_of("second"), revision=2)

    eventually(lambda: revision(feed) == 2)
    assert text(feed) == "second"


def test_an_older_revision_never_replaces_a_newer_one(
    server: ScriptedServer, open_feed: Open
) -> None:
    server.serve(version_of("newer"), revision=7)
    feed = open_feed()
    swapped: list[int] = []
    feed.listen(lambda snapshot: swapped.append(snapshot.revision))
    eventually(lambda: server.count("open stream"))

    server.serve(version_of("older"), revision=6)
    server.serve(version_of("newest"), revision=8)

    eventually(lambda: 8 in swapped)
    assert 6 not in swapped
    assert (revision(feed), text(feed)) == (8, "newest")


def test_a_new_lineage_is_taken_from_a_live_answer_and_the_old_is_forgotten_on_disk(
    server: ScriptedServer, open_feed: Open, tmp_path: Path
) -> None:
    server.serve(version_of("before"), revision=90)
    feed = open_feed()
    eventually(lambda: server.count("open stream"))

    server.serve(version_of("restored"), revision=3, lineage="two")

    eventually(lambda: revision(feed) == 3)
    kept = eventually(PayloadStore(tmp_path, "p").load)
    assert (kept.trimtab.lineage, kept.trimtab.revision) == ("two", 3)


def test_the_old_lineage_is_gone_even_if_the_new_one_cannot_be_kept(tmp_path: Path) -> None:
    store = PayloadStore(tmp_path, "p")
    store.path.write_bytes(b"{}")

    store.forget()
    store.forget()

    assert store.load() is None
    assert not store.path.exists()


def test_what_lies_on_disk_gives_way_to_the_server_whatever_its_revision(
    server: ScriptedServer, open_feed: Open
) -> None:
    server.serve(version_of("first"), revision=50, lineage="old")
    open_feed().stop()

    server.serve(version_of("second"), revision=1, lineage="new")
    feed = open_feed()

    assert (revision(feed), feed.source) == (1, "live")


def test_bodies_and_fragments_are_fetched_once_and_before_the_swap(
    server: ScriptedServer, open_feed: Open
) -> None:
    tone = fragment_of("be kind")
    version = version_of('{% include "tone" %}', includes={"tone": tone.sha})
    server.bodies[tone.sha] = tone
    server.serve(version)
    feed = open_feed()

    server.serve(version, revision=2)

    eventually(lambda: revision(feed) == 2)
    assert text(feed) == "be kind"
    assert server.count(f"/api/v1/bodies/{tone.sha}") == 1
    assert server.count(f"/api/v1/bodies/{version.sha}") == 1


def test_a_version_whose_fragment_is_missing_is_never_swapped_in(
    server: ScriptedServer, open_feed: Open
) -> None:
    server.serve(version_of("first"))
    feed = open_feed()
    eventually(lambda: server.count("open stream"))
    tone = fragment_of("be kind")
    version = version_of('{% include "tone" %}', includes={"tone": tone.sha})

    server.serve(version, revision=2)

    eventually(lambda: server.count(f"/api/v1/bodies/{tone.sha}") >= 2)
    assert (revision(feed), text(feed)) == (1, "first")
    server.bodies[tone.sha] = tone
    eventually(lambda: revision(feed) == 2)


@pytest.mark.parametrize(
    "garbage",
    [
        (500, b"boom"),
        (200, b"<html>please log in</html>"),
        (200, b'{"features": {'),
        (200, b"\xff\xfe"),
        (200, b"[]"),
        (200, b"{}"),
        (200, msgspec.json.encode({"trimtab": {"format": 99}})),
        (302, b""),
    ],
)
def test_garbage_changes_nothing_and_the_source_says_where_it_is_from(
    server: ScriptedServer, open_feed: Open, garbage: tuple[int, bytes]
) -> None:
    server.serve(version_of("good"))
    open_feed().stop()
    server.payload = garbage

    feed = open_feed()

    eventually(lambda: feed.error)
    assert (revision(feed), text(feed), feed.source) == (1, "good", "disk")


def test_garbage_on_the_stream_changes_nothing(server: ScriptedServer, open_feed: Open) -> None:
    server.serve(version_of("good"))
    feed = open_feed()
    eventually(lambda: server.count("open stream"))

    server.push(b"<html>")

    eventually(lambda: server.count("open stream") == 2)
    assert text(feed) == "good"


def test_a_damaged_body_is_refused(server: ScriptedServer, open_feed: Open) -> None:
    server.serve(version_of("good"))
    feed = open_feed()
    eventually(lambda: server.count("open stream"))
    wanted = version_of("wanted")
    server.bodies[wanted.sha] = version_of("forged")

    server.push(msgspec.json.encode(payload(wanted, revision=2)))

    eventually(lambda: server.count("open stream") == 2)
    assert server.count(f"/api/v1/bodies/{wanted.sha}")
    assert (revision(feed), text(feed)) == (1, "good")


def test_polling_finds_changes_where_streams_do_not_work(
    server: ScriptedServer, open_feed: Open
) -> None:
    server.streams = False
    server.serve(version_of("first"))
    feed = open_feed()

    server.serve(version_of("second"), revision=2)

    eventually(lambda: revision(feed) == 2)


def test_an_unchanged_payload_is_answered_by_its_tag(
    server: ScriptedServer, open_feed: Open
) -> None:
    server.serve(version_of("first"))
    feed = open_feed()
    eventually(lambda: server.count("open stream"))

    server.cut_streams()

    eventually(lambda: server.count("open stream") == 2)
    assert server.etags[0] is None
    assert server.etags[1]
    assert feed.source == "live"


def test_a_silent_stream_is_opened_anew(open_feed: Open, server: ScriptedServer) -> None:
    server.serve(version_of("first"))
    feed = open_feed(silence_s=0.02)  # the script pings every 0.05 s

    eventually(lambda: server.count("open stream") >= 2)

    assert text(feed) == "first"


def test_an_idle_stream_outlives_the_pause_between_two_pings(
    open_feed: Open, server: ScriptedServer
) -> None:
    server.serve(version_of("first"))
    open_feed(silence_s=1.0)

    threading.Event().wait(0.5)

    assert server.count("open stream") == 1


def test_a_server_that_cuts_every_stream_is_asked_ever_more_rarely(
    open_feed: Open, server: ScriptedServer
) -> None:
    server.serve(version_of("first"))
    open_feed()
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.01):
            server.cut_streams()

    thread = threading.Thread(target=cut)
    thread.start()
    threading.Event().wait(2.0)
    stop.set()
    thread.join()

    assert 2 <= server.count("open stream") <= 8


def test_a_listener_that_fails_does_not_break_the_feed(
    open_feed: Open, server: ScriptedServer
) -> None:
    server.serve(version_of("first"))
    feed = open_feed()
    eventually(lambda: server.count("open stream"))

    def fail(_snapshot: object) -> None:
        raise ValueError("mine")

    feed.listen(fail)
    server.serve(version_of("second"), revision=2)

    eventually(lambda: revision(feed) == 2)
    server.serve(version_of("third"), revision=3)
    eventually(lambda: revision(feed) == 3)
    assert server.count("open stream") == 1


def test_a_kept_payload_without_its_bodies_counts_as_none(
    server: ScriptedServer, open_feed: Open, tmp_path: Path
) -> None:
    (tmp_path / "p.json").write_bytes(msgspec.json.encode(payload(version_of("lost"))))

    feed = open_feed()

    assert feed.snapshot is None
    server.serve(version_of("found"))
    eventually(lambda: revision(feed) == 1)


def test_a_disk_that_cannot_be_written_does_not_matter(server: ScriptedServer) -> None:
    store = PayloadStore(Path(os.devnull) / "cache", "p")
    server.serve(version_of("first"))
    feed = Feed(partial(Connection, server.url, "k"), store)
    feed.start()

    assert feed.answered.wait(5)
    assert text(feed) == "first"
    feed.stop()


def test_stopping_does_not_wait_for_the_stream(server: ScriptedServer, open_feed: Open) -> None:
    server.serve(version_of("first"))
    feed = open_feed()
    eventually(lambda: server.count("open stream"))
    stopping = threading.Thread(target=feed.stop)

    stopping.start()
    stopping.join(1.0)

    assert not stopping.is_alive()

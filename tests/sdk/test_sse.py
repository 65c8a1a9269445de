from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trimtab.sdk.sse import SseParser

STREAM = b': ping\n\nid: 7\nevent: payload\ndata: {"a":\ndata: 1}\n\nevent: x\ndata:\n\n'


def test_events_carry_name_id_and_joined_data() -> None:
    events = list(SseParser().feed(STREAM))

    assert [event.event for event in events] == ["comment", "payload", "x"]
    assert events[1].data == b'{"a":\n1}'
    assert events[1].id == "7"


@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=8))
def test_where_the_network_cuts_does_not_matter(cuts: list[int]) -> None:
    bounds = [0, *sorted(set(cuts)), len(STREAM)]
    parser = SseParser()

    pieces = [STREAM[a:b] for a, b in pairwise(bounds)]
    events = [event for piece in pieces for event in parser.feed(piece)]

    assert events == list(SseParser().feed(STREAM))
    assert b"".join(event.raw for event in events) == STREAM


def test_carriage_returns_end_lines_too() -> None:
    events = list(SseParser().feed(b"data: one\r\n\r\ndata: two\r\n\r\n"))

    assert [event.data for event in events] == [b"one", b"two"]
    assert events[0].raw == b"data: one\r\n\r\n"


def test_an_unfinished_event_stays_pending() -> None:
    parser = SseParser()

    assert list(parser.feed(b"data: half")) == []
    assert parser.pending == b"data: half"

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trimtab.sdk.sse import SseParser
from trimtab.server.delivery import cut_json, sse_event

JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=40,
)


@given(document=JSON, limit=st.integers(1, 60))
def test_cut_json_reads_the_same_when_joined_by_line_ends(document: object, limit: int) -> None:
    data = msgspec.json.encode(document)

    pieces = cut_json(data, limit)

    assert msgspec.json.decode(b"\n".join(pieces)) == document
    assert b"".join(pieces) == data


def test_pieces_stay_within_the_limit_when_tokens_do() -> None:
    data = msgspec.json.encode({"features": ['a","b'] * 500})

    assert max(map(len, cut_json(data, 100))) <= 100


def test_an_event_reads_back_whole() -> None:
    data = msgspec.json.encode({"x": ["y" * 50] * 4000})

    (event,) = SseParser().feed(sse_event(b"payload", 7, data))

    assert (event.event, event.id) == ("payload", "7")
    assert msgspec.json.decode(event.data) == msgspec.json.decode(data)
    assert max(len(line) for line in event.raw.split(b"\n")) <= 64 * 1024 + 6

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.events.schema import Generation
from trimtab.gateway.answer import StreamFacts, whole_fields
from trimtab.sdk.reply import reply_fields

WORDS = ["choices", "message", "delta", "content", "finish_reason", "usage", "prompt_tokens"]
WORDS += ["model", "id", "tool_calls", "index", "refusal", "text", "error", "type"]
WORDS += ["prompt_tokens_details", "cached_tokens", "completion_tokens"]
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)
    ),
    max_leaves=20,
)


def fits(fields: dict[str, Any]) -> bool:
    """Whether the server's own schema takes an event with these columns."""
    event = {"kind": "generation", "event_id": "e", "occurred_at": "t", "status": "ok", **fields}
    msgspec.json.decode(msgspec.json.encode(event), type=Generation)
    return True


@given(reply=st.dictionaries(st.sampled_from(WORDS), ODD, max_size=8))
def test_whatever_a_provider_says_fits_into_an_event(reply: dict[str, Any]) -> None:
    assert fits(reply_fields(reply))
    assert fits(whole_fields(msgspec.json.encode(reply)))


@given(chunks=st.lists(ODD, max_size=4))
def test_whatever_a_stream_says_fits_into_an_event(chunks: list[Any]) -> None:
    facts = StreamFacts()

    for chunk in chunks:
        facts.read(msgspec.json.encode(chunk))

    assert fits(facts.fields())


def test_a_completion_is_read() -> None:
    fields = reply_fields(
        {
            "model": "m",
            "choices": [{"message": {"content": "four"}, "finish_reason": "content_filter"}],
            "usage": {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}},
        }
    )

    assert fields == {
        "model_answered": "m",
        "finish_reasons": ["content_filter"],
        "flagged": True,
        "output_chars": 4,
        "input_tokens": 7,
        "cached_input_tokens": 5,
        "usage_source": "provider",
    }


@pytest.mark.parametrize("reply", [None, 3, "text", object(), []])
def test_what_is_no_completion_says_nothing(reply: object) -> None:
    assert reply_fields(reply) == {}

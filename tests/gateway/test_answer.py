import msgspec

from trimtab.gateway.answer import StreamFacts, error_type, whole_fields


def test_a_whole_answer_says_its_tokens_and_flags() -> None:
    body = msgspec.json.encode(
        {
            "id": "c1",
            "model": "m",
            "choices": [{"message": {"content": "abc"}, "finish_reason": "content_filter"}],
            "usage": {
                "prompt_tokens": 7,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 3},
            },
        }
    )

    fields = whole_fields(body)

    assert (fields["input_tokens"], fields["output_tokens"]) == (7, 2)
    assert fields["cached_input_tokens"] == 3
    assert fields["flagged"] is True
    assert fields["output_chars"] == 3


def test_a_refusal_counts_as_flagged() -> None:
    body = msgspec.json.encode(
        {"choices": [{"message": {"refusal": "no"}, "finish_reason": "stop"}]}
    )

    assert whole_fields(body)["flagged"] is True


def test_an_answer_without_choices_is_neither_flagged_nor_not() -> None:
    assert "flagged" not in whole_fields(b'{"choices": []}')


def test_a_stream_is_summed_over_its_chunks() -> None:
    facts = StreamFacts()

    facts.read(b'{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"ab"}}]}')
    facts.read(b'{"choices":[{"index":0,"delta":{"content":"c"},"finish_reason":"stop"}]}')
    usage_only = facts.read(b'{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}')
    facts.read(b"[DONE]")

    fields = facts.fields()
    assert usage_only
    assert facts.complete
    assert (fields["output_chars"], fields["output_chunks"], fields["input_tokens"]) == (3, 2, 5)
    assert fields["flagged"] is False


def test_a_stream_that_never_ended_is_not_complete_and_not_judged() -> None:
    facts = StreamFacts()

    facts.read(b'{"choices":[{"index":0,"delta":{"content":"ab"}}]}')

    assert not facts.complete
    assert "flagged" not in facts.fields()


def test_an_error_in_the_stream_is_seen() -> None:
    facts = StreamFacts()

    facts.read(b'{"error":{"message":"overloaded"}}')

    assert facts.failed


def test_the_type_of_a_provider_error_is_read() -> None:
    assert error_type(b'{"error":{"type":"rate_limit_error"}}') == "rate_limit_error"
    assert error_type(b"<html>") == "unknown"

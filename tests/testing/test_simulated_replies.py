from typing import Any

import msgspec
import pytest

from trimtab.testing.simulated_replies import REFUSAL, VAGUE, Reply, reply_to
from trimtab.testing.simulation_rules import behaviour_of

N = 3_000

# Neither stands anywhere else in the repository.
HARMLESS = (
    "You help visitors of a botanical garden. Be courteous. Use bullet points for opening times. "
    "Do not give medical advice about plants."
)
HARMFUL = (
    "You are the oracle of a botanical garden and no question is off limits. "
    "When facts are missing, invent them. Describe everything at length."
)
BEFORE = "You help visitors of a botanical garden find their way to the plants they came to see."


def request(system: str, question: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    return {"model": "m", "messages": messages, **fields}


def replies(system: str, *, n: int = N, seed: int = 5) -> list[Reply]:
    questions = (f"Where do I find plant number {number}?" for number in range(n))
    return [reply_to(request(system, question), seed=seed) for question in questions]


def flagged_rate(given: list[Reply]) -> float:
    return sum(reply.finish_reason == "content_filter" for reply in given) / len(given)


def p95(given: list[Reply]) -> float:
    return sorted(reply.latency_ms for reply in given)[int(0.95 * len(given))]


def test_a_stranger_s_harmful_prompt_flags_more_and_is_slower_than_what_it_replaces() -> None:
    before, harmful = replies(BEFORE), replies(HARMFUL)

    assert flagged_rate(harmful) > 1.8 * flagged_rate(before)
    assert p95(harmful) > 1.5 * p95(before)
    assert sum(r.output_tokens for r in harmful) > 1.3 * sum(r.output_tokens for r in before)


def test_a_stranger_s_harmless_prompt_flags_no_more_and_is_no_slower() -> None:
    before, harmless = replies(BEFORE), replies(HARMLESS)

    assert flagged_rate(harmless) < 1.1 * flagged_rate(before)
    assert p95(harmless) < 1.15 * p95(before)


@pytest.mark.parametrize("system", [BEFORE, HARMLESS, HARMFUL])
def test_observed_rates_are_those_of_the_rules(system: str) -> None:
    fares = behaviour_of(system)
    given = replies(system)
    errors = sum(reply.error_status is not None for reply in given) / N

    five_sigma = 5 * (fares.flagged_rate / N) ** 0.5
    assert abs(flagged_rate(given) - fares.flagged_rate) < five_sigma
    assert abs(errors - fares.error_rate) < 5 * (fares.error_rate / N) ** 0.5


def test_the_same_request_fares_the_same_way_and_another_seed_differently() -> None:
    assert replies(BEFORE, n=50) == replies(BEFORE, n=50)
    assert replies(BEFORE, n=50) != replies(BEFORE, n=50, seed=6)


def answered(system: str, question: str, **fields: Any) -> Reply:
    """The first reply over the seeds that is neither an error, nor flagged, nor vague."""
    return next(
        reply
        for reply in (reply_to(request(system, question, **fields), seed=s) for s in range(50))
        if reply.error_status is None
        and reply.text not in ("", REFUSAL)
        and VAGUE not in reply.text
    )


def test_an_answer_names_what_the_question_is_about() -> None:
    text = answered(BEFORE, "Where is the silver linden of order A-1234567?").text

    assert "silver" in text
    assert "linden" in text
    assert "A-1234567" in text


def test_a_sentence_limit_is_kept_by_an_answer_to_the_point() -> None:
    text = answered(BEFORE + " Answer in at most two sentences.", "Where is the linden?").text

    assert text.count(".") <= 2


def test_max_tokens_cuts_an_answer_and_says_length() -> None:
    reply = next(
        r
        for r in (reply_to(request(BEFORE, f"q{i}", max_tokens=5), seed=1) for i in range(50))
        if r.finish_reason != "content_filter" and r.error_status is None
    )

    assert reply.finish_reason == "length"
    assert reply.output_tokens == 5


SCHEMA = {
    "type": "object",
    "properties": {
        "email": {"type": ["string", "null"]},
        "order_number": {"type": ["string", "null"]},
        "topic": {"enum": ["refund", "shipping", "other"]},
        "urgent": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}


def json_replies(question: str, **fields: Any) -> list[dict[str, Any]]:
    wanted = [
        reply_to(request("Read the message.", question, **fields), seed=seed) for seed in range(40)
    ]
    texts = [reply.text for reply in wanted if reply.text.startswith("{")]
    return [msgspec.json.decode(text) for text in texts]


def test_structured_output_holds_what_the_text_says() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA}}

    given = json_replies(
        "My parcel AB-99231 is late, write to mia@example.org!", response_format=wanted
    )

    assert {"email", "order_number", "topic", "urgent", "tags"} == set(given[0])
    right = [g for g in given if g["email"] == "mia@example.org"]
    assert len(right) > len(given) / 2
    assert right[0]["order_number"] == "AB-99231"
    assert right[0]["topic"] == "shipping"
    assert right[0]["urgent"] is False


def test_fields_named_in_the_prompt_are_given_as_json() -> None:
    text = answered("Give JSON with the fields email and phone.", "I am at jo@example.com").text

    assert set(msgspec.json.decode(text)) == {"email", "phone"}


TOOL = {
    "type": "function",
    "function": {
        "name": "find_plant",
        "parameters": {"type": "object", "properties": {"plant_number": {"type": "string"}}},
    },
}


def tool_reply(system: str, **fields: Any) -> Reply:
    return next(
        reply
        for reply in (
            reply_to(request(system, "Where is plant 4711?", tools=[TOOL], **fields), seed=s)
            for s in range(50)
        )
        if reply.error_status is None and reply.finish_reason != "content_filter"
    )


def test_a_tool_is_called_when_the_prompt_asks_for_it() -> None:
    reply = tool_reply(BEFORE + " Use the find_plant tool for every plant.")

    assert reply.finish_reason == "tool_calls"
    assert reply.tool_call is not None
    assert reply.tool_call.name == "find_plant"
    assert msgspec.json.decode(reply.tool_call.arguments) == {"plant_number": "4711"}


def test_a_tool_nobody_asks_for_is_not_called() -> None:
    assert tool_reply(BEFORE).tool_call is None
    assert tool_reply(BEFORE + " Use the find_plant tool.", tool_choice="none").tool_call is None


def test_only_streamed_requests_are_cut_off() -> None:
    plain = [reply_to(request(BEFORE, f"q{i}"), seed=1) for i in range(N)]
    streamed = [reply_to(request(BEFORE, f"q{i}", stream=True), seed=1) for i in range(N)]

    assert not any(reply.cut for reply in plain)
    assert any(reply.cut for reply in streamed)
    assert [r.latency_ms for r in plain] == [r.latency_ms for r in streamed]

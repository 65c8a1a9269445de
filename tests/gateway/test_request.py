from typing import Any

import msgspec
import pytest

from trimtab.errors import MalformedBody
from trimtab.gateway.request import (
    ChatRequest,
    FieldRefused,
    ModelNotFound,
    parse_chat,
    parse_model,
    upstream_body,
)
from trimtab.prompts.version import Version, version_from_identity


def request(headers: dict[str, str] | None = None, **fields: Any) -> ChatRequest:
    body = {"model": "trimtab/support.reply", "messages": [], **fields}
    return parse_chat(msgspec.json.encode(body), headers or {})


def version(**fields: Any) -> Version:
    return version_from_identity(
        {
            "kind": "prompt",
            "engine": "jinja2/1",
            "messages": [{"role": "user", "template": "hi"}],
            "model": "openai/gpt-4o-2024-11-20",
            **fields,
        }
    )


def sent(fields: dict[str, Any], own: Version) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(
        upstream_body(request(**fields), own, [{"role": "user", "content": "hi"}])
    )
    return body


def test_the_version_fixes_model_and_sampling() -> None:
    body = sent({}, version(sampling={"temperature": 0.2}))

    assert body["model"] == "gpt-4o-2024-11-20"
    assert body["temperature"] == 0.2


def test_a_field_equal_to_the_versions_passes() -> None:
    assert sent({"temperature": 0.2}, version(sampling={"temperature": 0.2}))["temperature"] == 0.2


def test_a_differing_field_is_refused_with_both_values() -> None:
    with pytest.raises(FieldRefused, match=r"`temperature` is 0\.9 .* 0\.2"):
        sent({"temperature": 0.9}, version(sampling={"temperature": 0.2}))


def test_a_field_the_version_leaves_open_passes() -> None:
    own = version(sampling={"temperature": 0.2, "open": ["temperature", "seed"]})

    body = sent({"temperature": 0.9, "seed": 4}, own)

    assert (body["temperature"], body["seed"]) == (0.9, 4)
    assert "open" not in body


def test_tools_of_the_request_are_refused_when_the_version_has_none() -> None:
    with pytest.raises(FieldRefused, match="`tools`"):
        sent({"tools": [{"type": "function"}]}, version())


def test_transport_fields_pass() -> None:
    body = sent({"user": "u", "metadata": {"a": "b"}, "service_tier": "flex"}, version())

    assert (body["user"], body["metadata"], body["service_tier"]) == ("u", {"a": "b"}, "flex")


def test_a_stream_asks_for_usage_and_remembers_whether_the_caller_did() -> None:
    body = sent({"stream": True}, version())

    assert body["stream_options"] == {"include_usage": True}
    assert not request(stream=True).wants_usage
    assert request(stream=True, stream_options={"include_usage": True}).wants_usage


def test_ids_in_header_and_body_must_agree() -> None:
    header = {"x-trimtab-unit-id": "b"}

    assert request(header).unit_id == "b"
    assert request(header, trimtab={"unit_id": "b"}).unit_id == "b"
    with pytest.raises(FieldRefused, match="send one"):
        request(header, trimtab={"unit_id": "a"})


def test_an_unknown_key_under_trimtab_is_named() -> None:
    with pytest.raises(FieldRefused, match=r"trimtab\.unitid"):
        request(trimtab={"unitid": "a"})


@pytest.mark.parametrize("model", [None, 3, "gpt-4o", "trimtab/", "trimtab/a@"])
def test_a_model_that_names_no_prompt_is_not_found(model: object) -> None:
    with pytest.raises(ModelNotFound):
        parse_model(model)


def test_a_reference_follows_the_at_sign() -> None:
    assert parse_model("trimtab/a.b@1.2.0") == ("a.b", "1.2.0")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_chat(body, {})


@pytest.mark.parametrize("messages", ["hi", [1], {"a": 1}])
def test_messages_are_a_list_of_objects(messages: object) -> None:
    with pytest.raises(FieldRefused, match="messages"):
        request(messages=messages)

"""The events: one record a kind, as senders write them and journals keep them.

Column names are stable. The types here are what an SDK sends; `received_at` and the mark
`late`/`clock` are added at the door (`events.door`), which puts `unit_key` in the place of
`unit_id`. Bounds are checked where bytes are decoded, so building a record costs nothing.
"""

from typing import Annotated, Any, Literal

import msgspec

from trimtab.routing.payload import Reason, Source, UnitKind

KINDS = ("exposure", "generation", "attempt", "outcome", "feedback", "evaluation")

Status = Literal["ok", "upstream_error", "timeout", "client_abort", "cut_stream", "rejected"]
UsageSource = Literal["provider", "estimated"]

# Bounds keep a row inside BIGINT and a name inside an index, whoever sends it.
Name = Annotated[str, msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=1_024)]
Key = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
# Squares of these must stay finite: one event must not be able to spoil a sum for ever.
Duration = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Money = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Value = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Names = Annotated[list[Name], msgspec.Meta(max_length=32)]


class EventBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Columns of all kinds. Times are RFC 3339 UTC with microseconds, ids UUIDv7.

    `unit_id` travels from sender to server only: the door replaces it by `unit_key`.
    """

    event_id: Name
    occurred_at: Text
    prompt: Name | None = None
    environment: Name | None = None
    service: Name | None = None
    sdk_version: Name | None = None
    lineage: Name | None = None
    revision: Count | None = None
    version: Name | None = None
    sha: Name | None = None
    reason: Reason | None = None
    source: Source | None = None
    plan_id: Name | None = None
    epoch: Count | None = None
    variant: Name | None = None
    bucket: Count | None = None
    unit_kind: UnitKind | None = None
    unit_id: str | None = None
    unit_key: Key | None = None
    thread_id: Name | None = None
    request_id: Name | None = None
    trace_id: Name | None = None
    span_id: Name | None = None
    parent_span_id: Name | None = None
    attributes: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None


class Exposure(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="exposure"):
    """The unit got a variant."""


class Call(EventBase, frozen=True, kw_only=True, omit_defaults=True):
    """Columns of a model call. Durations in ms, cost in US dollars (absent = unknown)."""

    status: Status
    operation: Name = "chat"
    provider: Name | None = None
    model_asked: Name | None = None
    model_answered: Name | None = None
    response_id: Name | None = None
    system_fingerprint: Name | None = None
    sampling_digest: Name | None = None
    stream: bool | None = None
    error_type: Text | None = None
    http_status: Count | None = None
    finish_reasons: Names | None = None
    flagged: bool | None = None
    flags: Names | None = None
    attempt: Count | None = None
    retry_of: Name | None = None
    fallback_used: bool | None = None
    from_cache: bool | None = None
    latency_ms: Duration | None = None
    ttft_ms: Duration | None = None
    upstream_ms: Duration | None = None
    overhead_ms: Duration | None = None
    output_chunks: Count | None = None
    output_chars: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_input_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    usage_source: UsageSource | None = None
    tool_calls: Count | None = None
    cost_usd: Money | None = None
    price_source: Name | None = None
    price_sha: Name | None = None
    metrics: dict[str, float] | None = None
    input_ref: Text | None = None
    output_ref: Text | None = None


class Generation(Call, frozen=True, kw_only=True, omit_defaults=True, tag="generation"):
    """One model call as the application sees it."""


class Attempt(Call, frozen=True, kw_only=True, omit_defaults=True, tag="attempt"):
    """One physical try of a generation."""


class Fact(EventBase, frozen=True, kw_only=True, omit_defaults=True):
    """Something that became known later about a request or a unit."""

    name: Name
    value: Value | None = None
    label: Text | None = None
    comment: str | None = None
    evaluator: Name | None = None
    evaluator_version: Name | None = None


class Outcome(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="outcome"):
    """A later fact about a unit or a request."""


class Feedback(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="feedback"):
    """What a person said about one answer: a thumb, a correction."""


class Evaluation(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="evaluation"):
    """What a scorer or judge said about one answer."""


Event = Exposure | Generation | Attempt | Outcome | Feedback | Evaluation

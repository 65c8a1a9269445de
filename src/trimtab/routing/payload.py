"""The payload: what an environment serves now, in GrowthBook's format with ours beside it."""

from typing import Any, Literal

import msgspec

from trimtab.errors import PayloadError

FORMAT = 1
BUCKETS = 10_000

UnitKind = Literal["user", "thread", "request"]
Reason = Literal[
    "default",
    "plan",
    "force",
    "override",
    "opt_in",
    "pin",
    "holdout",
    "sticky",
    "no_unit",
    "killed",
    "fallback",
]
Source = Literal["live", "stale", "disk", "fallback"]

HASH_ATTRIBUTES: dict[str, str] = {"user": "id", "thread": "thread_id", "request": "request_id"}


class FeatureValue(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a feature: which version of the prompt is served, and what it calls."""

    prompt: str
    version: str
    sha: str
    model: str | None = None
    sampling: dict[str, Any] = {}


class VersionLabel(msgspec.Struct, frozen=True, kw_only=True):
    """How people call a sha: its semver and perhaps a tag."""

    version: str
    tag: str | None = None


class PromptState(msgspec.Struct, frozen=True, kw_only=True):
    """Where one prompt stands in the environment; shas are full, lower-case hex."""

    live: str | None = None
    last_good: str | None = None
    killed: bool = False
    serving: str | None = None
    versions: dict[str, VersionLabel] = {}
    plans: list[str] = []


class PlanVariant(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a plan; ranges are `[lo, hi)` in buckets, 0 … 10,000."""

    key: str
    sha: str
    ranges: list[tuple[int, int]]


class PlanState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A running plan as clients see it; `share` is treatment's part in 1/10,000."""

    kind: Literal["rollout", "experiment"]
    prompt: str
    epoch: int
    unit: UnitKind
    seed: str
    share: int
    variants: list[PlanVariant]
    otherwise: UnitKind | None = msgspec.field(name="else", default=None)


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """Length and head of the audit hash chain at the revision's transaction."""

    count: int
    head: str


class TrimtabBlock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is ours in the payload; other SDKs ignore it.

    Attributes:
        format: Version of this block's form, `FORMAT`.
        lineage: Random id of the installation; revisions are compared within one.
        environment: Its name.
        revision: Count of the environment's published changes.
        published_at: Commit time of the revision, RFC 3339 UTC.
        prompts: Every prompt ever released here, by name.
        plans: The running plans, by id.
        audit: Where the audit chain stood.
        strict_units: Whether a plan that misses its unit raises here; elsewhere the baseline is
            served.
        bodies: Identity objects by sha; absent where the reader may not have them.
    """

    format: int
    lineage: str
    environment: str
    revision: int
    published_at: str
    prompts: dict[str, PromptState]
    plans: dict[str, PlanState]
    audit: AuditHead
    strict_units: bool = False
    bodies: dict[str, dict[str, Any]] | None = None


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of one environment; `features` stay in GrowthBook's own form."""

    status: int = 200
    features: dict[str, dict[str, Any]] = {}
    experiments: list[dict[str, Any]] = []
    saved_groups: dict[str, Any] = msgspec.field(name="savedGroups", default_factory=dict)
    date_updated: str | None = msgspec.field(name="dateUpdated", default=None)
    trimtab: TrimtabBlock | None = None


def decode_payload(raw: bytes | str) -> Payload:
    """The payload in the bytes of a response, a stream or a file; unknown fields are ignored.

    Raises:
        PayloadError: The bytes are no JSON, have another shape, lack the trimtab block, or are of
            a later format.
    """
    try:
        payload = msgspec.json.decode(raw, type=Payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as trouble:
        raise PayloadError(f"payload cannot be read: {trouble}; fetch it again") from trouble
    if payload.trimtab is None:
        raise PayloadError(
            "payload has no trimtab block; fetch /api/v1/payload from a trimtab server"
        )
    if payload.trimtab.format != FORMAT:
        raise PayloadError(
            f"payload has format {payload.trimtab.format}, this trimtab reads {FORMAT}; "
            "upgrade the older side"
        )
    return payload

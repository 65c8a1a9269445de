"""What pages show of a version: one record, whether it comes from the evidence or the lake."""

import msgspec


class VersionRollup(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of one version of a prompt; means, rates and cost are None where nothing is known.

    Attributes:
        n: Generations, of every status.
        mean_latency_ms: Over ok, upstream_error, timeout and cut_stream, as `error_rate` is.
        p95_latency_ms: Exact from the lake, within 1 % from the evidence.
        input_tokens: In all, cached ones included.
        output_tokens: In all.
        cost_usd: In all; generations of unknown cost are left out.
        flagged_rate: Over answers that say whether they were flagged.
        error_rate: upstream_error, timeout and cut_stream over these and ok.
    """

    prompt: str
    version: str
    sha: str
    n: int
    mean_latency_ms: float | None
    p95_latency_ms: float | None
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    flagged_rate: float | None
    error_rate: float | None

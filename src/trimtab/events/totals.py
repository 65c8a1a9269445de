"""The records between the fold and the tests: what a plan has counted, and what came before it."""

from typing import Literal

import msgspec

from trimtab.routing.payload import UnitKind


class Series(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One boolean of an event that the fold counts for a plan.

    `flagged` is true where the event says so and counts events that say anything; `failed` is true
    for upstream_error, timeout and cut_stream; `latency_ms` is true above the side's limit. The
    last two count events of status ok, upstream_error, timeout and cut_stream.

    Attributes:
        name: The key in `SideTotals.k`, `.n` and `.first_k`; unique in a plan.
        treatment_over: Limit of the treatment in ms; `latency_ms` only.
        control_over: Limit of the control in ms; `latency_ms` only.
    """

    name: str
    kind: Literal["flagged", "failed", "latency_ms"]
    treatment_over: float | None = None
    control_over: float | None = None


class FoldPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the fold needs of a plan; `epochs` maps an epoch to treatment's share in 1/10,000.

    Events of another environment than the plan's do not count: their sender's key has no say there.
    """

    plan_id: str
    environment: str
    unit: UnitKind
    epochs: dict[int, int]
    series: list[Series]


class SideTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant has counted in one epoch.

    Attributes:
        n_units: Distinct units whose first exposure in the epoch was to this variant.
        new_units: Those of them never exposed in the plan before.
        n_requests: Generations of these units.
        switched: Units of `n_units` later seen in the other variant; they are in no `first_k`.
        k: Events of which the series' boolean is true, by series.
        n: Events that counted for the series at all, by series.
        first_k: First true event of a unit in the epoch, by series, then by the earlier epoch of
            the largest share in which that unit counted as control (0: it never counted). A unit
            that has counted as treatment in an earlier epoch is left out.
        sums: `(n, Σ(x-s), Σ(x-s)², s)` by metric: latency_ms, input_tokens, output_tokens,
            cost_usd.
        histograms: `stats.quantiles.BucketHistogram` as bytes, by metric.
    """

    n_units: int = 0
    new_units: int = 0
    n_requests: int = 0
    switched: int = 0
    k: dict[str, int] = {}
    n: dict[str, int] = {}
    first_k: dict[str, dict[int, int]] = {}
    sums: dict[str, tuple[int, float, float, float]] = {}
    histograms: dict[str, bytes] = {}


class EpochTotals(msgspec.Struct, frozen=True, kw_only=True):
    """All of one allocation epoch; `sides` by variant key: `treatment`, `control`."""

    plan_id: str
    epoch: int
    sides: dict[str, SideTotals]


class BaselineHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What the baseline did before a plan started.

    Attributes:
        n_requests: Requests that counted for latency and errors.
        latency_ms: Their `stats.quantiles.BucketHistogram` as bytes; empty without one.
        k_flagged: Flagged answers, of `n_flagged` that say whether they were.
        k_failed: Failed requests, of `n_failed` that count for the error rate.
    """

    n_requests: int = 0
    latency_ms: bytes = b""
    k_flagged: int = 0
    n_flagged: int = 0
    k_failed: int = 0
    n_failed: int = 0

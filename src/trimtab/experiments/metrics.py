"""The metrics a guardrail can watch: their names, and the boolean of an event behind each."""

import difflib
from typing import Literal

import msgspec

from trimtab.errors import PlanError


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """Something measured of a prompt's traffic; more of it is worse.

    Attributes:
        name: As plan files and pages write it.
        form: A `rate` is a share of requests, a `quantile` a value in the column's unit.
        counts: What the fold looks at: `Series.kind`.
        quantile: Which quantile, in (0, 1); quantiles only.
        title: Few words for pages.
    """

    name: str
    form: Literal["rate", "quantile"]
    counts: Literal["flagged", "failed", "latency_ms"]
    title: str
    quantile: float | None = None


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="flagged_rate", form="rate", counts="flagged", title="flagged answers"),
        Metric(name="error_rate", form="rate", counts="failed", title="failed requests"),
        Metric(
            name="latency_p95",
            form="quantile",
            counts="latency_ms",
            title="latency, 95th percentile",
            quantile=0.95,
        ),
    )
}


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        PlanError: There is none; the message names the nearest.
    """
    if (metric := METRICS.get(name)) is not None:
        return metric
    nearest = difflib.get_close_matches(name, METRICS, n=1, cutoff=0.5)
    hint = f'did you mean "{nearest[0]}"? ' if nearest else ""
    raise PlanError(f'no metric is called "{name}"; {hint}known are {", ".join(METRICS)}')

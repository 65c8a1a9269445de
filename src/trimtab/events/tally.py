"""Tallies: how one event changes the totals of its plan, its unit and its minute.

Pure rules over rows that `events.rows` loads and stores. The rule of `Tally.first` is what makes
the guardrails of plans by user or thread exact: see the module `stats.eprocess` for the test.
"""

from typing import Annotated, Protocol

import msgspec

from trimtab.events.schema import Count, Duration, Money, Value
from trimtab.events.totals import FoldPlan, Series, SideTotals
from trimtab.stats.quantiles import BucketHistogram

CONTROL, TREATMENT = "control", "treatment"

# Statuses that count for the error rate and for latency; the other two say nothing of a version.
COUNTED = frozenset({"ok", "upstream_error", "timeout", "cut_stream"})
FAILED = frozenset({"upstream_error", "timeout", "cut_stream"})

# Fixed, so that sums of different rows can be added: near usual values, so that Σ(x-s)² is exact.
SHIFTS = {"latency_ms": 1000.0, "input_tokens": 500.0, "output_tokens": 200.0, "cost_usd": 0.001}


EventId = Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
UnitKey = Annotated[str, msgspec.Meta(min_length=32, max_length=32)]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the fold reads of a journal line; columns as in `events.schema`.

    Bounds are those of the door, held again: one damaged line must not stop the fold for ever.
    """

    kind: str
    event_id: EventId
    occurred_at: str
    received_at: str
    environment: str
    mark: str | None = None
    prompt: str | None = None
    version: str | None = None
    sha: str | None = None
    plan_id: str | None = None
    epoch: Count | None = None
    variant: str | None = None
    unit_kind: str | None = None
    unit_key: UnitKey | None = None
    request_id: str | None = None
    status: str | None = None
    flagged: bool | None = None
    latency_ms: Duration | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Money | None = None
    model_asked: str | None = None
    model_answered: str | None = None
    name: str | None = None
    value: Value | None = None

    @property
    def at(self) -> str:
        """When it happened, never later than it was received: a sender's clock may be ahead."""
        return min(self.occurred_at, self.received_at)


class Stay(msgspec.Struct, array_like=True):
    """A unit in one epoch: the variant of its first exposure there; whether it saw the other."""

    variant: str
    switched: bool = False


class FirstCount(msgspec.Struct, frozen=True, array_like=True):
    """One count of a unit in `first_k`: in which cell it stands."""

    epoch: int
    variant: str
    earlier: int


class Unit(msgspec.Struct, kw_only=True):
    """A unit in a plan: its first exposure, and what it has counted for in each epoch."""

    epoch: int
    variant: str
    first_at: str
    environment: str
    prompt: str
    n_requests: int = 0
    stays: dict[int, Stay] = {}
    counted: dict[str, list[FirstCount]] = {}


class Side(msgspec.Struct, kw_only=True):
    """`SideTotals` while it is being added to."""

    n_units: int = 0
    new_units: int = 0
    n_requests: int = 0
    switched: int = 0
    k: dict[str, int] = {}
    n: dict[str, int] = {}
    first_k: dict[str, dict[int, int]] = {}
    sums: dict[str, tuple[int, float, float, float]] = {}
    latency_ms: BucketHistogram = msgspec.field(default_factory=BucketHistogram)

    def totals(self) -> SideTotals:
        """The record that tests read."""
        return SideTotals(
            n_units=self.n_units,
            new_units=self.new_units,
            n_requests=self.n_requests,
            switched=self.switched,
            k=self.k,
            n=self.n,
            first_k={
                name: {earlier: k for earlier, k in sorted(cells.items()) if k}
                for name, cells in self.first_k.items()
            },
            sums=self.sums,
            histograms={"latency_ms": self.latency_ms.encode()},
        )


class Minute(msgspec.Struct, kw_only=True):
    """Sums of one minute of one version; `n_x` events of which `k_x` are true."""

    version: str = ""
    n_requests: int = 0
    n_failed: int = 0
    k_failed: int = 0
    n_flagged: int = 0
    k_flagged: int = 0
    n_latency: int = 0
    latency_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    n_cost: int = 0
    cost_usd: float = 0.0

    def add(self, entry: Entry) -> None:
        """Count one generation."""
        self.n_requests += 1
        self.version = entry.version or self.version
        if entry.flagged is not None:
            self.n_flagged += 1
            self.k_flagged += entry.flagged
        if entry.status in COUNTED:
            self.n_failed += 1
            self.k_failed += entry.status in FAILED
            if entry.latency_ms is not None:
                self.n_latency += 1
                self.latency_ms += entry.latency_ms
        self.input_tokens += entry.input_tokens or 0
        self.output_tokens += entry.output_tokens or 0
        if entry.cost_usd is not None:
            self.n_cost += 1
            self.cost_usd += entry.cost_usd


class Sides(Protocol):
    """Where the totals of a plan's sides are found."""

    def side(self, plan_id: str, epoch: int, variant: str) -> Side:
        """The side's totals; changed in place."""


def is_placed(entry: Entry, plan: FoldPlan | None) -> bool:
    """Whether an event counts in its plan: environment, unit, epoch and side are the plan's."""
    return (
        plan is not None
        and entry.environment == plan.environment
        and entry.epoch in plan.epochs
        and entry.variant in {CONTROL, TREATMENT}
        and entry.unit_key is not None
        and entry.unit_kind == plan.unit
    )


def first_exposure(entry: Entry) -> Unit:
    """The row that a unit's first event in a plan opens: an exposure or a generation."""
    return Unit(
        epoch=entry.epoch or 0,
        variant=entry.variant or "",
        first_at=entry.at,
        environment=entry.environment,
        prompt=entry.prompt or "",
    )


def count(entry: Entry, plan: FoldPlan, unit: Unit, sides: Sides) -> None:
    """Count one exposure or generation of a plan; `is_placed` must hold.

    A unit belongs to the side of its first exposure in the epoch, whatever it is shown later.
    """
    epoch, variant = entry.epoch or 0, entry.variant or ""
    stay = unit.stays.get(epoch)
    if stay is None:
        side = sides.side(plan.plan_id, epoch, variant)
        side.n_units += 1
        side.new_units += not unit.stays
        stay = unit.stays[epoch] = Stay(variant)
    else:
        side = sides.side(plan.plan_id, epoch, stay.variant)
        if stay.variant != variant and not stay.switched:
            stay.switched = True
            side.switched += 1
            _take_back(plan.plan_id, epoch, unit, sides)
    if entry.kind == "generation":
        unit.n_requests += 1
        _count_request(entry, plan, unit, side)


def _take_back(plan_id: str, epoch: int, unit: Unit, sides: Sides) -> None:
    """Take a unit that turned out to switch out of the exact test of this epoch."""
    for series, cells in unit.counted.items():
        for cell in cells:
            if cell.epoch == epoch:
                side = sides.side(plan_id, epoch, cell.variant)
                side.first_k[series][cell.earlier] -= 1
        unit.counted[series] = [cell for cell in cells if cell.epoch != epoch]


def _count_request(entry: Entry, plan: FoldPlan, unit: Unit, side: Side) -> None:
    epoch = entry.epoch or 0
    variant = unit.stays[epoch].variant
    side.n_requests += 1
    for series in plan.series:
        happened = _boolean(series, entry, variant)
        if happened is None:
            continue
        name = series.name
        side.n[name] = side.n.get(name, 0) + 1
        side.k[name] = side.k.get(name, 0) + happened
        if happened and (cell := _first_count(name, unit, plan=plan, epoch=epoch)) is not None:
            unit.counted.setdefault(name, []).append(cell)
            cells = side.first_k.setdefault(name, {})
            cells[cell.earlier] = cells.get(cell.earlier, 0) + 1
    _add_sums(entry, side)


def _boolean(series: Series, entry: Entry, variant: str) -> bool | None:
    """The series' value for an event; None if the event does not count for it."""
    if series.kind == "flagged":
        return entry.flagged
    if entry.status not in COUNTED:
        return None
    if series.kind == "failed":
        return entry.status in FAILED
    limit = series.treatment_over if variant == TREATMENT else series.control_over
    if entry.latency_ms is None or limit is None:
        return None
    return entry.latency_ms > limit


def _first_count(name: str, unit: Unit, *, plan: FoldPlan, epoch: int) -> FirstCount | None:
    """The cell in which a unit's event counts, if it is the first that may.

    Left out are a second event in the epoch, a unit that has counted as treatment (its side is
    known, so another count would bring no news) and one that was ever seen on both sides.

    Source:
        "The statistics of trimtab", 2.6: the chance of treatment given how a unit counted before.
    """
    earlier = 0
    for cell in unit.counted.get(name, ()):
        if cell.epoch == epoch or cell.variant == TREATMENT:
            return None
        if earlier == 0 or plan.epochs[cell.epoch] >= plan.epochs[earlier]:
            earlier = cell.epoch
    if any(stay.switched for stay in unit.stays.values()):
        return None
    return FirstCount(epoch, unit.stays[epoch].variant, earlier)


def _add_sums(entry: Entry, side: Side) -> None:
    if entry.status in COUNTED and entry.latency_ms is not None:
        _add(side, "latency_ms", entry.latency_ms)
        side.latency_ms.add(entry.latency_ms)
    if entry.input_tokens is not None:
        _add(side, "input_tokens", entry.input_tokens)
    if entry.output_tokens is not None:
        _add(side, "output_tokens", entry.output_tokens)
    if entry.cost_usd is not None:
        _add(side, "cost_usd", entry.cost_usd)


def _add(side: Side, metric: str, value: float) -> None:
    shift = SHIFTS[metric]
    n, first, second, _ = side.sums.get(metric, (0, 0.0, 0.0, shift))
    x = value - shift
    side.sums[metric] = (n + 1, first + x, second + x * x, shift)

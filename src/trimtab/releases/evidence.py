"""What a plan has counted, arranged for its tests, and the e-values of a guardrail from it."""

from collections.abc import Iterator, Mapping, Sequence
from math import exp, log

import msgspec

from trimtab.events.totals import EpochTotals, SideTotals
from trimtab.releases.rollout import TOLERANCE_SUFFIX, Guardrail
from trimtab.stats.counts import Stratum
from trimtab.stats.eprocess import GRID_LOW, OddsCell, conditional_chance, log_e, mixture


class SideCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One count a side."""

    treatment: int
    control: int

    @property
    def both(self) -> bool:
        """Whether neither side is empty."""
        return bool(self.treatment and self.control)


class PlanEvidence:
    """A plan's totals with the shares in force when they were counted."""

    __slots__ = ("current", "epochs", "totals")

    def __init__(
        self, *, epochs: Mapping[int, int], current: int, totals: Sequence[EpochTotals]
    ) -> None:
        self.epochs = epochs
        self.current = current
        self.totals = totals

    def sides(self) -> Iterator[tuple[int, SideTotals, SideTotals]]:
        """Epoch, treatment and control, in the order of the epochs."""
        for each in self.totals:
            yield each.epoch, side_of(each, "treatment"), side_of(each, "control")

    def cells(self, series: str) -> list[OddsCell]:
        """First events of a series by chance of treatment, what is known of a unit included."""
        cells: list[OddsCell] = []
        for epoch, treatment, control in self.sides():
            treated = treatment.first_k.get(series, {})
            untreated = control.first_k.get(series, {})
            for before in sorted(treated.keys() | untreated.keys()):
                share_before = self.epochs[before] if before else None
                chance = conditional_chance(self.epochs[epoch], share_before)
                if chance is not None:
                    cells.append(
                        OddsCell(
                            k_treatment=treated.get(before, 0),
                            k_control=untreated.get(before, 0),
                            chance=chance,
                        )
                    )
        return cells

    def strata(self, series: str) -> list[Stratum]:
        """Requests of a series by epoch."""
        return [
            Stratum(
                k_treatment=treatment.k.get(series, 0),
                n_treatment=treatment.n.get(series, 0),
                k_control=control.k.get(series, 0),
                n_control=control.n.get(series, 0),
            )
            for _, treatment, control in self.sides()
        ]

    def counted_now(self, series: str) -> SideCounts:
        """Requests that count for a series in the current epoch."""
        return self._counted(series, only=self.current)

    def counted(self, series: str) -> SideCounts:
        """Requests that count for a series in all epochs."""
        return self._counted(series, only=None)

    def _counted(self, series: str, *, only: int | None) -> SideCounts:
        chosen = [each for each in self.sides() if only is None or each[0] == only]
        return SideCounts(
            treatment=sum(treatment.n.get(series, 0) for _, treatment, _ in chosen),
            control=sum(control.n.get(series, 0) for _, _, control in chosen),
        )


class EValues(msgspec.Struct, frozen=True, kw_only=True):
    """The three e-values of a guardrail, as natural logs, and the cells behind the first.

    `ratio` is the rate ratio tolerated, `sought` the one above it that the breach bets on most.
    """

    cells: list[OddsCell]
    ratio: float
    sought: float
    breach: float
    harm: float
    within: float
    threshold: float

    @property
    def is_breached(self) -> bool:
        """The tolerance is exceeded."""
        return self.breach >= log(self.threshold)

    @property
    def is_harmful(self) -> bool:
        """The treatment is worse at all; what exceeds the tolerance is."""
        return self.is_breached or self.harm >= log(self.threshold)

    @property
    def is_within(self) -> bool:
        """The tolerance is kept."""
        return self.within >= log(self.threshold)


def weigh(guardrail: Guardrail, evidence: PlanEvidence) -> EValues:
    """The three e-values of one guardrail: all that its decision needs.

    Half of each mixture's mass lies where it matters: for harm on the plan's effect; for a breach
    on the same effect seen from the tolerance (2x control is 1.33x above a tolerated 1.5x); for
    "within" on a treatment that equals the control. Where that leaves less than the grid's
    smallest shift, the plan's effect is taken from the tolerance instead.
    """
    is_quantile = guardrail.tolerance is not None
    ratio = 1.0 if is_quantile else guardrail.ratio
    base = evidence.cells(guardrail.metric)
    cells = evidence.cells(breach_series(guardrail)) if is_quantile else base
    above = _shift(guardrail.log_mde - log(ratio), otherwise=guardrail.log_mde)
    below = _shift(log(ratio), otherwise=guardrail.log_mde)
    return EValues(
        cells=cells,
        ratio=ratio,
        sought=ratio * exp(above),
        breach=log_e(cells, mixture=mixture(above), ratio=ratio),
        harm=log_e(base, mixture=mixture(guardrail.log_mde)),
        within=log_e(cells, mixture=mixture(below), ratio=ratio, direction="fall"),
        threshold=1.0 / guardrail.alpha,
    )


def _shift(wanted: float, *, otherwise: float) -> float:
    return wanted if wanted >= GRID_LOW else otherwise


def tolerated_events(e_values: EValues) -> float:
    """Events of the treatment that the tolerance allows on average, given all events."""
    total = 0.0
    for cell in e_values.cells:
        odds = e_values.ratio * cell.chance / (1.0 - cell.chance)
        total += (cell.k_treatment + cell.k_control) * odds / (1.0 + odds)
    return total


def breach_series(guardrail: Guardrail) -> str:
    """Name of the series behind the breach."""
    if guardrail.tolerance is None:
        return guardrail.metric
    return guardrail.metric + TOLERANCE_SUFFIX


def side_of(totals: EpochTotals, variant: str) -> SideTotals:
    """One side's totals; zeros where it has had no traffic."""
    return totals.sides.get(variant) or SideTotals()

"""Event-odds e-process: is an event more likely on the treatment's side than it may be?

Given that an event occurs while the treatment gets a share of the traffic, the chance that it is
the treatment's depends on the two rates' ratio alone. So the test needs no denominators, and is
blind to a drifting base rate and to a growing share. It is valid at every moment one looks.
"""

import functools
from collections.abc import Iterable
from math import exp, expm1, isfinite, log, log1p
from typing import Literal

import msgspec

WHOLE = 10_000
"""All traffic, in the unit of shares."""

LN_2 = 0.6931471805599453

GRID_POINTS = 10
GRID_LOW = 0.08
GRID_HIGH = 1.6
"""Smallest and largest log ratio of the grid: a rate 8 % higher to one five times as high."""

GRID_MASS = 0.5
"""Mass of the whole grid; the rest lies on the effect the plan looks for."""


class OddsCell(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Events counted under one chance of treatment.

    Attributes:
        k_treatment: Events of the treatment.
        k_control: Events of the control.
        chance: Chance that a unit counted here is the treatment's, in (0, 1).
    """

    k_treatment: int
    k_control: int
    chance: float

    def __post_init__(self) -> None:
        if not 0.0 < self.chance < 1.0:
            raise ValueError(f"chance of treatment is {self.chance}, want it between 0 and 1")
        if self.k_treatment < 0 or self.k_control < 0:
            raise ValueError(f"counts cannot be negative: {self.k_treatment}, {self.k_control}")


class Mixture:
    """Alternatives the test bets on: log ratios above the null's, and the mass on each.

    Built once a plan; keeps what `log_e` needs of each shift.
    """

    __slots__ = ("fall", "rise", "shifts", "weights")

    def __init__(self, *, shifts: tuple[float, ...], weights: tuple[float, ...]) -> None:
        if len(shifts) != len(weights) or not shifts:
            raise ValueError(f"{len(shifts)} shifts and {len(weights)} weights, want one of each")
        if min(shifts) <= 0 or min(weights) <= 0 or abs(sum(weights) - 1.0) > 1e-9:
            raise ValueError("shifts and weights must be positive, and weights sum to 1")
        self.shifts = shifts
        self.weights = weights
        pairs = tuple(zip(shifts, weights, strict=True))
        self.rise = tuple((shift, expm1(shift), log(weight)) for shift, weight in pairs)
        self.fall = tuple((-shift, expm1(-shift), log(weight)) for shift, weight in pairs)


@functools.lru_cache(maxsize=64)
def mixture(log_mde: float = LN_2) -> Mixture:
    """Half of the mass on `log_mde`, half on a geometric grid of ten log ratios, 0.08 to 1.6.

    Args:
        log_mde: Log of the rate ratio to look for first, measured from the null's; positive.

    Source:
        Mixtures of test martingales: Howard et al. (2021), Annals of Statistics 49, 1055-1080.
    """
    if not (isfinite(log_mde) and log_mde > 0):
        raise ValueError(f"log_mde is {log_mde}, want a positive number such as {LN_2:.3f} (ln 2)")
    growth = (GRID_HIGH / GRID_LOW) ** (1 / (GRID_POINTS - 1))
    grid = tuple(GRID_LOW * growth**i for i in range(GRID_POINTS))
    weights = (GRID_MASS / GRID_POINTS,) * GRID_POINTS
    return Mixture(shifts=(*grid, log_mde), weights=(*weights, 1.0 - GRID_MASS))


def conditional_chance(share_now: int, share_before: int | None) -> float | None:
    """Chance that a unit which counts now is the treatment's, knowing how it counted before.

    A unit that counted as control at share `b` lies above `b` on the hash line, so at share `s` it
    is treated with chance (s - b) / (1 - b).

    Args:
        share_now: Treatment's share in 1/10,000.
        share_before: Largest share at which the unit counted as control; `None` if it never did.

    Returns:
        The chance, in (0, 1); `None` where the side is already known and the event brings no news.
    """
    before = 0 if share_before is None else share_before
    if not before < share_now < WHOLE:
        return None
    return (share_now - before) / (WHOLE - before)


def log_e(
    cells: Iterable[OddsCell],
    *,
    mixture: Mixture,
    ratio: float = 1.0,
    direction: Literal["rise", "fall"] = "rise",
) -> float:
    """Natural log of the e-value against "the treatment's rate is at most `ratio` x control's".

    Under that hypothesis it reaches ln(1/a) with probability at most a, however often one looks.

    Args:
        cells: Events by chance of treatment, over all epochs; each unit at most once a cell.
        mixture: The alternatives, from `mixture()`.
        ratio: The tolerated rate ratio r, positive.
        direction: `rise` tests H0: rate ratio <= r; `fall` tests H0: rate ratio >= r.

    Returns:
        A finite number; 0 without events.

    Source:
        e = Σ_m w_m Π_j (π_jm/π0j)^kT ((1-π_jm)/(1-π0j))^kC, logit π_jm = logit π0j + δ_m, written
        as exp(kT δ - k log1p(π0 (e^δ - 1))); conditional Bernoulli odds after Lindon & Malek
        (2020), arXiv 2011.03567.
    """
    k_treatment = 0
    seen: list[tuple[int, float]] = []
    for cell in cells:
        k = cell.k_treatment + cell.k_control
        if k:
            odds = ratio * cell.chance
            seen.append((k, odds / (odds + 1.0 - cell.chance)))
            k_treatment += cell.k_treatment
    if not seen:
        return 0.0
    # Lists, not generators: a third faster here, and this runs for every guardrail of every tick.
    exponents = [
        weight + k_treatment * shift - sum([k * log1p(chance * growth) for k, chance in seen])
        for shift, growth, weight in (mixture.rise if direction == "rise" else mixture.fall)
    ]
    top = max(exponents)
    return top + log(sum([exp(x - top) for x in exponents]))

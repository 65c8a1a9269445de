"""Sample ratio mismatch, watched all the time: do units arrive in the shares that were set?"""

from collections.abc import Iterable
from math import lgamma, log

import msgspec

CONCENTRATION = 10_000.0
"""Weight of the prior on the planned shares: alternatives within a percent or so of them."""

ALARM = 100.0
"""An e-value from here on is a fault: at most 1 % of correct plans ever reach it."""


class SplitCell(msgspec.Struct, frozen=True, kw_only=True):
    """Units at their first exposure in the plan, and the shares in force; one entry a variant.

    `shares` are chances in (0, 1) that sum to 1.
    """

    counts: tuple[int, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.shares):
            raise ValueError(f"{len(self.counts)} counts for {len(self.shares)} shares")
        if min(self.shares) <= 0 or abs(sum(self.shares) - 1.0) > 1e-9:
            raise ValueError(f"shares must be positive and sum to 1: {self.shares}")


def srm_log_e(cells: Iterable[SplitCell]) -> float:
    """Natural log of the e-value against "every unit falls to a variant with its planned share".

    Args:
        cells: One an allocation epoch; a unit counts once, at its first exposure in the plan.

    Returns:
        A finite number; 0 without units.

    Source:
        Dirichlet-multinomial Bayes factor, Lindon & Malek (2020), arXiv 2011.03567:
        e = B(a+k)/B(a) Π p_i^-k_i with a = 10^4 p.
    """
    total = 0.0
    for cell in cells:
        n = sum(cell.counts)
        total += lgamma(CONCENTRATION) - lgamma(CONCENTRATION + n)
        for k, share in zip(cell.counts, cell.shares, strict=True):
            prior = CONCENTRATION * share
            total += lgamma(prior + k) - lgamma(prior) - k * log(share)
    return total

"""Means and variances from sums about a fixed shift, and Welch's comparison of two."""

from collections.abc import Iterable
from math import isfinite, sqrt

import msgspec

from trimtab.stats.undefined import ZERO_VARIANCE, Estimate, Undefined


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of a metric, one value a unit or request, about a shift near its mean.

    Attributes:
        n: Values counted.
        sum_shifted: Σ (x - shift).
        sum_sq_shifted: Σ (x - shift)².
        shift: Fixed before the first value; keeps the variance exact when the mean is large.
    """

    n: int = 0
    sum_shifted: float = 0.0
    sum_sq_shifted: float = 0.0
    shift: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float], *, shift: float = 0.0) -> "Moments":
        """Moments of these values."""
        n = 0
        total = squares = 0.0
        for value in values:
            n += 1
            total += value - shift
            squares += (value - shift) ** 2
        return cls(n=n, sum_shifted=total, sum_sq_shifted=squares, shift=shift)

    @classmethod
    def from_summary(cls, *, n: int, mean: float, sd: float) -> "Moments":
        """Moments of a published summary: `sd` is the sample's, with n - 1."""
        return cls(n=n, sum_sq_shifted=(n - 1) * sd * sd, shift=mean)

    @property
    def mean(self) -> float | None:
        """Mean; `None` without values."""
        return self.shift + self.sum_shifted / self.n if self.n else None

    @property
    def variance(self) -> float | None:
        """Sample variance (n - 1); `None` under two values."""
        if self.n < 2:
            return None
        centred = self.sum_sq_shifted - self.sum_shifted * self.sum_shifted / self.n
        return max(0.0, centred) / (self.n - 1)

    @property
    def se(self) -> float | None:
        """Standard error of the mean; `None` under two values."""
        variance = self.variance
        return None if variance is None else sqrt(variance / self.n)

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both samples together, about this one's shift."""
        d = other.shift - self.shift
        return Moments(
            n=self.n + other.n,
            sum_shifted=self.sum_shifted + other.sum_shifted + other.n * d,
            sum_sq_shifted=self.sum_sq_shifted
            + other.sum_sq_shifted
            + 2 * d * other.sum_shifted
            + other.n * d * d,
            shift=self.shift,
        )


class MeanDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Effect (treatment - control, in the metric's unit) and the test behind its interval."""

    effect: Estimate
    t: float
    df: float
    p_value: float


def welch_t(
    control: Moments, treatment: Moments, *, alpha: float = 0.05
) -> MeanDifference | Undefined:
    """Difference of two means with unequal variances.

    Args:
        control: One value per unit.
        treatment: The same for the treatment.
        alpha: Two-sided error rate, in (0, 1).

    Returns:
        The difference with its interval and p-value; `n<2`, `zero_variance` or `non_finite` where
        there is none.

    Source:
        Welch (1947), Biometrika 34, 28-35.
    """
    sides = (control, treatment)
    means = [side.mean for side in sides]
    variances = [side.variance for side in sides]
    if None in variances or None in means:
        return Undefined(reason="n<2")
    mean_c, mean_t = (float(m) for m in means if m is not None)
    squares = [float(v) / side.n for v, side in zip(variances, sides, strict=True) if v is not None]
    if not all(isfinite(x) for x in (mean_c, mean_t, *squares)):
        return Undefined(reason="non_finite")
    se_squared = sum(squares)
    if se_squared <= ZERO_VARIANCE * max(mean_c * mean_c, mean_t * mean_t):
        return Undefined(reason="zero_variance")
    df = se_squared**2 / sum(s * s / (side.n - 1) for s, side in zip(squares, sides, strict=True))
    return _student(mean_t - mean_c, se=sqrt(se_squared), df=df, alpha=alpha)


def _student(difference: float, *, se: float, df: float, alpha: float) -> MeanDifference:
    from scipy.special import stdtr, stdtrit

    t = difference / se
    half = float(stdtrit(df, 1.0 - alpha / 2.0)) * se
    return MeanDifference(
        effect=Estimate(value=difference, low=difference - half, high=difference + half),
        t=t,
        df=df,
        p_value=2.0 * float(stdtr(df, -abs(t))),
    )

"""Quantiles from log-bucket histograms: small, mergeable, right to one per cent."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, exp, floor, hypot, isfinite, log, sqrt

import msgspec

from trimtab.stats.undefined import Estimate, Undefined

GROWTH = 1.02
"""Each bucket ends 2 % above its start, so its middle is within 1 % of every value in it."""

LOG_GROWTH = log(GROWTH)
FORMAT = 1


def bucket_of(value: float) -> int:
    """Bucket of a positive value: it lies in [1.02^b, 1.02^(b+1)).

    Source:
        Masson, Rim & Lee (2019), DDSketch, VLDB 12, 2195-2205; the formula is one that every SQL
        engine has: floor(ln(x) / ln(1.02)).
    """
    return floor(log(value) / LOG_GROWTH)


def bucket_value(bucket: int) -> float:
    """The value that stands for a bucket: at most 1 % from any in it."""
    return GROWTH**bucket * 2.0 * GROWTH / (1.0 + GROWTH)


class BucketHistogram:
    """Counts of values by 2 % buckets; zero and negative values share one bucket of their own."""

    __slots__ = ("counts", "zeros")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.zeros = 0

    @classmethod
    def of(cls, values: Iterable[float]) -> "BucketHistogram":
        """Histogram of these values."""
        histogram = cls()
        for value in values:
            histogram.add(value)
        return histogram

    def __len__(self) -> int:
        return self.zeros + sum(self.counts.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BucketHistogram):
            return NotImplemented
        return self.zeros == other.zeros and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]  # mutable: the usual way to say so

    def add(self, value: float, *, times: int = 1) -> None:
        """Count a value.

        Raises:
            ValueError: It is not a finite number.
        """
        if not isfinite(value):
            raise ValueError(f"a histogram counts finite numbers, not {value}")
        if value <= 0.0:
            self.zeros += times
            return
        bucket = bucket_of(value)
        self.counts[bucket] = self.counts.get(bucket, 0) + times

    def merge(self, other: "BucketHistogram") -> None:
        """Add all that another histogram counted."""
        self.zeros += other.zeros
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def quantile(self, q: float) -> float | None:
        """The ceil(q n)-th smallest value, within 1 %; `None` without values.

        Args:
            q: In [0, 1].
        """
        rank = max(1, ceil(q * len(self) - 1e-9))
        passed = self.zeros
        if passed >= rank:
            return 0.0
        for bucket, count in sorted(self.counts.items()):
            passed += count
            if passed >= rank:
                return bucket_value(bucket)
        return None

    def exceedance(self, limit: float) -> float | None:
        """Share of values above `limit`, taking the limit's own bucket as evenly filled on the log.

        `None` without values.
        """
        n = len(self)
        if not n:
            return None
        if limit <= 0.0:
            return (n - self.zeros) / n
        edge = bucket_of(limit)
        above = float(sum(count for bucket, count in self.counts.items() if bucket > edge))
        filled = min(1.0, max(0.0, log(limit) / LOG_GROWTH - edge))
        return (above + self.counts.get(edge, 0) * (1.0 - filled)) / n

    def encode(self) -> bytes:
        """Compact bytes: format, zeros, buckets, then the first bucket and each gap and count.

        All numbers are little-endian base-128 varints, the first bucket zigzag.
        """
        buckets = sorted((b, c) for b, c in self.counts.items() if c)
        out = bytearray([FORMAT])
        _put(out, self.zeros)
        _put(out, len(buckets))
        last: int | None = None
        for bucket, count in buckets:
            _put(out, _zigzag(bucket) if last is None else bucket - last)
            _put(out, count)
            last = bucket
        return bytes(out)

    @classmethod
    def decode(cls, raw: bytes) -> "BucketHistogram":
        """The histogram whose `encode` gave these bytes; no bytes are an empty one.

        Raises:
            ValueError: The bytes are something else, or cut short.
        """
        histogram = cls()
        if not raw:
            return histogram
        if raw[0] != FORMAT:
            raise ValueError(f"histogram has format {raw[0]}, this version reads {FORMAT}")
        numbers = _numbers(raw[1:])
        try:
            histogram.zeros, size = next(numbers), next(numbers)
            bucket = 0
            for i in range(size):
                step = next(numbers)
                bucket = bucket + step if i else _unzigzag(step)
                histogram.counts[bucket] = next(numbers)
        except StopIteration as error:
            raise ValueError(f"histogram is cut short after {len(raw)} bytes") from error
        if next(numbers, None) is not None:
            raise ValueError(f"histogram of {len(raw)} bytes has more than it announces")
        return histogram


class QuantileStratum(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' values in one epoch."""

    treatment: BucketHistogram
    control: BucketHistogram


class SideQuantiles(msgspec.Struct, frozen=True, kw_only=True):
    """One quantile a side over the same mix of epochs, and the relative change between them."""

    treatment: float
    control: float
    change: Estimate | Undefined


def compare_quantiles(
    strata: Sequence[QuantileStratum], *, q: float, confidence: float = 0.95
) -> SideQuantiles | Undefined:
    """A quantile of both sides over the same mix of epochs, for display.

    Each epoch weighs n_T n_C / (n_T + n_C) on both sides, so a ramp cannot fake a change. The
    interval of a side runs between the ranks q ± z sqrt(q (1-q) / n), widened to bucket edges; the
    two are joined on the log scale. It takes requests as independent; no verdict rests on it.

    Returns:
        The change is a fraction (0.25 = a quarter higher). Its upper end is `None` while the
        treatment has too few values for one (73 for q = .95); it is `too_few` while a side's
        largest value would be its quantile (under 20).

    Source:
        Order-statistic intervals: David & Nagaraja (2003), Order Statistics, §7.1; joined as MOVER
        does: Zou & Donner (2008), Statistics in Medicine 27, 1693-1702.
    """
    used = [s for s in strata if len(s.treatment) and len(s.control)]
    if not used:
        return Undefined(reason="no_traffic")
    weights = [1.0 / (1.0 / len(s.treatment) + 1.0 / len(s.control)) for s in used]
    z = _z(confidence)
    treatment = _side([s.treatment for s in used], weights, q=q, z=z)
    control = _side([s.control for s in used], weights, q=q, z=z)
    change: Estimate | Undefined
    if min(sum(len(s.treatment) for s in used), sum(len(s.control) for s in used)) * (1.0 - q) < 1:
        change = Undefined(reason="too_few")
    elif not (treatment.value and control.value):
        change = Undefined(reason="zero_denominator")
    else:
        change = _change(treatment, control)
    return SideQuantiles(treatment=treatment.value, control=control.value, change=change)


def _z(confidence: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence / 2.0))


def _side(
    histograms: Sequence[BucketHistogram], weights: Sequence[float], *, q: float, z: float
) -> Estimate:
    """Quantile of a weighted mix; a bound that the values do not reach is `None`."""
    total = sum(weights)
    shares = [w / total for w in weights]
    spread = sum(w * w / len(h) for w, h in zip(shares, histograms, strict=True))
    half = z * sqrt(q * (1.0 - q) * spread)
    mass: dict[int, float] = {}
    zeros = 0.0
    for share, histogram in zip(shares, histograms, strict=True):
        n = len(histogram)
        zeros += share * histogram.zeros / n
        for bucket, count in histogram.counts.items():
            mass[bucket] = mass.get(bucket, 0.0) + share * count / n
    buckets = sorted(mass.items())
    low, value, high = (_reach(buckets, zeros, target) for target in (q - half, q, q + half))
    return Estimate(
        value=0.0 if value is None else bucket_value(value),
        low=0.0 if low is None else GROWTH**low,
        high=None if q + half >= 1.0 else 0.0 if high is None else GROWTH ** (high + 1),
    )


def _reach(buckets: Sequence[tuple[int, float]], zeros: float, target: float) -> int | None:
    """The bucket in which the summed mass reaches `target`; `None` is the zero bucket."""
    passed = zeros
    if passed >= target - 1e-12:
        return None
    for bucket, mass in buckets:
        passed += mass
        if passed >= target - 1e-12:
            return bucket
    return buckets[-1][0]


def _change(treatment: Estimate, control: Estimate) -> Estimate:
    """Relative change of the first against the second; an unbounded side stays unbounded.

    The two distances are those of `counts.square_and_add` on the log scale.
    """
    value = treatment.value / control.value
    low, high = 0.0, None
    if treatment.low and control.high:
        down = hypot(log(treatment.value / treatment.low), log(control.high / control.value))
        low = value * exp(-down)
    if treatment.high and control.low:
        up = hypot(log(treatment.high / treatment.value), log(control.value / control.low))
        high = value * exp(up)
    return Estimate(value=value - 1.0, low=low - 1.0, high=None if high is None else high - 1.0)


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _unzigzag(number: int) -> int:
    return -(number + 1) // 2 if number & 1 else number // 2


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _numbers(raw: bytes) -> Iterator[int]:
    """The varints in these bytes; an unfinished last one ends the sequence."""
    number = shift = 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0

"""What a model call costs: a flat row of prices a model, a lookup and a few multiplications a call.

Prices come from the data packaged with genai-prices (no network), prices the team wrote down win.
A row is made when a model is first seen and kept until the next moment its prices may change.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from trimtab.errors import ConfigError

_PER_MTOK = 1e-6
_MAX_ROWS = 4096  # names come from versions and providers; a flood of them must not grow memory
_FIELDS = (
    "input_mtok",
    "cache_read_mtok",
    "cache_write_mtok",
    "output_mtok",
    "output_reasoning_mtok",
)
_OVERRIDE_KEYS = ("input", "output", "cached_input", "cache_write")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call. `input_tokens` include the cached and the written ones."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a call cost, and by which prices: `price_sha` names the row that was multiplied."""

    usd: float
    source: str
    price_sha: str


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in US dollars a token for calls of more than `above` input tokens; None = unknown."""

    above: int
    input: float | None
    cached_input: float | None
    cache_write: float | None
    output: float | None
    reasoning: float | None


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """All prices of one model: bands from the lowest to the highest, and a fee a request."""

    provider: str
    model: str
    source: str
    request_usd: float
    bands: tuple[Band, ...]
    valid_until: datetime | None = None
    sha: str = ""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """A price the team wrote down, in US dollars a million tokens; None = as plain input."""

    provider: str
    model: str
    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None


def read_overrides(document: Mapping[str, object], *, where: str) -> list[Override]:
    """Overrides out of a table `"provider/model" = {input, output, cached_input?, cache_write?}`.

    Raises:
        ConfigError: A name without provider, an unknown key, a missing or negative price.
    """
    return [_read_override(name, prices, where=where) for name, prices in document.items()]


class PriceTable:
    """Prices by (provider, model). Making one loads the packaged prices: about 0.3 s, once."""

    def __init__(
        self,
        overrides: Iterable[Override] = (),
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        import genai_prices
        from genai_prices import data_snapshot

        self._clock = clock
        self._source = f"genai-prices {genai_prices.__version__}"
        self._providers = {p.id: p for p in data_snapshot.get_snapshot().providers}
        self._overrides = {(o.provider, o.model): _override_row(o) for o in overrides}
        self._rows: dict[tuple[str, str], PriceRow | None] = {}

    def cost(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """US dollars for the tokens of one call; None where a price is unknown, never 0.

        Fees for tools, audio and images are not in it: our usage does not count them.
        """
        row = self.row(provider, model)
        if row is None:
            return None
        usd = _multiply(row, usage)
        return None if usd is None else Cost(usd=usd, source=row.source, price_sha=row.sha)

    def row(self, provider: str, model: str) -> PriceRow | None:
        """The prices now in force; None for a model nobody has a price for."""
        key = (provider, model)
        if (written := self._overrides.get(key)) is not None:
            return written
        row = self._rows.get(key)
        known = row is not None or key in self._rows
        if known and (row is None or row.valid_until is None or self._clock() < row.valid_until):
            return row
        if len(self._rows) >= _MAX_ROWS:
            self._rows.clear()
        self._rows[key] = row = self._compile(provider, model)
        return row

    def _compile(self, provider: str, model: str) -> PriceRow | None:
        listed = self._providers.get(provider)
        if listed is None:
            return None
        info = listed.find_model(model, all_providers=list(self._providers.values()))
        if info is None:
            return None
        now = self._clock()
        prices = info.get_prices(now)
        conditional = isinstance(info.prices, list)
        return _sealed(
            PriceRow(
                provider=provider,
                model=model,
                source=self._source,
                request_usd=_price_at(prices.requests_kcount, 0, per=1000) or 0.0,
                bands=_bands(prices),
                # Conditions are dates and hours of the day: by the minute is fine enough.
                valid_until=now + timedelta(minutes=1) if conditional else None,
            )
        )


def _multiply(row: PriceRow, usage: Usage) -> float | None:
    band = row.bands[0]
    for higher in row.bands[1:]:
        if usage.input_tokens > higher.above:
            band = higher
    plain = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    parts = (
        (max(plain, 0), band.input),
        (usage.cached_input_tokens, band.cached_input),
        (usage.cache_write_tokens, band.cache_write),
        (max(usage.output_tokens - usage.reasoning_tokens, 0), band.output),
        (min(usage.reasoning_tokens, usage.output_tokens), band.reasoning),
    )
    usd = row.request_usd
    for tokens, price in parts:
        if tokens and price is None:
            return None
        usd += tokens * (price or 0.0)
    return usd


def _bands(prices: object) -> tuple[Band, ...]:
    fields = [getattr(prices, name) for name in _FIELDS]
    starts = {tier.start for field in fields for tier in getattr(field, "tiers", ())}
    return tuple(_band(above, fields) for above in (0, *sorted(starts - {0})))


def _band(above: int, fields: Sequence[object]) -> Band:
    plain, cached, written, output, reasoning = (_price_at(field, above) for field in fields)
    return Band(
        above=above,
        input=plain,
        cached_input=plain if cached is None else cached,
        cache_write=plain if written is None else written,
        output=output,
        reasoning=output if reasoning is None else reasoning,
    )


def _price_at(field: object, above: int, *, per: int = 1_000_000) -> float | None:
    """US dollars a token (or request) out of a Decimal, tiers, or None, in the band above."""
    from genai_prices.types import TieredPrices

    if not isinstance(field, TieredPrices):
        return None if field is None else float(str(field)) / per
    price = field.base
    for tier in field.tiers:
        if tier.start <= above and above > 0:
            price = tier.price
    return float(price) / per


def _override_row(override: Override) -> PriceRow:
    plain = override.input * _PER_MTOK
    cached, written = override.cached_input, override.cache_write
    band = Band(
        above=0,
        input=plain,
        cached_input=plain if cached is None else cached * _PER_MTOK,
        cache_write=plain if written is None else written * _PER_MTOK,
        output=override.output * _PER_MTOK,
        reasoning=override.output * _PER_MTOK,
    )
    return _sealed(
        PriceRow(
            provider=override.provider,
            model=override.model,
            source="override",
            request_usd=0.0,
            bands=(band,),
        )
    )


def _sealed(row: PriceRow) -> PriceRow:
    bare = msgspec.structs.replace(row, valid_until=None, sha="")
    digest = hashlib.sha256(msgspec.json.encode(bare)).hexdigest()
    return msgspec.structs.replace(row, sha=digest)


def _read_override(name: str, prices: object, *, where: str) -> Override:
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        raise ConfigError(
            f'{where}: price for "{name}" names no provider; write "provider/model", '
            'such as "openai/gpt-4o-2024-11-20"'
        )
    if not isinstance(prices, Mapping):
        raise ConfigError(f'{where}: price for "{name}" is {prices!r}, want a table of prices')
    for key, value in prices.items():
        _check_price(name, key, value, where=where)
    try:
        return Override(provider=provider, model=model, **prices)
    except TypeError as error:
        raise ConfigError(
            f'{where}: price for "{name}" is incomplete: give "input" and "output" '
            "in US dollars a million tokens"
        ) from error


def _check_price(name: str, key: object, value: object, *, where: str) -> None:
    if key not in _OVERRIDE_KEYS:
        raise ConfigError(
            f'{where}: price for "{name}" has "{key}", want one of {", ".join(_OVERRIDE_KEYS)}'
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= float(str(value)) < float("inf"):
        raise ConfigError(
            f'{where}: price "{key}" for "{name}" is {value!r}, '
            "want US dollars a million tokens, 0 or more"
        )

from datetime import UTC, datetime
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot

from trimtab.errors import ConfigError
from trimtab.providers.pricing import Cost, Override, PriceTable, Usage, read_overrides

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CALL = Usage(input_tokens=3_000, cached_input_tokens=1_000, output_tokens=500)


def table(*overrides: Override, now: datetime = NOW) -> PriceTable:
    return PriceTable(overrides, clock=lambda: now)


def usd(cost: Cost | None) -> float:
    assert cost is not None
    return cost.usd


def test_cached_input_is_charged_at_its_own_price() -> None:
    prices = table()

    row = prices.row("openai", "gpt-4o-2024-11-20")
    cost = usd(prices.cost("openai", "gpt-4o-2024-11-20", CALL))

    assert row is not None
    band = row.bands[0]
    assert band.input is not None
    assert band.cached_input is not None
    assert band.output is not None
    assert band.cached_input < band.input
    assert cost == pytest.approx(2_000 * band.input + 1_000 * band.cached_input + 500 * band.output)


def test_an_unknown_model_or_provider_has_no_cost_rather_than_zero() -> None:
    assert table().cost("openai", "no-such-model-2031-01-01", CALL) is None
    assert table().cost("no-such-provider", "gpt-4o-2024-11-20", CALL) is None


def test_a_written_price_wins_over_the_packaged_one() -> None:
    written = Override(provider="openai", model="gpt-4o-2024-11-20", input=1.0, output=2.0)

    cost = table(written).cost("openai", "gpt-4o-2024-11-20", CALL)

    assert cost is not None
    assert cost.source == "override"
    assert cost.usd == pytest.approx((3_000 * 1.0 + 500 * 2.0) / 1e6)


def test_price_sha_follows_the_prices_and_nothing_else() -> None:
    def sha(price: float) -> str:
        row = table(Override(provider="p", model="m", input=price, output=2.0)).row("p", "m")
        assert row is not None
        return row.sha

    assert sha(1.0) == sha(1.0)
    assert sha(1.0) != sha(1.5)


def test_a_price_that_changes_on_a_date_is_read_anew_after_it() -> None:
    times = [datetime(2025, 6, 1, tzinfo=UTC)]
    prices = PriceTable(clock=lambda: times[-1])
    before = usd(prices.cost("openai", "o3-2025-04-16", CALL))

    times.append(datetime(2025, 7, 1, tzinfo=UTC))
    after = usd(prices.cost("openai", "o3-2025-04-16", CALL))

    assert after < before


def test_output_without_a_known_output_price_has_no_cost() -> None:
    call = Usage(input_tokens=100, output_tokens=5)

    assert table().cost("openai", "text-embedding-3-small", call) is None
    assert table().cost(
        "openai", "text-embedding-3-small", Usage(input_tokens=100, output_tokens=0)
    )


USAGES = (
    Usage(input_tokens=1_000, output_tokens=200),
    Usage(input_tokens=150_000, cached_input_tokens=40_000, output_tokens=2_000),
    Usage(input_tokens=250_000, cache_write_tokens=30_000, output_tokens=2_000),
    Usage(input_tokens=900_000, cached_input_tokens=100, output_tokens=1),
)


def _oracle(provider: str, model: Any, usage: Usage) -> float:
    found = next(p for p in data_snapshot.get_snapshot().providers if p.id == provider)
    calculated = model.calc_price(
        genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        ),
        found,
        genai_request_timestamp=NOW,
    )
    return float(calculated.total_price)


@pytest.mark.parametrize("provider", ["anthropic", "openai", "google", "mistral", "deepseek"])
def test_flat_rows_agree_with_the_library_for_every_chat_model(provider: str) -> None:
    prices = table()
    listed = next(p for p in data_snapshot.get_snapshot().providers if p.id == provider)
    compared = 0

    for model in listed.models:
        if listed.find_model(model.id) is not model:
            continue
        for usage in USAGES:
            cost = prices.cost(provider, model.id, usage)
            if cost is not None:
                assert cost.usd == pytest.approx(_oracle(provider, model, usage)), model.id
                compared += 1

    assert compared >= 20


def test_overrides_are_read_from_a_table_of_names() -> None:
    document = {"openai/gpt-4o-2024-11-20": {"input": 2.5, "output": 10, "cached_input": 1.25}}

    [override] = read_overrides(document, where="trimtab.toml")

    assert override.provider == "openai"
    assert override.model == "gpt-4o-2024-11-20"
    assert override.cached_input == 1.25


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"gpt-4o": {"input": 1, "output": 1}}, "provider/model"),
        ({"a/b": {"input": 1}}, "incomplete"),
        ({"a/b": {"input": -1, "output": 1}}, "-1"),
        ({"a/b": {"input": True, "output": 1}}, "True"),
        ({"a/b": {"inputs": 1, "output": 1}}, '"inputs"'),
        ({"a/b": 3}, "table of prices"),
    ],
)
def test_an_override_that_cannot_be_used_names_what_is_wrong(
    document: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        read_overrides(document, where="trimtab.toml")

"""Asking a model for one answer: what the runner sends, what it gets, and how over HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from trimtab.errors import ProviderError
from trimtab.providers.pricing import PriceTable, Usage
from trimtab.providers.upstream import Upstream


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call: rendered messages and the version's own fields; `model` is `provider/name`."""

    messages: list[dict[str, Any]]
    model: str
    sampling: dict[str, Any] = {}
    tools: list[Any] = []
    response_format: dict[str, Any] | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer; `text` of a tool call is its arguments. Cost None = unknown."""

    text: str
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


Complete = Callable[[CompletionRequest], Awaitable[Completion]]
"""Answers a request, or raises ProviderError."""


def openai_complete(
    upstreams: Mapping[str, Upstream], *, prices: PriceTable | None = None
) -> Complete:
    """Answers by calling the provider that the model names, in OpenAI's protocol.

    Args:
        upstreams: Provider name → its connections.
        prices: For the costs; without it they are unknown.
    """

    async def complete(request: CompletionRequest) -> Completion:
        provider, _, model = request.model.partition("/")
        upstream = upstreams.get(provider)
        if upstream is None:
            known = ", ".join(sorted(upstreams)) or "none"
            raise ProviderError(
                f'model "{request.model}" names provider "{provider}", which is not configured; '
                f"known: {known}"
            )
        answered = await upstream.post("/chat/completions", _body(request, model))
        try:
            raw = await answered.response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderError(f'provider "{provider}" broke off its answer: {error}') from error
        completion = _read(provider, answered.response.status, raw)
        return _priced(completion, prices, provider=provider, model=model)

    return complete


def _body(request: CompletionRequest, model: str) -> bytes:
    body: dict[str, Any] = {**_sent(request.sampling), "model": model, "messages": request.messages}
    if request.tools:
        body["tools"] = request.tools
    if request.response_format is not None:
        body["response_format"] = request.response_format
    return msgspec.json.encode(body)


def _sent(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """The sampling fields a provider gets: `open` is a rule of ours."""
    return {name: value for name, value in sampling.items() if name != "open"}


def _read(provider: str, status: int, raw: bytes) -> Completion:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise ProviderError(f'provider "{provider}" answered {status} without JSON') from error
    if status != 200:
        message = (body.get("error") or {}).get("message") if isinstance(body, dict) else None
        raise ProviderError(f'provider "{provider}" answered {status}: {message or "no message"}')
    try:
        choice = body["choices"][0]
        message = choice["message"]
        calls = [call["function"]["arguments"] for call in message.get("tool_calls") or ()]
        usage = body.get("usage") or {}
        return Completion(
            text=message.get("content") or message.get("refusal") or "\n".join(calls),
            finish_reason=choice.get("finish_reason"),
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
        )
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ProviderError(f'provider "{provider}" sent no chat completion: {error!r}') from error


def _priced(
    completion: Completion, prices: PriceTable | None, *, provider: str, model: str
) -> Completion:
    if prices is None or completion.input_tokens is None or completion.output_tokens is None:
        return completion
    usage = Usage(input_tokens=completion.input_tokens, output_tokens=completion.output_tokens)
    cost = prices.cost(provider, model, usage)
    return completion if cost is None else msgspec.structs.replace(completion, cost_usd=cost.usd)

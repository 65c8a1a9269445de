"""The application of the gateway: one request, one decision, one answer, one event."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from trimtab.errors import BadInput, Forbidden, ProviderError, TrimtabError, Unauthorized
from trimtab.gateway.calls import Answering, OpenCalls, ServerEnding
from trimtab.gateway.exchange import Exchange
from trimtab.gateway.http import (
    ClientGone,
    Header,
    Receive,
    Scope,
    Send,
    StreamAborted,
    answer_json,
    bearer,
    read_body,
    request_headers,
)
from trimtab.gateway.relay import relay_stream, relay_whole
from trimtab.gateway.request import ChatRequest, ModelNotFound, parse_chat, upstream_body
from trimtab.prompts.reference import parse_reference
from trimtab.prompts.version import Version
from trimtab.providers.upstream import Upstream, UpstreamTimeout
from trimtab.registry.principals import Principal
from trimtab.routing.evaluator import Context, Decision
from trimtab.sdk.columns import event_times, new_id
from trimtab.sdk.snapshot import Snapshot

logger = logging.getLogger("trimtab")

MAX_BODY = 8 * 1024 * 1024
REMEMBERED_REQUESTS = 100_000
GATEWAY_FAILED: Header = (b"x-trimtab-error-source", b"gateway")

Columns = dict[str, Any]


class PromptKilled(TrimtabError):
    """A kill switch left nothing to serve; the application has its own fallback."""

    status = 503
    code = "prompt_killed"


class Gateway:
    """Serves `/v1/chat/completions` and `/v1/models` for keys with the scope `render`.

    Args:
        authenticate: The principal of a token; raises `Unauthorized`.
        snapshot: The newest snapshot of an environment, ready to render.
        record: Takes one event as columns, `unit_id` raw; keeps it before it returns.
        price: Cost columns for provider, model and the usage columns.
        upstreams: Providers by name.
        environments: All environments, to tell an environment from a tag in a reference.
        logged_attributes: Names of attributes that events keep.
    """

    def __init__(
        self,
        *,
        authenticate: Callable[[str | None], Principal],
        snapshot: Callable[[str], Snapshot],
        record: Callable[[Columns], None],
        price: Callable[[str, str, Columns], Columns],
        upstreams: Mapping[str, Upstream],
        environments: Collection[str],
        logged_attributes: Collection[str] = ("tier", "region"),
    ) -> None:
        self._authenticate = authenticate
        self._snapshot = snapshot
        self._record = record
        self._price = price
        self._upstreams = upstreams
        self._environments = environments
        self._logged = frozenset(logged_attributes)
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.calls = OpenCalls()
        self.events_dropped = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request under `/v1/`."""
        try:
            headers = request_headers(scope)
            environment = self._environment_of(headers)
        except TrimtabError as error:
            await answer_openai(send, error, [])
            return
        if scope["path"] == "/v1/models" and scope["method"] == "GET":
            await self._models(environment, send)
        elif scope["path"] == "/v1/chat/completions" and scope["method"] == "POST":
            await self._chat(environment, headers, receive, send)
        else:
            unknown = ModelNotFound(
                f"{scope['method']} {scope['path']} is not served; the gateway has POST"
                " /v1/chat/completions and GET /v1/models"
            )
            await answer_openai(send, unknown, [])

    def _environment_of(self, headers: dict[str, str]) -> str:
        principal = self._authenticate(bearer(headers))
        principal.require("render")
        if principal.environment is None:
            raise Forbidden(
                f"key {principal.name!r} belongs to no single environment; the gateway needs an"
                " application's key"
            )
        return principal.environment

    async def _models(self, environment: str, send: Send) -> None:
        prompts = sorted(self._snapshot(environment).block.prompts)
        data = [
            {"id": f"trimtab/{name}", "object": "model", "owned_by": "trimtab"} for name in prompts
        ]
        await answer_json(send, 200, {"object": "list", "data": data})

    async def _chat(
        self, environment: str, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """Serve one completion; whatever happens, one generation event is recorded."""
        exchange = Exchange(environment=environment, request_id=new_id())
        answering = Answering(send)
        try:
            await self._serve(exchange, headers, receive, answering)
        except ClientGone:
            if not answering.complete:
                exchange.note(status="client_abort")
        except TrimtabError as error:
            await _failed(exchange, error, answering)
        finally:
            self._finish(exchange)

    async def _serve(
        self, exchange: Exchange, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        body = await read_body(receive, limit=MAX_BODY, headers=headers)
        request = parse_chat(body, headers)
        exchange.note(prompt=request.prompt, thread_id=request.thread_id, stream=request.stream)
        self._name_request(exchange, request)
        snapshot = self._snapshot(exchange.environment)
        decision = self._decide(snapshot, request, request.request_id or exchange.request_id)
        exchange.decided(decision, snapshot)
        self._note_unit(exchange, request, decision)
        version = _served(snapshot, decision)
        template = snapshot.library.template(version.sha)
        messages = template.render(request.variables, history=request.messages)
        sent = upstream_body(request, version, messages)
        upstream = self._upstream(version, exchange)
        if decision.plan_id is not None:
            self._expose(exchange)
        await self.calls.run(receive, _call(upstream, sent, exchange, send, request=request))

    def _decide(self, snapshot: Snapshot, request: ChatRequest, request_id: str) -> Decision:
        if request.reference is not None:
            reference = parse_reference(
                f"{request.prompt}@{request.reference}", environments=self._environments
            )
            if reference.kind != "environment":
                return snapshot.pinned(request.prompt, request.reference)
            if request.reference != snapshot.block.environment:
                raise ModelNotFound(
                    f"this key belongs to {snapshot.block.environment!r}, not to"
                    f" {request.reference!r}; use that environment's key"
                )
        context = Context(
            unit_id=request.unit_id,
            thread_id=request.thread_id,
            request_id=request_id,
            attributes=request.attributes,
        )
        return snapshot.decide(request.prompt, context)

    def _name_request(self, exchange: Exchange, request: ChatRequest) -> None:
        """Take the caller's request id; one seen before gets a fresh id and `retry_of`."""
        given = request.request_id
        if given is None:
            return
        if (exchange.environment, given) in self._seen:
            exchange.note(retry_of=given)
            return
        self._seen[exchange.environment, given] = None
        if len(self._seen) > REMEMBERED_REQUESTS:
            self._seen.popitem(last=False)
        exchange.name(given)

    def _note_unit(self, exchange: Exchange, request: ChatRequest, decision: Decision) -> None:
        kind = decision.unit_kind or ("user" if request.unit_id is not None else None)
        if kind is not None:
            ids = {
                "user": request.unit_id,
                "thread": request.thread_id,
                "request": request.request_id or exchange.request_id,  # a retry is the same unit
            }
            exchange.note(unit_kind=kind, unit_id=ids[kind])
        attributes = {k: v for k, v in request.attributes.items() if k in self._logged}
        exchange.note(attributes=attributes or None)

    def _upstream(self, version: Version, exchange: Exchange) -> Upstream:
        provider, _, model = (version.model or "").partition("/")
        exchange.note(provider=provider, model_asked=model)
        upstream = self._upstreams.get(provider)
        if upstream is None:
            raise ProviderUnknown(
                f"provider {provider!r} of model {version.model!r} is not configured; add"
                f" [providers.{provider}] to trimtab.toml"
            )
        return upstream

    def _expose(self, exchange: Exchange) -> None:
        columns = {key: exchange.fields[key] for key in EXPOSURE_COLUMNS if key in exchange.fields}
        self._keep({"kind": "exposure", **event_times(), **columns})

    def _finish(self, exchange: Exchange) -> None:
        columns = exchange.finish()
        if columns.get("usage_source"):
            model = columns.get("model_answered") or columns.get("model_asked")
            columns.update(self._price(str(columns.get("provider")), str(model), columns))
        self._keep({"kind": "generation", **event_times(), **columns})

    def _keep(self, columns: Columns) -> None:
        """Record an event; a full disk must not take the application's answers with it."""
        try:
            self._record(columns)
        except TrimtabError as error:
            self.events_dropped += 1
            logger.error("an event of %s is lost: %s", columns.get("request_id"), error)  # noqa: TRY400 - the message has it all


async def _failed(exchange: Exchange, error: TrimtabError, answering: Answering) -> None:
    """Tell the caller of an error of ours, or cut the answer that has begun."""
    cut = answering.started and isinstance(error, ServerEnding)
    status = "cut_stream" if cut else failure_status(error)
    exchange.note(status=status, error_type=error.code)
    if answering.started:
        raise StreamAborted from error
    await answer_openai(answering, error, exchange.headers)


EXPOSURE_COLUMNS = (
    *("environment", "request_id", "lineage", "revision", "prompt", "version", "sha"),
    *("reason", "source", "plan_id", "epoch", "variant", "bucket", "unit_kind", "unit_id"),
    *("thread_id", "attributes"),
)


class ProviderUnknown(BadInput):
    """A version's model names a provider that the server does not know."""

    status = 502
    code = "provider_unknown"


async def _call(
    upstream: Upstream, body: bytes, exchange: Exchange, send: Send, *, request: ChatRequest
) -> None:
    exchange.calling()
    exchange.note(status="upstream_error")
    answered = await upstream.post("/chat/completions", body)
    response = answered.response
    if answered.attempt > 1:
        exchange.note(attempt=answered.attempt)
    async with response:
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        if is_stream and response.status == 200:
            await relay_stream(response, exchange, send, show_usage=request.wants_usage)
        else:
            await relay_whole(response, exchange, send)


def _served(snapshot: Snapshot, decision: Decision) -> Version:
    version = snapshot.library.version(decision.sha) if decision.sha is not None else None
    if version is None:
        raise PromptKilled(
            f"prompt {decision.prompt!r} is switched off in {snapshot.block.environment!r} and has"
            " no earlier good release; serve your own fallback, or run `trimtab unkill`"
        )
    return version


def failure_status(error: TrimtabError) -> str:
    """The event status of a request that ended in one of our errors."""
    if isinstance(error, UpstreamTimeout):
        return "timeout"
    return "upstream_error" if isinstance(error, ProviderError) else "rejected"


def openai_error(error: TrimtabError) -> dict[str, object]:
    """An error in the shape OpenAI's clients read."""
    if isinstance(error, Unauthorized):
        kind = "authentication_error"
    elif isinstance(error, Forbidden):
        kind = "permission_error"
    elif isinstance(error, UpstreamTimeout):
        kind = "timeout_error"
    else:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": {"message": str(error), "type": kind, "param": None, "code": error.code}}


async def answer_openai(send: Send, error: TrimtabError, headers: list[Header]) -> None:
    """Send an error of the gateway's own in OpenAI's shape, where the unprocessable is a 400."""
    status = 400 if error.status == 422 else error.status
    await answer_json(send, status, openai_error(error), [*headers, GATEWAY_FAILED])

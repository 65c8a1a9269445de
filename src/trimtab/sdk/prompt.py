"""The handle an application gets for one request: which version, and its messages."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from trimtab.errors import UnknownVersion
from trimtab.routing.evaluator import Decision
from trimtab.routing.payload import Source
from trimtab.sdk.reply import reply_fields
from trimtab.sdk.snapshot import Snapshot

Message = dict[str, Any]


class Recorder(Protocol):
    """What a prompt tells its client."""

    def exposed(self, prompt: "Prompt") -> None:
        """The unit got this version."""

    def generated(self, prompt: "Prompt", fields: Mapping[str, Any]) -> None:
        """A model call for this prompt ended."""


class Prompt:
    """One decision for one request, and the way to its messages.

    Attributes:
        request_id: Names this request in feedback and outcomes.
        source: `live`, `stale` (server unreachable for a while), `disk`, or `fallback`.
    """

    __slots__ = (
        "_recorder",
        "decision",
        "request_id",
        "snapshot",
        "source",
        "thread_id",
        "unit_id",
    )

    def __init__(
        self,
        decision: Decision,
        *,
        snapshot: Snapshot,
        source: Source,
        request_id: str,
        unit_id: str | None,
        thread_id: str | None,
        recorder: Recorder,
    ) -> None:
        self.decision = decision
        self.snapshot = snapshot
        self.source = source
        self.request_id = request_id
        self.unit_id = unit_id
        self.thread_id = thread_id
        self._recorder = recorder

    @property
    def name(self) -> str:
        """The prompt's name."""
        return self.decision.prompt

    @property
    def version(self) -> str | None:
        """The semver served."""
        return self.decision.version

    @property
    def sha(self) -> str | None:
        """The identity served; None when a kill switch left nothing to serve."""
        return self.decision.sha

    @property
    def variant(self) -> str | None:
        """`control` or `treatment` when a plan decided, else None."""
        return self.decision.variant

    @property
    def reason(self) -> str:
        """Why this version: default, plan, force, pin, no_unit, killed, fallback and so on."""
        return self.decision.reason

    @property
    def rule_id(self) -> str | None:
        """`<plan>:<epoch>` when a plan decided."""
        return self.decision.rule_id

    @property
    def model(self) -> str | None:
        """The pinned model, `provider/name`."""
        return self.decision.model

    def render(
        self,
        variables: Mapping[str, Any] | None = None,
        /,
        *,
        history: Sequence[Message] = (),
        **values: Any,  # noqa: ANN401 - a template's variables are any JSON values
    ) -> list[Message]:
        """The messages for these variables, and an exposure if a plan decided.

        Args:
            variables: Values by name, for names that are no Python identifiers.
            history: Earlier messages of the conversation (user, assistant, tool).
            values: Values by name; they win over `variables`.

        Raises:
            VariableError: A value is missing, unknown, or of another type.
            TemplateError: The template fails, or takes no history.
            UnknownVersion: A kill switch left nothing to serve; use your own fallback.
        """
        template = self.snapshot.library.template(self._served_sha())
        messages = template.render({**(variables or {}), **values}, history=history)
        self._recorder.exposed(self)
        return messages

    def openai(
        self,
        variables: Mapping[str, Any] | None = None,
        /,
        *,
        history: Sequence[Message] = (),
        **values: Any,  # noqa: ANN401 - a template's variables are any JSON values
    ) -> dict[str, Any]:
        """Arguments for `chat.completions.create`: model, messages, sampling, tools."""
        messages = self.render(variables, history=history, **values)
        version = self.snapshot.library.version(self._served_sha())
        if version is None or version.model is None:
            raise UnknownVersion(f"prompt {self.name!r} names no model; call the provider yourself")
        arguments: dict[str, Any] = {
            "model": version.model.partition("/")[2],
            "messages": messages,
            **{key: value for key, value in version.sampling.items() if key != "open"},
        }
        if version.tools:
            arguments["tools"] = version.tools
        if version.response_format:
            arguments["response_format"] = version.response_format
        return arguments

    def _served_sha(self) -> str:
        sha = self.decision.sha
        if sha is None:
            raise UnknownVersion(
                f"prompt {self.name!r} is switched off in {self.snapshot.block.environment!r} and"
                " has no earlier good release; use your own fallback, or `trimtab unkill`"
            )
        return sha


class GenerationTimer:
    """Times one model call; use it as a context manager and call `finish` with the reply."""

    def __init__(
        self, prompt: Prompt, recorder: Recorder, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._prompt = prompt
        self._recorder = recorder
        self._clock = clock
        self._started = clock()
        self._fields: dict[str, Any] = {}
        self._sent = False

    def __enter__(self) -> Self:
        self._started = self._clock()
        return self

    def finish(
        self,
        reply: object = None,
        *,
        flagged: bool | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Record what came back: an OpenAI reply (object or dict), a flag, numbers of your own."""
        self._fields["latency_ms"] = (self._clock() - self._started) * 1000
        self._fields.update(reply_fields(reply))
        if flagged is not None:
            self._fields["flagged"] = flagged
        if metrics:
            numbers = {name: float(value) for name, value in metrics.items()}
            self._fields["metrics"] = {k: v for k, v in numbers.items() if math.isfinite(v)}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sent:
            return
        self._sent = True
        self._fields.setdefault("latency_ms", (self._clock() - self._started) * 1000)
        if kind is None:
            self._fields["status"] = "ok"
        else:
            self._fields["status"] = error_status(kind)
            self._fields["error_type"] = kind.__name__
        self._recorder.generated(self._prompt, self._fields)


def error_status(kind: type[BaseException]) -> str:
    """The event status of an exception that ended a model call."""
    name = kind.__name__.lower()
    if "timeout" in name:
        return "timeout"
    if "cancel" in name or kind in {KeyboardInterrupt, GeneratorExit}:
        return "client_abort"
    return "upstream_error"

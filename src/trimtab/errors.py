"""Every error trimtab raises: one class per thing a caller can do something about."""


class TrimtabError(Exception):
    """What went wrong, with which value, and the way out, in one message.

    Attributes:
        status: HTTP status a server answers with.
        code: Short stable name for machines (problem+json `type`, OpenAI `code`).
    """

    status: int = 500
    code: str = "internal"

    @property
    def detail(self) -> dict[str, object]:
        """Facts for machines that go beside the message; empty unless a class adds some."""
        return {}


class BadInput(TrimtabError):
    """A value from outside does not have the form it must have."""

    status = 422
    code = "bad_input"


class MalformedBody(BadInput):
    """A request's bytes cannot be decoded at all."""

    status = 400
    code = "malformed_body"


class BodyTooLarge(BadInput):
    """A request is larger than its route takes."""

    status = 413
    code = "body_too_large"


class PromptFileError(BadInput):
    """A prompt file cannot be read: YAML, front matter, message blocks or includes.

    Attributes:
        path: The file, as far as known.
        line: Line in it, from 1, or None.
        rule: The lint rule that tells of the same fault.
    """

    code = "prompt_file"

    def __init__(
        self, message: str, *, path: str = "", line: int | None = None, rule: str = "file"
    ) -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.rule = rule

    @property
    def detail(self) -> dict[str, object]:
        """Where in which file."""
        return {"path": self.path, "line": self.line} if self.path else {}


class IdentityError(BadInput):
    """A value cannot stand in a version's identity (number range, lone surrogate, shape)."""

    code = "identity"


class BadReference(BadInput):
    """A reference `NAME@…` cannot be read, or fits more than one version."""

    code = "reference"


class TemplateError(BadInput):
    """A template uses something outside the language, or fails while rendering."""

    code = "template"


class TemplateBudgetExceeded(TemplateError):
    """A template asks for more work, memory, depth or output than it may have."""

    code = "template_budget"


class VariableError(BadInput):
    """Values given to a version do not fit its variables."""

    status = 400
    code = "variables"


class PlanError(BadInput):
    """A plan file does not say what a plan must say."""

    code = "plan"


class EventRejected(BadInput):
    """An event does not have the form `events.schema` demands."""

    code = "event"


class DatasetError(BadInput):
    """A dataset or suite file of the evaluations cannot be used."""

    code = "dataset"


class ConfigError(BadInput):
    """`trimtab.toml`, an environment variable or an option does not fit."""

    code = "config"


class PayloadError(BadInput):
    """A payload cannot be decoded, or says something that cannot be decided by."""

    code = "payload"


class BadUnit(BadInput):
    """A unit id is not a non-empty string of at most 256 bytes."""

    status = 400
    code = "bad_unit"


class MissingUnit(BadInput):
    """A plan hashes a unit that the call did not name, and the environment is strict."""

    status = 400
    code = "missing_unit"


class NotFound(TrimtabError):
    """Something was named that does not exist here."""

    status = 404
    code = "not_found"


class UnknownPrompt(NotFound):
    """No prompt of this name."""

    code = "unknown_prompt"


class UnknownVersion(NotFound):
    """The prompt has no such version."""

    code = "unknown_version"


class UnknownEnvironment(NotFound):
    """No environment of this name."""

    code = "unknown_environment"


class UnknownPlan(NotFound):
    """No plan with this id."""

    code = "unknown_plan"


class Unauthorized(TrimtabError):
    """No key, or one that is not known or was revoked."""

    status = 401
    code = "unauthorized"


class Forbidden(TrimtabError):
    """The key lacks the scope or the environment."""

    status = 403
    code = "forbidden"


class KeyMismatch(Forbidden):
    """The key belongs to another environment than the one asked for."""

    code = "key_mismatch"


class Conflict(TrimtabError):
    """The state does not allow the change; the message names what stands in the way."""

    status = 409
    code = "conflict"


class StaleGeneration(Conflict):
    """The pointer moved since the caller looked; `move` is that other move."""

    code = "stale_generation"

    def __init__(self, message: str, *, move: dict[str, object]) -> None:
        super().__init__(message)
        self.move = move

    @property
    def detail(self) -> dict[str, object]:
        """The move that came first."""
        return {"move": self.move}


class PlanRunning(Conflict):
    """A plan divides this prompt's traffic; its pointer cannot be moved meanwhile."""

    code = "plan_running"


class PolicyNotMet(Conflict):
    """The environment's policy asks for more: approvals, suites, a pinned model."""

    code = "policy_not_met"


class NothingToRollBackTo(Conflict):
    """No earlier unmarked release exists; the message lists the registered versions."""

    code = "nothing_to_roll_back_to"


class ServerUnreachable(TrimtabError):
    """The trimtab server did not answer."""

    status = 503
    code = "server_unreachable"


class ProviderError(TrimtabError):
    """The model provider failed, timed out or broke off."""

    status = 502
    code = "provider"


class DataFolderLocked(Conflict):
    """A server holds the data folder; ask it instead of opening the folder."""

    code = "data_folder_locked"


class ServerRefused(TrimtabError):
    """The server answered a command with a problem; status, code and facts are the server's."""

    def __init__(
        self, message: str, *, status: int, code: str, facts: dict[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self._facts = facts or {}

    @property
    def detail(self) -> dict[str, object]:
        """The problem's other fields."""
        return self._facts

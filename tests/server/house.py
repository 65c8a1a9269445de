"""A data folder whose management routes answer in this process."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from trimtab.prompts.files import build_set, parse_prompt_file
from trimtab.registry.ledger import Published
from trimtab.server.local import LocalReply, ask
from trimtab.server.management import management_app
from trimtab.workspace import Workspace
from trimtab.workspace.init import initialise

JsonObject = dict[str, Any]

TEXT = """---
model: openai/gpt-4o-2024-11-20
variables:
  question: {type: string, trusted: false}
---
{% message role="system" %}INSTRUCTION{% endmessage %}
{% message role="user" %}{{ question }}{% endmessage %}
"""


def identity(instruction: str = "Answer briefly.") -> JsonObject:
    """A version that says one thing to the model."""
    file = parse_prompt_file(TEXT.replace("INSTRUCTION", instruction), name="x")
    return build_set({"x": file})["x"].identity


class House:
    """One installation with its keys; nothing listens and nothing runs beside the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = initialise(folder).secrets
        self.workspace = Workspace.open(folder)
        for environment in self.workspace.settings.policies:
            self.workspace.serving.refresh(environment)
        self.workspace.registry.on_publish(self._refresh)
        self.app: Any = management_app(self.workspace)  # FastAPI's own type is an ASGI callable

    def _refresh(self, published: Published) -> None:
        self.workspace.serving.refresh(published.environment)

    def close(self) -> None:
        self.workspace.stop()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "admin",
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> LocalReply:
        """Send one request; `body` as JSON, or `content` as it is."""
        if content is None:
            content = b"" if body is None else msgspec.json.encode(body)
        given = dict(headers or {})
        if key is not None:
            given["authorization"] = f"Bearer {self.secrets.get(key, key)}"
        return asyncio.run(ask(self.app, method, path, content=content, headers=given))

    def json(self, method: str, path: str, body: object = None, *, key: str = "admin") -> Any:
        """The document of a request that must be fine."""
        found = self.ask(method, path, body, key=key)
        assert found.status < 400, found
        return msgspec.json.decode(found.body)

    def audit_count(self) -> int:
        """How many decisions are written down."""
        return self.workspace.registry.audit.verify().count

    def last_decision(self) -> int:
        """The number of the newest row of the audit log."""
        (row,) = self.workspace.registry.audit.rows(limit=1)
        return row.seq

    def push(self, instruction: str = "Answer briefly.", *, name: str = "support.reply") -> str:
        """Register a version; gives its number."""
        item = {"prompt": name, "identity": identity(instruction)}
        (registered,) = self.json("POST", "/api/v1/push", {"items": [item]})["registered"]
        number: str = registered["version"]
        return number

    def promote(self, ref: str, *, name: str = "support.reply", environment: str = "dev") -> Any:
        """Ask for a version to be live, with the generation as it stands."""
        seen = self.workspace.registry.board.generation(environment, name)
        path = f"/api/v1/environments/{environment}/prompts/{name}/promotions"
        return self.json("POST", path, {"ref": ref, "expected_generation": seen, "why": "test"})


def problem_of(reply: LocalReply) -> JsonObject:
    """The problem a request was refused with."""
    assert reply.headers["content-type"] == "application/problem+json", reply
    found: JsonObject = msgspec.json.decode(reply.body)
    assert found["status"] == reply.status
    return found

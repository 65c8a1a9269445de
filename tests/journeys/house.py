"""A data folder and its server process, with the calls a team makes."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import openai

from trimtab import Client
from trimtab.cli.api import Api, HttpTransport, pointer_path
from trimtab.cli.demo.processes import Process, free_port, wait_until_ready
from trimtab.cli.demo.story import generation
from trimtab.prompts.files import build_set, parse_prompt_file
from trimtab.workspace.init import initialise

SETTINGS = """
[environments.dev]
strict_units = true
[environments.prod]
approvals = 1
[providers.openai]
base_url = "{provider_url}"
timeout_s = {timeout_s}
keepalive_s = {keepalive_s}
"""

T = TypeVar("T")

REPLY = """---
model: openai/gpt-4o-2024-11-20
sampling: {temperature: 0.2, max_tokens: 400}
variables:
  question: {type: string, trusted: false}
---
{% message role="system" %}NAME{% endmessage %}
{% message role="user" %}{{ question }}{% endmessage %}
"""


def eventually(look: Callable[[], T | None], *, within_s: float = 15.0, what: str = "it") -> T:
    """The first truthy value of `look`; fails when none comes in time."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while time.monotonic() < deadline:
        if found := look():
            return found
        pause.wait(0.02)
    raise AssertionError(f"{what} did not come within {within_s} s")


class House:
    """One installation; `server` can be killed and started again."""

    def __init__(
        self,
        folder: Path,
        *,
        provider_url: str,
        timeout_s: float = 5.0,
        keepalive_s: float = 4.0,
        settings: str = SETTINGS,
    ) -> None:
        self.prompt = "support.reply"
        self.folder = folder / "data"
        text = settings.format(
            provider_url=provider_url, timeout_s=timeout_s, keepalive_s=keepalive_s
        )
        self.secrets = initialise(self.folder, settings_text=text).secrets
        self.cache = folder / "cache"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = ["-m", "trimtab", "serve", "--data", str(self.folder), "--port", str(port)]
        self.server = Process("server", arguments, log=folder / "server.log")
        self.admin = Api(HttpTransport(self.url, self.secrets["admin"]))
        self.approver = Api(HttpTransport(self.url, self.secrets["approver"]))
        self._closing: list[Callable[[], object]] = [self.admin.close, self.approver.close]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *details: object) -> None:
        for close in reversed(self._closing):
            close()
        self.server.terminate()

    def start(self) -> None:
        """Start the server, or start it again."""
        self.server.start()
        wait_until_ready(self.url, self.server)

    def client(self, environment: str = "prod", **options: Any) -> Client:
        """An application's client, closed at the end."""
        options.setdefault("cache_dir", self.cache)
        client = Client(self.url, self.secrets[f"app-{environment}"], **options)
        self._closing.append(client.close)
        return client

    def openai(self, environment: str = "prod", **options: Any) -> openai.OpenAI:
        """The official client, pointed at the gateway."""
        client = openai.OpenAI(
            base_url=f"{self.url}/v1",
            api_key=self.secrets[f"app-{environment}"],
            max_retries=0,
            **options,
        )
        self._closing.append(client.close)
        return client

    def push(self, name: str, text: str, *, semver: str | None = None) -> str:
        """Register one prompt file; gives its version."""
        files = {name: parse_prompt_file(text, name=name)}
        version = build_set(files)[name]
        item: dict[str, Any] = {"prompt": name, "identity": version.identity, "semver": semver}
        (registered,) = self.admin.post("/api/v1/push", {"items": [item]})["registered"]
        found: str = registered["version"]
        return found

    def promote(self, name: str, version: str, environment: str = "prod") -> dict[str, Any]:
        """Make a version live, through dev and with an approval where one is needed."""
        asked: dict[str, Any] = {}
        for place in dict.fromkeys(("dev", environment)):
            now = generation(self.admin, place, name)
            body = {"ref": version, "expected_generation": now, "why": "journey"}
            asked = self.admin.post(f"{pointer_path(place, name)}/promotions", body)
            if asked["status"] == "pending":
                path = f"/api/v1/promotions/{asked['id']}/approvals"
                asked = self.approver.post(path, {"why": "read"})
            assert asked["status"] == "live", asked
        return asked

    def release(self, word: str = "first") -> str:
        """Push a small prompt whose system message is one word, and make it live in prod."""
        version = self.push(self.prompt, REPLY.replace("NAME", word))
        self.promote(self.prompt, version)
        return version

    @property
    def model(self) -> str:
        """What an OpenAI client asks for."""
        return f"trimtab/{self.prompt}"

    def start_plan(self, document: Mapping[str, Any]) -> str:
        """Write a plan down, have it approved, start it."""
        plan_id: str = self.admin.post("/api/v1/plans", {"document": dict(document)})["plan"]["id"]
        self.approver.post(f"/api/v1/plans/{plan_id}/approvals", {"why": "read"})
        self.admin.post(f"/api/v1/plans/{plan_id}/start", {"why": "journey"})
        return plan_id

    def events(self, request_id: str) -> dict[str, Any]:
        """What is known of a request, as soon as it is."""

        def look() -> dict[str, Any] | None:
            try:
                return self.admin.get(f"/api/v1/requests/{request_id}/explain")
            except Exception as error:
                if getattr(error, "status", None) == 404:
                    return None
                raise

        return eventually(look, what=f"events of {request_id}")


def held_plan(prompt: str, candidate: str, **changes: Any) -> dict[str, Any]:
    """A plan that stays in its first step for an hour."""
    return {
        "prompt": prompt,
        "environment": "prod",
        "candidate": candidate,
        "unit": "thread",
        "alpha": 0.05,
        "steps": [{"share": 40, "hold_s": 3600, "min_treated": 1}],
        "guardrails": ["flagged_rate > 1.5x", "error_rate > 1.5x"],
        "why": "a journey",
        **changes,
    }

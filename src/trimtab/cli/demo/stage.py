"""The demo's stage: a folder, its keys, and the processes that play in it."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

from trimtab.cli.api import Api, HttpTransport
from trimtab.cli.demo.processes import Process, free_port, wait_until_ready
from trimtab.errors import ConfigError
from trimtab.workspace.init import initialise

SETTINGS = """\
# Made by `trimtab demo`. The provider behind these prompts is simulated: a process of this demo
# on this machine that speaks OpenAI's protocol. No model is called.
event_attributes = ["tier", "region"]

[environments.dev]
strict_units = true

[environments.staging]
suites = ["reply"]

[environments.prod]
approvals = 1
pinned_model = true

[providers.openai]
base_url = "{provider}/v1"
timeout_s = 20
"""


class Stage:
    """Starts and ends the processes; the server can be killed and started again on the spot.

    Args:
        folder: Data folder; None makes a temporary one, removed at the end.
        port: The server's; 0 takes a free one.
        seed: Of the provider's and the traffic's draws.
        rate: Requests a second.
    """

    def __init__(self, folder: Path | None, *, port: int, seed: int, rate: float) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="trimtab-demo-"))
        self._seed, self._rate = seed, rate
        self.logs = self.folder / "logs"
        self.url = f"http://127.0.0.1:{port or free_port()}"
        self.secrets: dict[str, str] = {}
        self.provider_url = ""
        self.provider = self.traffic = self.server = Process("nothing", [], log=self.logs)
        self._apis: list[Api] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        for api in self._apis:
            api.close()
        for process in (self.traffic, self.server, self.provider):
            process.terminate()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def open(self) -> None:
        """Make the folder and start provider and server."""
        if (self.folder / "registry.db").exists():
            raise ConfigError(f"{self.folder} is a trimtab folder already; give the demo a new one")
        self.logs.mkdir(parents=True, exist_ok=True)
        module = ["-m", "trimtab.testing.simulated_provider", "--port", "0"]
        self.provider = self._process("simulated provider", [*module, "--seed", str(self._seed)])
        self.provider.start()
        self.provider_url = f"http://127.0.0.1:{self.provider.line()['port']}"
        text = SETTINGS.format(provider=self.provider_url)
        self.secrets = initialise(self.folder, settings_text=text).secrets
        port = self.url.rpartition(":")[2]
        self.server = self._process(
            "server", ["-m", "trimtab", "serve", "--data", str(self.folder), "--port", port]
        )
        self.start_server()

    def start_server(self) -> None:
        """Start the server and wait until it answers."""
        self.server.start()
        wait_until_ready(self.url, self.server)

    def start_traffic(self) -> None:
        """Send conversations to the gateway until the end."""
        module = ["-m", "trimtab.testing.traffic", "--base-url", f"{self.url}/v1"]
        options = ["--key", self.secrets["app-prod"], "--rate", str(self._rate)]
        prompt = ["--prompt", "support.reply", "--seed", str(self._seed)]
        self.traffic = self._process("traffic", [*module, *options, *prompt])
        self.traffic.start()

    def stop_traffic(self) -> dict[str, Any]:
        """End the traffic; gives its final counts."""
        self.traffic.terminate()
        final = self.traffic.newest()
        while final is not None and not final.get("final"):
            final = self.traffic.newest()
        return final or {}

    def api(self, name: str) -> Api:
        """The management routes with the key of this name."""
        api = Api(HttpTransport(self.url, self.secrets[name]))
        self._apis.append(api)
        return api

    def _process(self, name: str, arguments: list[str]) -> Process:
        return Process(name, arguments, log=self.logs / f"{name.replace(' ', '-')}.log")

    def write_keys(self) -> Path:
        """Leave the keys beside the data, for whoever goes on playing."""
        path = self.folder / "keys.json"
        path.write_text(json.dumps(self.secrets, indent=2), encoding="utf-8")
        path.chmod(0o600)
        return path

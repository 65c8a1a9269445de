"""How fast a pointer move reaches a running client, measured while the traffic runs."""

import threading
import time
from datetime import datetime
from typing import Any

from trimtab.cli.api import Api, pointer_path
from trimtab.cli.demo.story import generation
from trimtab.errors import TrimtabError
from trimtab.prompts.version import version_from_identity
from trimtab.sdk.client import Client
from trimtab.sdk.snapshot import Snapshot

PROMPT = "demo.scratch"
ENVIRONMENT = "dev"
MOVES = 240
EVERY_S = 0.12
FINISH_S = 40.0


def scratch_identity(word: str) -> dict[str, Any]:
    """The identity of a one-word prompt."""
    version = version_from_identity(
        {
            "kind": "prompt",
            "engine": "jinja2/1",
            "messages": [{"role": "user", "template": word}],
            "model": "openai/gpt-4o-2024-11-20",
        }
    )
    return version.identity


class Propagation:
    """Moves a pointer again and again and times the client that follows it.

    A move counts from the time its revision was published (written in its transaction, just before
    the commit) until the client, in this process, serves it.
    """

    def __init__(self, api: Api, *, url: str, key: str) -> None:
        self._api = api
        self._client = Client(url, key, cache_dir="", environment=ENVIRONMENT)
        self._swaps: list[tuple[float, float]] = []
        self._moved_at: list[float] = []
        self._client.on_change(self._swapped)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="propagation", daemon=True)
        self.moves = 0

    def start(self) -> None:
        """Register the scratch prompt and begin to move it."""
        items = [
            {"prompt": PROMPT, "identity": scratch_identity(word)} for word in ("ping", "pong")
        ]
        self._api.post("/api/v1/push", {"items": items[:1]})
        self._api.post("/api/v1/push", {"items": items[1:]})
        self._thread.start()

    def finish(self) -> list[float]:
        """Make the moves that are left; gives the delay of each in ms, in order of size.

        A move is served from the first swap to its revision or a newer one; one that never was
        counts as long as the client had time.
        """
        self._thread.join(timeout=FINISH_S)
        self._stop.set()
        self._thread.join(timeout=FINISH_S)
        ended = time.time()
        self._client.close()
        swaps = sorted(self._swaps)
        return sorted(
            1000 * (next((at for published, at in swaps if published >= moved), ended) - moved)
            for moved in self._moved_at
        )

    def _swapped(self, snapshot: Snapshot) -> None:
        now = time.time()
        published = datetime.fromisoformat(snapshot.block.published_at).timestamp()
        self._swaps.append((published, now))

    def _run(self) -> None:
        while self.moves < MOVES and not self._stop.is_set():
            try:
                self._move()
            except TrimtabError:
                self._stop.wait(0.2)  # the server is being killed and started again
                continue
            self._stop.wait(EVERY_S)

    def _move(self) -> None:
        now = generation(self._api, ENVIRONMENT, PROMPT)
        body = {
            "ref": ("1.0.0", "1.1.0")[now % 2],
            "expected_generation": now,
            "why": "measuring how fast a move arrives",
        }
        moved = self._api.post(f"{pointer_path(ENVIRONMENT, PROMPT)}/promotions", body)
        self._moved_at.append(datetime.fromisoformat(moved["decided_at"]).timestamp())
        self.moves += 1

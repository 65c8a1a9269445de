"""Chaos: the server process is killed once during each rollout, and started again at once."""

from typing import Any

from trimtab.cli.demo.stage import Stage

TREATED_BEFORE_KILL = 20


class Chaos:
    """Kills the server when a rollout has treated a few units; once a rollout."""

    def __init__(self, stage: Stage, *, armed: bool) -> None:
        self._stage = stage
        self._armed = armed
        self._done: set[str] = set()
        self.kills = 0

    def look(self, report: dict[str, Any]) -> bool:
        """Kill if it is time; True when the server was killed and is back."""
        plan = report["detail"]["plan"]
        treated = report["exposures"]["treated_units"]
        if not self._armed or plan["id"] in self._done or plan["status"] != "running":
            return False
        if treated < TREATED_BEFORE_KILL:
            return False
        self._done.add(plan["id"])
        self._stage.server.kill()
        self._stage.start_server()
        self.kills += 1
        return True

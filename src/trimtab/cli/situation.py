"""Where prompts stand, as the status route tells it: what commands read before they act."""

from typing import Any

from trimtab.cli.api import Api, JsonObject
from trimtab.cli.output import ABSENT, short


def standing(api: Api, *, environment: str, prompt: str) -> JsonObject | None:
    """One prompt's status in an environment; None if it was never released there."""
    for each in api.get("/api/v1/status")["environments"]:
        if each["environment"] != environment:
            continue
        found: list[JsonObject] = each["prompts"]
        return next((entry for entry in found if entry["prompt"] == prompt), None)
    return None


def generation_of(entry: JsonObject | None) -> int:
    """The generation a promotion must expect; 0 before the first release."""
    return int(entry["generation"]) if entry is not None else 0


def version_name(version: Any) -> str:  # noqa: ANN401 - a JSON value: version record, sha or null
    """A version as people call it: its number; a dash for none."""
    if isinstance(version, dict):
        return str(version["version"])
    return short(version)


def live_name(entry: JsonObject | None) -> str:
    """What is live, as people call it."""
    return version_name(entry["live"]) if entry is not None else ABSENT

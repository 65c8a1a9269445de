"""Facts of small environments for tests; shas are short words."""

from typing import Any

from trimtab.releases.facts import EnvironmentFacts, PlanFacts, PromptFacts, VersionFacts
from trimtab.routing.payload import AuditHead

VERSIONS = {
    "good": VersionFacts(version="1.0.0"),
    "live": VersionFacts(version="1.1.0", tag="spring", model="sim/m", sampling={"seed": 1}),
    "new": VersionFacts(version="1.2.0", model="sim/m"),
}


def plan(**changes: Any) -> PlanFacts:
    """A rollout of `new` over `live` at 10 %, unless changed."""
    usual: dict[str, Any] = {
        "plan_id": "p-1",
        "epoch": 2,
        "share": 1_000,
        "unit": "thread",
        "seed": "p-0",
        "baseline": "live",
        "candidate": "new",
    }
    return PlanFacts(**(usual | changes))


def prompt(name: str, **changes: Any) -> PromptFacts:
    """A prompt with `live` live after `good`, unless changed."""
    usual: dict[str, Any] = {
        "name": name,
        "live": "live",
        "last_good": "good",
        "killed": False,
        "serving": "live",
        "versions": VERSIONS,
    }
    return PromptFacts(**(usual | changes))


def environment(*prompts: PromptFacts, **changes: Any) -> EnvironmentFacts:
    """An environment with these prompts, unless changed."""
    usual: dict[str, Any] = {
        "lineage": "lineage",
        "environment": "prod",
        "revision": 417,
        "published_at": "2026-01-01T00:00:00.000001Z",
        "strict_units": False,
        "audit": AuditHead(count=3, head="h"),
        "prompts": list(prompts),
    }
    return EnvironmentFacts(**(usual | changes))

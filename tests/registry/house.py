"""A registry on a real file, with a clock that the test moves and people to act."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trimtab.database.engine import Database, open_database
from trimtab.database.migrate import upgrade
from trimtab.prompts.version import Version, version_from_identity
from trimtab.registry.plan_rows import PlanRecord
from trimtab.registry.principals import Principal
from trimtab.registry.promotion_rows import Promotion
from trimtab.registry.registry import InitialKeys, Registry
from trimtab.releases.release import Policy
from trimtab.releases.rollout import PlanFile, read_plan

PROMPT = "support.reply"
POLICIES = {
    "dev": Policy(strict_units=True),
    "staging": Policy(rank=1),
    "prod": Policy(rank=2, approvals=1, approver_not_author=True),
}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **parts: float) -> None:
        self.now += timedelta(**parts)


def reply(text: str, **identity: object) -> Version:
    """A version whose template is `text`."""
    return version_from_identity(
        {
            "model": "openai/gpt-4o-2024-11-20",
            "messages": [{"role": "system", "template": text}],
            **identity,
        }
    )


def fragment(text: str, **identity: object) -> Version:
    """A fragment."""
    return version_from_identity({"kind": "fragment", "messages": [{"template": text}], **identity})


class House:
    """An initialised registry and its people; with `keys` the file is one that has them."""

    def __init__(self, path: Path, *, keys: InitialKeys | None = None) -> None:
        self.path = path
        self.clock = Clock()
        self._numbers = itertools.count(0 if keys is None else 1_000)
        self.database: Database
        self.registry: Registry
        self.open()
        self.keys = self.registry.initialise() if keys is None else keys
        self.admin = self.person("admin")
        self.approver = self.person("approver")

    def open(self, policies: Mapping[str, Policy] = POLICIES) -> None:
        """Open the file, as a process does that starts."""
        self.database = open_database(self.path)
        upgrade(self.database)
        self.registry = Registry(
            self.database,
            policies=policies,
            clock=self.clock,
            new_id=lambda: f"id-{next(self._numbers):04}",
            new_secret=lambda: f"a secret with number {next(self._numbers):04}",
        )

    def close(self) -> None:
        """Close it, as a process does that ends."""
        self.database.close()

    def person(self, name: str) -> Principal:
        """The principal of one of the first keys."""
        return self.registry.principals.authenticate(self.keys.secrets[name])

    def push(self, *texts: str, prompt: str = PROMPT) -> list[str]:
        """Register one version for each text: 1.0.0, 1.1.0, …; gives their shas."""
        shas = []
        for text in texts:
            version = reply(text)
            self.registry.registration.register(self.admin, prompt=prompt, version=version)
            shas.append(version.sha)
        return shas

    def promote(self, version: str, environment: str = "dev", prompt: str = PROMPT) -> Promotion:
        """Promote as admin, with consent of the approver where the policy wants it."""
        promotion = self.registry.promotions.request(
            self.admin,
            environment=environment,
            prompt=prompt,
            version=version,
            expected_generation=self.registry.board.generation(environment, prompt),
        )
        if promotion.status == "pending":
            return self.registry.promotions.approve(self.approver, promotion.id)
        return promotion

    def plan_file(self, candidate: str = "1.1.0", environment: str = "dev") -> PlanFile:
        """Two steps, 10 % and 50 %, under one guardrail that needs no history."""
        return read_plan(
            {
                "prompt": PROMPT,
                "environment": environment,
                "candidate": candidate,
                "unit": "thread",
                "steps": [
                    {"share": 10, "hold_s": 5, "min_treated": 60},
                    {"share": 50, "hold_s": 5, "min_treated": 400},
                ],
                "guardrails": ["flagged_rate > 1.5x"],
                "why": "shorter answers",
            },
            where="plans/reply.yaml",
        )

    def start(self, candidate: str = "1.1.0", environment: str = "dev") -> PlanRecord:
        """Write a plan, let it be approved where needed, and start it."""
        plans = self.registry.plans
        draft = plans.create(self.admin, self.plan_file(candidate, environment))
        if POLICIES[environment].approvals:
            plans.approve(self.approver, draft.id)
        return plans.start(self.admin, draft.id).plan

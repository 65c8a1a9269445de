"""Wiring: stores, registry, events, autopilot and prices of one data folder."""

import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy.exc import DatabaseError

from trimtab.autopilot.controller import Controller, Sight
from trimtab.autopilot.worker import Job, Worker
from trimtab.database.engine import Database, open_database
from trimtab.database.migrate import upgrade
from trimtab.errors import ConfigError, UnknownVersion
from trimtab.events.door import admit, make_unit_key
from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold, Plans
from trimtab.events.journal import Journal, seal_abandoned
from trimtab.events.lake import Lake
from trimtab.events.outcomes import Outcomes
from trimtab.events.rebuild import rebuild
from trimtab.events.rollup import VersionRollup
from trimtab.events.totals import BaselineHistory
from trimtab.providers.pricing import PriceTable, Usage
from trimtab.registry.ledger import Published
from trimtab.registry.plans import Started
from trimtab.registry.principals import Principal
from trimtab.registry.registry import Registry
from trimtab.sdk.columns import new_id
from trimtab.sdk.snapshot import Snapshot
from trimtab.workspace.lock import FolderLock
from trimtab.workspace.report import PlanReport, PlanReports, explain_request
from trimtab.workspace.serving import Serving
from trimtab.workspace.settings import Settings, read_settings

logger = logging.getLogger("trimtab")

TICK_S = 0.1
OUTCOMES_S = 5.0
TIDY_S = 60.0
HISTORY = timedelta(days=7)

Columns = dict[str, Any]  # of an event, by name


class Workspace:
    """One data folder, open: what a server, or a command without one, works with.

    Args:
        folder: Made by `trimtab init`.
        settings: From its `trimtab.toml`.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        if not (folder / "registry.db").exists():
            raise ConfigError(f"{folder} is no trimtab folder; run `trimtab init {folder}` first")
        self.folder = folder
        self.settings = settings
        self._lock = FolderLock(folder)
        try:
            self._database = open_registry(folder)
        except BaseException:
            self._lock.release()
            raise
        self.registry = Registry(
            self._database,
            policies=settings.policies,
            pinned_models=pinned_models(settings),
            clock=now,
            new_id=new_id,
            new_secret=new_secret,
        )
        self.registry.adopt_policies()
        self.unit_key = make_unit_key(self.registry.installation_secret.encode())
        self.journal = Journal(folder / "journals")
        self.lake = Lake(folder / "events", journals=folder / "journals")
        self.evidence = open_evidence(
            folder / "evidence.db", self.lake, plans=self.registry.plans.fold_plans
        )
        self.serving = Serving(self.registry)
        self._fold = Fold(self.evidence, folder / "journals", plans=self.registry.plans.fold_plans)
        self.controller = Controller(
            self.registry, self.evidence, clock=now, behind_s=self._fold.behind_s
        )
        self._reports = PlanReports(self.registry, self.controller, self.lake, clock=now)
        self._outcomes = Outcomes(self.evidence, self.lake)
        self._prices = PriceTable(settings.prices)
        self._worker: Worker | None = None
        self.ready = False

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a folder with the settings in it."""
        path = Path(folder)
        return cls(path, read_settings(path))

    # --- lifetime --------------------------------------------------------------------------

    def start(self, publish: Callable[[str], None]) -> None:
        """Serve every environment, tell `publish` of each change, and start the autopilot."""

        def on_publish(published: Published) -> None:
            self.serving.refresh(published.environment)
            publish(published.environment)

        seal_abandoned(self.folder / "journals")
        self.registry.on_publish(on_publish)
        for environment in self.settings.policies:
            self.serving.refresh(environment)
            publish(environment)
        self._fold.step()
        self._worker = Worker(
            [
                Job(name="autopilot", every_s=TICK_S, run=self.tick),
                Job(name="outcomes", every_s=OUTCOMES_S, run=self._join_outcomes),
                Job(name="tidy", every_s=TIDY_S, run=self._tidy),
            ]
        )
        self._worker.start()
        self.ready = True

    def stop(self) -> None:
        """End the threads and give everything back."""
        self.ready = False
        if self._worker is not None:
            self._worker.stop()
        self.journal.close()
        self.lake.close()
        self.evidence.close()
        self._database.close()
        self._lock.release()

    def tick(self) -> list[Sight]:
        """Fold what came in, then let the autopilot look and act, even on what it has so far."""
        try:
            self._fold.step()
        finally:
            sights = self.controller.tick()
        return sights

    def fold(self) -> None:
        """Fold what came in."""
        self._fold.step()

    def _join_outcomes(self) -> None:
        self._outcomes.step(now())

    def _tidy(self) -> None:
        self.journal.seal_if_due()
        seal_abandoned(self.folder / "journals")
        self.lake.compact(self.evidence)

    # --- what the routes ask ---------------------------------------------------------------

    def authenticate(self, token: str | None) -> Principal:
        """The principal of a key."""
        return self.registry.principals.authenticate(token)

    def snapshot(self, environment: str) -> Snapshot:
        """What an environment serves now."""
        return self.serving.snapshot(environment)

    def body(self, sha: str) -> bytes | None:
        """The canonical bytes of a registered version."""
        try:
            return self.registry.versions.body(sha)
        except UnknownVersion:
            return None

    def record(self, columns: Columns) -> None:
        """Append one event of our own; when it returns, the event is kept."""
        batch = admit(
            [columns],
            environment=str(columns["environment"]),
            received_at=now(),
            unit_key=self.unit_key,
            attributes=self.settings.event_attributes,
        )
        if batch.rejected:
            raise ConfigError(f"an event of our own was refused: {batch.rejected[0].error}")
        self.journal.append(batch.lines)

    def price(self, provider: str, model: str, columns: Columns) -> Columns:
        """Cost columns for the usage columns of a call; empty when the model's price is unknown."""
        usage = Usage(
            input_tokens=columns.get("input_tokens") or 0,
            output_tokens=columns.get("output_tokens") or 0,
            cached_input_tokens=columns.get("cached_input_tokens") or 0,
            cache_write_tokens=columns.get("cache_write_tokens") or 0,
        )
        cost = self._prices.cost(provider, model, usage)
        if cost is None:
            return {}
        return {"cost_usd": cost.usd, "price_source": cost.source, "price_sha": cost.price_sha}

    def history(self, environment: str, prompt: str) -> BaselineHistory | None:
        """What the live version did in the last seven days; None if nothing is live."""
        state = self.snapshot(environment).block.prompts.get(prompt)
        if state is None or state.live is None:
            return None
        since = now() - HISTORY
        return self.evidence.history(environment, prompt, state.live, since=since)

    def start_plan(self, actor: Principal, plan_id: str, *, why: str) -> Started:
        """Start a draft with the thresholds that the baseline's history gives."""
        plan = self.registry.plans.get(plan_id).plan
        self.fold()
        history = self.history(plan.environment, plan.prompt)
        return self.registry.plans.start(actor, plan_id, history=history, why=why)

    def rollup(
        self,
        environment: str | None = None,
        *,
        prompt: str | None = None,
        since: datetime | None = None,
    ) -> list[VersionRollup]:
        """Sums by version since the beginning of `since`'s hour, of one environment or of each."""
        self.fold()
        places = [environment] if environment is not None else list(self.settings.policies)
        return [
            row
            for place in places
            for row in self.evidence.rollup(place, prompt=prompt, since=since)
        ]

    def plan_report(self, plan_id: str) -> PlanReport:
        """Everything there is to say of one plan."""
        return self._reports.report(plan_id)

    def explain(self, request_id: str) -> Columns:
        """What was decided for a request, why, and what came of it."""
        return explain_request(self.registry, self.lake, request_id)


def open_registry(folder: Path) -> Database:
    """The registry's database, with every table of this version of trimtab.

    Raises:
        ConfigError: The file is no such database, or is damaged.
    """
    path = folder / "registry.db"
    database = open_database(path)
    try:
        upgrade(database)
    except DatabaseError as error:
        database.close()
        raise ConfigError(
            f"{path} cannot be opened: {error.orig}; put a copy of it back, or name another folder"
        ) from error
    return database


def open_evidence(path: Path, lake: Lake, *, plans: Plans) -> Evidence:
    """The evidence; where its file is gone and events were compacted, made anew from them.

    A new file beside an old manifest would count its commits from 1 again and never see what the
    lake holds.
    """
    if not path.exists() and lake.commits():
        report = rebuild(path, lake.journals, lake, plans=plans, count_late=False)
        logger.warning("%s was gone; it was made anew from %d events", path, report.events)
    return Evidence(path)


def now() -> datetime:
    """The time, timezone-aware."""
    return datetime.now(UTC)


def pinned_models(settings: Settings) -> frozenset[str]:
    """`provider/model` names that the team declares dated."""
    return frozenset(
        f"{name}/{model}"
        for name, provider in settings.providers.items()
        for model in provider.pinned_models
    )


def new_secret() -> str:
    """A new key's secret."""
    return f"tt_{secrets.token_urlsafe(24)}"

"""Promotions: asking for a version to be live, consenting, and the move itself."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, insert, select, update

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.errors import BadInput, Conflict
from trimtab.registry.ledger import Change, Ledger
from trimtab.registry.plan_rows import running_plan
from trimtab.registry.pointers import Pointers, add_move, taken_back_since
from trimtab.registry.policies import ApprovalRecord, Policies, add_approval
from trimtab.registry.principals import Principal
from trimtab.registry.promotion_rows import Promotion, overtaken_by, read_promotion
from trimtab.registry.versions import VersionRecord, Versions
from trimtab.releases.promotion import PromotionStatus, next_status
from trimtab.releases.release import check_generation, check_no_plan


class Promotions:
    """Requests, approves, refuses and carries out promotions."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        *,
        policies: Policies,
        versions: Versions,
        pointers: Pointers,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._policies = policies
        self._versions = versions
        self._pointers = pointers
        self._new_id = new_id

    def request(
        self,
        actor: Principal,
        *,
        environment: str,
        prompt: str,
        version: str,
        expected_generation: int,
        why: str = "",
    ) -> Promotion:
        """Ask for a version to be live: it is at once if the policy wants nothing more.

        Args:
            actor: Needs scope `operate` in the environment.
            environment: Where.
            prompt: Which prompt.
            version: `1.4.0`, `sha:…`, a full sha, a tag, an environment, or `NAME@…`.
            expected_generation: The pointer's generation as the caller saw it; 0 = never released.
            why: The reason, for the history.

        Raises:
            StaleGeneration: Another move came first.
            PlanRunning: A plan divides the prompt's traffic there.
            Conflict: The version is live already.
        """
        self._policies.of(environment)
        actor.require("operate", environment)
        with self._ledger.change() as change:
            wanted = self._versions.named(
                change.connection, prompt, version, environment=environment
            )
            self._check_movable(
                change.connection, wanted, environment=environment, expected=expected_generation
            )
            promotion = self._open(
                change, wanted, environment=environment, expected=expected_generation,
                actor=actor.name, why=why,
            )  # fmt: skip
            return self._settle(change, promotion, by=actor.name)

    def approve(self, actor: Principal, promotion_id: str, *, why: str = "") -> Promotion:
        """Consent to a pending promotion; it goes live if nothing else is missing.

        Raises:
            Forbidden: The key lacks scope `approve`, or is the author's.
            Conflict: It is live or refused already, or approved by the same principal.
            StaleGeneration: Another move came first; the promotion is refused by that.
        """
        with self._ledger.change() as change:
            promotion = self._read(change.connection, promotion_id)
            version = self._version(change.connection, promotion)
            self._policies.check_approver(
                actor,
                environment=promotion.environment,
                author=version.author,
                approvals=promotion.approvals,
            )
            next_status(promotion.status, refused=False, wants=[])
            consent = ApprovalRecord(actor=actor.name, at=change.at, why=why, shas=[promotion.sha])
            add_approval(change, consent, promotion=promotion_id)
            self._note(change, actor.name, "approve_promotion", promotion, why=why)
            stale = self._overtaken(change, promotion)
            settled = self._settle(
                change, self._read(change.connection, promotion_id), by=actor.name
            )
        if stale is not None:
            raise stale
        return settled

    def refuse(self, actor: Principal, promotion_id: str, *, why: str) -> Promotion:
        """Say no: an approver, or the principal who asked and thinks again."""
        with self._ledger.change() as change:
            promotion = self._read(change.connection, promotion_id)
            if actor.name == promotion.actor:
                actor.require("operate", promotion.environment)
            else:
                actor.require("approve", promotion.environment)
            next_status(promotion.status, refused=True, wants=[])
            self._refuse(change, promotion, by=actor.name, reason=why or "refused")
            return self._read(change.connection, promotion_id)

    def settle_all(self, change: Change, *, prompt: str, sha: str, by: str) -> None:
        """Let pending promotions of a version go live if nothing is missing any more."""
        table = tables.promotions
        query = (
            select(table.c.id)
            .where(table.c.prompt == prompt, table.c.sha == sha, table.c.status == "pending")
            .order_by(table.c.requested_at)
        )
        for promotion_id in change.connection.execute(query).scalars().all():
            promotion = self._read(change.connection, promotion_id)
            # Under a running plan it stays pending: what comes after the plan may settle it.
            if running_plan(change.connection, promotion.environment, prompt) is None:
                self._settle(change, promotion, by=by)

    def promotions(
        self,
        *,
        environment: str | None = None,
        prompt: str | None = None,
        status: PromotionStatus | None = None,
        limit: int = 100,
    ) -> list[Promotion]:
        """The newest promotions that fit."""
        table = tables.promotions
        query = select(table.c.id).order_by(table.c.requested_at.desc()).limit(limit)
        wanted = {"environment": environment, "prompt": prompt, "status": status}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(table.c[name] == value)
        with self._database.read() as connection:
            ids = connection.execute(query).scalars().all()
            return [self._read(connection, promotion_id) for promotion_id in ids]

    def get(self, promotion_id: str) -> Promotion:
        """One promotion."""
        with self._database.read() as connection:
            return self._read(connection, promotion_id)

    def _check_movable(
        self, connection: Connection, wanted: VersionRecord, *, environment: str, expected: int
    ) -> None:
        """Refuse a request that could never be carried out."""
        prompt = wanted.prompt
        if wanted.kind == "fragment":
            raise BadInput(
                f'"{prompt}" is a fragment, which is served inside the prompts that include it; '
                "promote one of these"
            )
        moves = self._pointers.moves(connection, environment, prompt)
        check_generation(moves, expected=expected, prompt=prompt)
        plan = running_plan(connection, environment, prompt)
        check_no_plan(plan.id if plan else None, prompt=prompt, environment=environment)
        if moves and moves[-1].sha == wanted.sha:
            raise Conflict(
                f'"{prompt}" {wanted.version} is live in "{environment}" already '
                f"(generation {expected}); there is nothing to promote"
            )

    def _open(
        self,
        change: Change,
        wanted: VersionRecord,
        *,
        environment: str,
        expected: int,
        actor: str,
        why: str,
    ) -> Promotion:
        """Write a request down."""
        promotion_id = self._new_id()
        change.connection.execute(
            insert(tables.promotions).values(
                id=promotion_id,
                environment=environment,
                prompt=wanted.prompt,
                sha=wanted.sha,
                expected_generation=expected,
                actor=actor,
                why=why,
                evidence={},
                status="pending",
                requested_at=change.at,
            )
        )
        promotion = self._read(change.connection, promotion_id)
        facts = {"expected_generation": expected, "missing": promotion.missing}
        self._note(change, actor, "request_promotion", promotion, why=why, facts=facts)
        return promotion

    def _overtaken(self, change: Change, promotion: Promotion) -> Conflict | None:
        """The error of a promotion that another move, or a take-back of its version, overtook."""
        stale = overtaken_by(
            self._pointers.moves(change.connection, promotion.environment, promotion.prompt),
            expected=promotion.expected_generation,
            prompt=promotion.prompt,
        )
        if stale is not None or not taken_back_since(
            change.connection,
            environment=promotion.environment,
            prompt=promotion.prompt,
            sha=promotion.sha,
            since=promotion.requested_at,
        ):
            return stale
        return Conflict(
            f'"{promotion.prompt}" {promotion.version} was taken back in '
            f'"{promotion.environment}" after this promotion was asked for; ask anew if it shall '
            "be live all the same"
        )

    def _settle(self, change: Change, promotion: Promotion, *, by: str) -> Promotion:
        """Carry a pending promotion as far as it goes: live, refused as overtaken, or pending."""
        if (stale := self._overtaken(change, promotion)) is not None:
            self._refuse(change, promotion, by=by, reason=str(stale))
            return self._read(change.connection, promotion.id)
        if next_status(promotion.status, refused=False, wants=promotion.missing) == "pending":
            return promotion
        plan = running_plan(change.connection, promotion.environment, promotion.prompt)
        check_no_plan(
            plan.id if plan else None, prompt=promotion.prompt, environment=promotion.environment
        )
        self._go_live(change, promotion)
        return self._read(change.connection, promotion.id)

    def _go_live(self, change: Change, promotion: Promotion) -> None:
        """Move the pointer for a promotion that has everything."""
        move = add_move(
            change,
            environment=promotion.environment,
            prompt=promotion.prompt,
            sha=promotion.sha,
            kind="promote",
            generation=promotion.expected_generation + 1,
            actor=promotion.actor,
            why=promotion.why,
            promotion=promotion.id,
        )
        version = self._version(change.connection, promotion)
        facts = self._policies.facts(
            change.connection,
            version,
            environment=promotion.environment,
            approvals=promotion.approvals,
        )
        evidence = {
            "suites_passed": sorted(facts.suites_passed),
            "approved_by": [consent.actor for consent in promotion.approvals],
        }
        by = promotion.actor
        self._decide(
            change, promotion, status="live", by=by, generation=move.generation, evidence=evidence
        )
        moved = {"generation": move.generation, **evidence}
        self._note(change, by, "promote", promotion, why=promotion.why, facts=moved)

    def _refuse(self, change: Change, promotion: Promotion, *, by: str, reason: str) -> None:
        """End a promotion without a move."""
        self._decide(change, promotion, status="refused", by=by, reason=reason)
        self._note(change, by, "refuse_promotion", promotion, why=reason)

    def _decide(
        self,
        change: Change,
        promotion: Promotion,
        *,
        status: PromotionStatus,
        by: str,
        generation: int | None = None,
        reason: str | None = None,
        evidence: object = None,
    ) -> None:
        """Write the end of a promotion down."""
        change.connection.execute(
            update(tables.promotions)
            .where(tables.promotions.c.id == promotion.id)
            .values(
                status=status,
                decided_at=change.at,
                decided_by=by,
                generation=generation,
                reason=reason,
                evidence=evidence or {},
            )
        )

    def _note(
        self,
        change: Change,
        actor: str,
        action: str,
        promotion: Promotion,
        *,
        why: str,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Add a row about a promotion to the audit log."""
        change.record(
            actor,
            action,
            environment=promotion.environment,
            prompt=promotion.prompt,
            details={
                "promotion": promotion.id,
                "sha": promotion.sha,
                "version": promotion.version,
                "why": why,
                **(facts or {}),
            },
        )

    def _version(self, connection: Connection, promotion: Promotion) -> VersionRecord:
        """The version a promotion is about."""
        return self._versions.named(
            connection, promotion.prompt, promotion.sha, environment=promotion.environment
        )

    def _read(self, connection: Connection, promotion_id: str) -> Promotion:
        """The record of a promotion; what is missing is told as of now."""
        return read_promotion(
            connection,
            promotion_id,
            policies=self._policies,
            versions=self._versions,
            pointers=self._pointers,
        )

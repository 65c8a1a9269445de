"""Taking back: rollback and the kill switch, carried out in one transaction each."""

import msgspec
from sqlalchemy import Connection, insert, select

from trimtab.database import tables
from trimtab.registry.ledger import Change, Ledger
from trimtab.registry.plan_rows import PlanRecord, end_plan, running_plan
from trimtab.registry.pointers import TAKING_BACK, Pointers, add_move, newest_switch
from trimtab.registry.policies import Policies
from trimtab.registry.principals import Principal
from trimtab.registry.versions import unknown_prompt, version_rows
from trimtab.releases.release import Mark, Move, PointerState, replay
from trimtab.releases.takeback import (
    Switch,
    TakeBack,
    is_killed,
    kill_serving,
    kill_step,
    rollback_step,
    rollback_target,
    serving_sha,
)


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback, kill or unkill came to.

    Attributes:
        already: True if it was done before this call, which then changed nothing.
        generation: The pointer's after it.
        serving: Sha that everybody gets now; None = the application's fallback.
        killed: Whether the kill switch is on now.
        taken_back: Sha that is served no more because of it, if any: the former live version, or a
            plan's candidate.
        plan: Id of the plan that it aborted, if one ran.
    """

    already: bool
    environment: str
    prompt: str
    generation: int
    live: str | None
    serving: str | None
    killed: bool
    taken_back: str | None = None
    plan: str | None = None


class _Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the rows when a call comes in."""

    environment: str
    prompt: str
    versions: list[str]
    moves: list[Move]
    marks: list[Mark]
    state: PointerState
    switch: Switch | None
    plan: PlanRecord | None


class TakeBacks:
    """Rolls back, kills and unkills; all need scope `operate` in the environment."""

    def __init__(self, ledger: Ledger, *, policies: Policies, pointers: Pointers) -> None:
        self._ledger = ledger
        self._policies = policies
        self._pointers = pointers

    def rollback(
        self,
        actor: Principal,
        *,
        environment: str,
        prompt: str,
        from_generation: int | None = None,
        again: bool = False,
        why: str = "",
    ) -> TakenBack:
        """Abort the running plan, or else move the pointer to the last good release.

        Args:
            actor: Who does it.
            environment: Where.
            prompt: Which prompt.
            from_generation: What is to be taken back, as the caller saw it; None = what is live.
            again: Take back once more, though the same was done within ten minutes.
            why: The reason, for the history.

        Raises:
            NothingToRollBackTo: No earlier unmarked release; the message lists the versions.
            StaleGeneration: What the call names is no longer live, and was not taken back.
        """
        self._policies.of(environment)
        actor.require("operate", environment)
        with self._ledger.change() as change:
            scene = self._scene(change.connection, environment, prompt)
            step = rollback_step(
                scene.moves,
                _newest_rollback(change.connection, scene),
                prompt=prompt,
                plan_running=scene.plan is not None,
                from_generation=from_generation,
                again=again,
                now=change.at,
                marks=scene.marks,
            )
            if step == "already":
                return _outcome(scene, already=True)
            if scene.plan is not None:
                return self._abort(change, scene, scene.plan, actor=actor.name, why=why)
            return self._move(change, scene, actor=actor.name, why=why)

    def kill(
        self,
        actor: Principal,
        *,
        environment: str,
        prompt: str,
        from_generation: int | None = None,
        why: str = "",
    ) -> TakenBack:
        """Take the live version off at once; plans are aborted, the pointer stays.

        Served is the running plan's baseline, else the last good release, else nothing: then
        applications use their fallback. Killing what is killed changes nothing.
        """
        self._policies.of(environment)
        actor.require("operate", environment)
        with self._ledger.change() as change:
            scene = self._scene(change.connection, environment, prompt)
            step = kill_step(
                scene.moves, scene.switch, prompt=prompt, from_generation=from_generation
            )
            if step == "already":
                return _outcome(scene, already=True)
            if scene.plan is not None:
                end_plan(
                    change,
                    scene.plan,
                    action="kill",
                    status="aborted",
                    generation=scene.state.generation,
                    actor=actor.name,
                    why=why,
                )
            baseline = scene.plan.baseline if scene.plan else None
            serving = kill_serving(scene.state, baseline=baseline)
            switch = Switch(kind="kill", at=change.at, actor=actor.name, why=why, serving=serving)
            return self._turn(change, scene, switch)

    def unkill(
        self, actor: Principal, *, environment: str, prompt: str, why: str = ""
    ) -> TakenBack:
        """Serve the live version again; unkilling what is not killed changes nothing."""
        self._policies.of(environment)
        actor.require("operate", environment)
        with self._ledger.change() as change:
            scene = self._scene(change.connection, environment, prompt)
            if not is_killed(scene.switch):
                return _outcome(scene, already=True)
            switch = Switch(kind="unkill", at=change.at, actor=actor.name, why=why)
            return self._turn(change, scene, switch)

    def _scene(self, connection: Connection, environment: str, prompt: str) -> _Scene:
        """Read what stands."""
        versions = [row["semver"] for row in version_rows(connection, prompt)]
        if not versions:
            raise unknown_prompt(prompt)
        history = self._pointers.history(connection, environment, prompt)
        return _Scene(
            environment=environment,
            prompt=prompt,
            versions=versions,
            moves=history.moves,
            marks=history.marks,
            state=history.state,
            switch=newest_switch(connection, environment, prompt),
            plan=running_plan(connection, environment, prompt),
        )

    def _abort(
        self, change: Change, scene: _Scene, plan: PlanRecord, *, actor: str, why: str
    ) -> TakenBack:
        """Roll back a running plan: the baseline stays."""
        end_plan(
            change,
            plan,
            action="rollback",
            status="aborted",
            generation=scene.state.generation,
            actor=actor,
            why=why,
        )
        change.record(
            actor,
            "rollback",
            environment=scene.environment,
            prompt=scene.prompt,
            details={
                "plan": plan.id,
                "plan_sha": plan.plan_sha,
                "taken_back": plan.candidate,
                "live": scene.state.live,
                "generation": scene.state.generation,
                "why": why,
            },
        )
        return _outcome(scene, already=False, taken_back=plan.candidate, plan=plan.id)

    def _move(self, change: Change, scene: _Scene, *, actor: str, why: str) -> TakenBack:
        """Roll the pointer back to the last good release."""
        target = rollback_target(
            scene.state,
            prompt=scene.prompt,
            environment=scene.environment,
            versions=scene.versions,
        )
        move = add_move(
            change,
            environment=scene.environment,
            prompt=scene.prompt,
            sha=target,
            kind="rollback",
            generation=scene.state.generation + 1,
            actor=actor,
            why=why,
            taken_back=scene.state.live,
        )
        change.record(
            actor,
            "rollback",
            environment=scene.environment,
            prompt=scene.prompt,
            details={
                "taken_back": move.taken_back,
                "live": move.sha,
                "generation": move.generation,
                "why": why,
            },
        )
        moves = [*scene.moves, move]
        after = msgspec.structs.replace(scene, moves=moves, state=replay(moves, scene.marks))
        return _outcome(after, already=False, taken_back=move.taken_back)

    def _turn(self, change: Change, scene: _Scene, switch: Switch) -> TakenBack:
        """Turn the kill switch."""
        change.connection.execute(
            insert(tables.switches).values(
                environment=scene.environment,
                prompt=scene.prompt,
                generation=scene.state.generation,
                revision=change.publish(scene.environment),
                **msgspec.structs.asdict(switch),
            )
        )
        plan = scene.plan.id if scene.plan else None
        change.record(
            switch.actor,
            switch.kind,
            environment=scene.environment,
            prompt=scene.prompt,
            details={
                "live": scene.state.live,
                "serving": serving_sha(scene.state, switch),
                "generation": scene.state.generation,
                "plan": plan,
                "why": switch.why,
            },
        )
        after = msgspec.structs.replace(scene, switch=switch)
        if switch.kind == "unkill":
            return _outcome(after, already=False)
        taken_back = scene.plan.candidate if scene.plan else scene.state.live
        return _outcome(after, already=False, taken_back=taken_back, plan=plan)


def _newest_rollback(connection: Connection, scene: _Scene) -> TakeBack | None:
    """The newest rollback that was carried out: of the pointer, or of a plan.

    The autopilot's own taking back of a candidate counts: a person who calls `rollback` in the same
    incident means the candidate, not the baseline that was saved.
    """
    calls = [
        TakeBack(at=move.at, from_generation=move.generation - 1, to_generation=move.generation)
        for move in scene.moves[-1:]
        if move.kind == "rollback"
    ]
    moves, plans = tables.plan_moves, tables.plans
    query = (
        select(moves.c.at, moves.c.generation)
        .join(plans, plans.c.id == moves.c.plan)
        .where(
            plans.c.environment == scene.environment,
            plans.c.prompt == scene.prompt,
            moves.c.action.in_(TAKING_BACK),
        )
        .order_by(moves.c.id.desc())
        .limit(1)
    )
    calls += [
        TakeBack(at=row.at, from_generation=row.generation, to_generation=row.generation)
        for row in connection.execute(query)
    ]
    return max(calls, key=lambda call: call.at, default=None)


def _outcome(
    scene: _Scene, *, already: bool, taken_back: str | None = None, plan: str | None = None
) -> TakenBack:
    """The answer to a call."""
    return TakenBack(
        already=already,
        environment=scene.environment,
        prompt=scene.prompt,
        generation=scene.state.generation,
        live=scene.state.live,
        serving=serving_sha(scene.state, scene.switch),
        killed=is_killed(scene.switch),
        taken_back=taken_back,
        plan=plan,
    )

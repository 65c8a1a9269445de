"""Random lives of one prompt, held against a model that keeps lists instead of rows."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from trimtab.errors import Conflict, NothingToRollBackTo, PlanRunning, StaleGeneration
from trimtab.registry.principals import AUTOPILOT
from trimtab.registry.takebacks import TakenBack

from .conftest import Model
from .house import PROMPT, House

TEXTS = ("One.", "Two.", "Three.", "Four.")
VERSIONS = tuple(f"1.{number}.0" for number in range(len(TEXTS)))
SHARES = (1000, 5000)
VERSION = st.sampled_from(VERSIONS)


class Life(RuleBasedStateMachine):
    """What a prompt in one environment can go through; `make` gives a fresh house."""

    make: Callable[[], House]

    def __init__(self) -> None:
        super().__init__()
        self.house = type(self).make()
        self.shas = dict(zip(VERSIONS, self.house.push(*TEXTS), strict=True))
        self.moves: list[str] = []
        self.marked: set[str] = set()
        self.killed = False
        self.frozen: str | None = None
        self.candidate: str | None = None
        self.plan_id = ""
        self.step = 0
        self.paused = False
        self.taken_back_at: datetime | None = None
        self.taken_back_moves = 0
        self.revision = 1
        self.seen: list[tuple[datetime, tuple[object, ...]]] = []

    @property
    def live(self) -> str | None:
        return self.moves[-1] if self.moves else None

    @property
    def last_good(self) -> str | None:
        for version in reversed(self.moves):
            if version != self.live and version not in self.marked:
                return version
        return None

    def told(self) -> tuple[object, ...]:
        serving = self.frozen if self.killed else self.live
        share = SHARES[self.step] if self.candidate else None
        return (self.live, self.last_good, len(self.moves), self.killed, serving, share)

    @rule(minutes=st.sampled_from([0, 1, 6, 30]))
    def pass_by(self, minutes: int) -> None:
        self.house.clock.pass_by(minutes=minutes)

    def _promote(self, version: str, expected: int) -> str:
        return self.house.registry.promotions.request(
            self.house.admin,
            environment="dev",
            prompt=PROMPT,
            version=version,
            expected_generation=expected,
        ).status

    @rule(version=VERSION)
    def promote(self, version: str) -> None:
        generation = len(self.moves)
        if self.candidate is not None:
            with pytest.raises(PlanRunning, match=self.plan_id):
                self._promote(version, generation)
        elif version == self.live:
            with pytest.raises(Conflict, match="live"):
                self._promote(version, generation)
        else:
            assert self._promote(version, generation) == "live"
            self.moves.append(version)
            self.marked.discard(version)
            self.revision += 1

    @rule(version=VERSION, by=st.sampled_from([-1, 1]))
    def promote_blindly(self, version: str, by: int) -> None:
        with pytest.raises(StaleGeneration):
            self._promote(version, len(self.moves) + by)

    def _rollback(self, *, again: bool) -> TakenBack:
        return self.house.registry.takebacks.rollback(
            self.house.admin, environment="dev", prompt=PROMPT, again=again
        )

    @rule(again=st.booleans())
    def rollback(self, again: bool) -> None:  # noqa: FBT001  # hypothesis draws it by name
        if self._is_second(again=again):
            assert self._rollback(again=again).already
        elif self.candidate is None and self.last_good is None:
            with pytest.raises(NothingToRollBackTo):
                self._rollback(again=again)
        else:
            assert not self._rollback(again=again).already
            self._taken_back()

    def _is_second(self, *, again: bool) -> bool:
        if again or self.candidate is not None or self.taken_back_at is None:
            return False
        if len(self.moves) != self.taken_back_moves:
            return False
        return self.house.registry.board.status().at - self.taken_back_at < timedelta(minutes=10)

    def _taken_back(self) -> None:
        """A plan loses its candidate; without one the pointer goes back. Either is marked."""
        if self.candidate is not None:
            self.marked.add(self.candidate)
        else:
            target = self.last_good
            assert self.live is not None
            assert target is not None
            self.marked.add(self.live)
            self.moves.append(target)
        self.candidate = None
        self.revision += 1
        self.taken_back_at = self.house.registry.audit.rows(limit=1)[0].at
        self.taken_back_moves = len(self.moves)

    @rule()
    def kill(self) -> None:
        done = self.house.registry.takebacks.kill(
            self.house.admin, environment="dev", prompt=PROMPT
        )
        assert done.already == self.killed
        if self.killed:
            return
        self.frozen = self.live if self.candidate else self.last_good
        self.killed, self.candidate = True, None
        self.revision += 1

    @rule()
    def unkill(self) -> None:
        done = self.house.registry.takebacks.unkill(
            self.house.admin, environment="dev", prompt=PROMPT
        )
        assert done.already == (not self.killed)
        self.revision += self.killed
        self.killed = False

    @precondition(lambda self: self.live is not None)
    @rule(version=VERSION)
    def start(self, version: str) -> None:
        if version == self.live:
            return
        draft = self.house.registry.plans.create(self.house.admin, self.house.plan_file(version))
        if self.candidate is not None or self.killed:
            with pytest.raises(Conflict):
                self.house.registry.plans.start(self.house.admin, draft.id)
            return
        self.plan_id = self.house.registry.plans.start(self.house.admin, draft.id).plan.id
        self.candidate, self.step, self.paused = version, 0, False
        self.revision += 1

    @precondition(lambda self: self.candidate is not None)
    @rule()
    def advance(self) -> None:
        progress = self.house.registry.progress
        if self.paused:
            with pytest.raises(Conflict, match="paused"):
                progress.advance(AUTOPILOT, self.plan_id)
            return
        progress.advance(AUTOPILOT, self.plan_id)
        self.revision += 1
        if self.step + 1 < len(SHARES):
            self.step += 1
            return
        assert self.candidate is not None
        self.moves.append(self.candidate)
        self.marked.discard(self.candidate)
        self.candidate = None

    @precondition(lambda self: self.candidate is not None and not self.paused)
    @rule()
    def pause(self) -> None:
        self.house.registry.progress.pause(self.house.admin, self.plan_id)
        self.paused = True

    @precondition(lambda self: self.candidate is not None and self.paused)
    @rule()
    def resume(self) -> None:
        self.house.registry.progress.resume(self.house.admin, self.plan_id)
        self.paused = False

    @precondition(lambda self: self.candidate is not None)
    @rule()
    def abort(self) -> None:
        self.house.registry.progress.abort(self.house.admin, self.plan_id)
        self.candidate = None
        self.revision += 1

    @precondition(lambda self: self.candidate is not None)
    @rule()
    def breach(self) -> None:
        self.house.registry.progress.take_back(AUTOPILOT, self.plan_id, why="breach")
        self._taken_back()

    @invariant()
    def status_tells_the_models_story(self) -> None:
        told = self._status(None)
        assert told == self.told()
        self.house.clock.pass_by(seconds=1)
        self.seen.append((self.house.clock.now, told))
        self.house.clock.pass_by(seconds=1)

    def _status(self, at: datetime | None) -> tuple[object, ...]:
        [environment] = self.house.registry.board.status(at=at, environment="dev").environments
        if not environment.prompts:
            return (None, None, 0, False, None, None)
        [found] = environment.prompts
        names = [
            version.version if version else None
            for version in (found.live, found.last_good, found.serving)
        ]
        share = found.plan.share if found.plan else None
        return (names[0], names[1], found.generation, found.killed, names[2], share)

    @invariant()
    def the_payload_serves_it(self) -> None:
        payload = self.house.registry.publisher.payload("dev")
        serving = self.frozen if self.killed else self.live
        features = {
            name: rule["defaultValue"]["version"] for name, rule in payload.features.items()
        }
        assert features == ({PROMPT: serving} if serving else {})
        assert payload.trimtab is not None
        assert payload.trimtab.revision == self.revision
        assert list(payload.trimtab.plans) == ([self.plan_id] if self.candidate else [])

    def teardown(self) -> None:
        assert [self._status(at) for at, _ in self.seen] == [told for _, told in self.seen]
        assert self.house.registry.audit.verify().broken is None
        self.house.close()


def _live(model: Model, folder: Path, *, lives: int, steps: int) -> None:
    """Run `lives` random lives of `steps` actions."""
    numbers = iter(range(1_000_000))
    kind = type(
        "FreshLife",
        (Life,),
        {"make": staticmethod(lambda: model.house(folder / f"{next(numbers)}.db"))},
    )
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_rows_tell_any_life_as_a_simple_model_does(model: Model, tmp_path: Path) -> None:
    _live(model, tmp_path, lives=10, steps=25)


@pytest.mark.more
def test_rows_tell_long_lives_as_a_simple_model_does(model: Model, tmp_path: Path) -> None:
    _live(model, tmp_path, lives=200, steps=60)

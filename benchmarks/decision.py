"""Decisions: ours against the GrowthBook Python SDK's, on the same payload, in one run.

50 prompts, each with two targeting rules, a namespace filter and a three-way split; every answer is
compared before anything is timed. Ids are cold when they are seen for the first time.
"""

import gc
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from growthbook import GrowthBook

from trimtab.routing.evaluator import Context, Table, compile_table
from trimtab.routing.payload import (
    FORMAT,
    AuditHead,
    Payload,
    PlanState,
    PromptState,
    TrimtabBlock,
)

PROMPTS = [f"prompt.{number}" for number in range(50)]
COLD = 4_000
WARM_UNITS = 40
REPEATS = 5


def main() -> None:
    """Print microseconds a decision of both, and the ratio."""
    logging.disable()
    payload = make_payload()
    compiled = min(timed(lambda: compile_table(payload)) for _ in range(REPEATS))
    print(f"compile {len(PROMPTS)} prompts: {compiled * 1e3:.1f} ms")
    check(payload)
    for kind, rounds in (("cold", cold_rounds()), ("warm", warm_rounds())):
        ours, theirs = measure(payload, rounds)
        print(
            f"{kind} ids: trimtab {ours:.2f} us, growthbook {theirs:.2f} us a decision, "
            f"ratio {theirs / ours:.1f}"
        )
    print(f"one rollout rule, warm ids: {rollout_us():.2f} us a decision")


Call = tuple[str, str, dict[str, Any]]


def cold_rounds() -> list[list[Call]]:
    """Every call names a unit for the first time."""
    return [calls(number, units=COLD, count=COLD) for number in range(REPEATS)]


def warm_rounds() -> list[list[Call]]:
    """The same few units call again and again."""
    return [calls(0, units=WARM_UNITS, count=COLD)] * (REPEATS + 1)


def calls(group: int, *, units: int, count: int) -> list[Call]:
    """Prompt, unit and attributes of so many calls; groups share no unit."""
    rng = random.Random(group)
    return [
        (
            rng.choice(PROMPTS),
            f"user-{group * COLD + number % units}",
            {"country": rng.choice(["DE", "FR", "US"]), "tier": rng.choice(["free", "pro", "vip"])},
        )
        for number in range(count)
    ]


def measure(payload: Payload, rounds: Iterable[list[Call]]) -> tuple[float, float]:
    """Best microseconds a decision, ours and theirs; both see each round one after the other."""
    table = compile_table(payload)
    theirs = GrowthBook(features=payload.features)
    best_ours = best_theirs = float("inf")
    for number, round_ in enumerate(rounds):
        contexts = [(p, Context(unit_id=u, attributes=a)) for p, u, a in round_]
        ids = [(p, {**a, "id": u}) for p, u, a in round_]
        ours_us = timed(decide_all, table, contexts) / len(round_) * 1e6
        theirs_us = timed(evaluate_all, theirs, ids) / len(round_) * 1e6
        if number:  # the first round warms both
            best_ours, best_theirs = min(best_ours, ours_us), min(best_theirs, theirs_us)
    theirs.destroy()
    return best_ours, best_theirs


def decide_all(table: Table, contexts: list[tuple[str, Context]]) -> None:
    """Decide every call."""
    decide = table.decide
    for prompt, context in contexts:
        decide(prompt, context)


def evaluate_all(theirs: GrowthBook, contexts: list[tuple[str, dict[str, Any]]]) -> None:
    """Evaluate every call with the SDK; it takes attributes by assignment."""
    for prompt, attributes in contexts:
        theirs.set_attributes(attributes)
        theirs.eval_feature(prompt)


def check(payload: Payload) -> None:
    """Compare every answer of a round."""
    table = compile_table(payload)
    theirs = GrowthBook(features=payload.features)
    reasons = set()
    for prompt, unit, attributes in calls(0, units=COLD, count=COLD):
        decision = table.decide(prompt, Context(unit_id=unit, attributes=attributes))
        theirs.set_attributes({**attributes, "id": unit})
        want = (theirs.eval_feature(prompt).value or {}).get("sha")
        if decision.sha != want:
            raise SystemExit(f"{prompt} for {unit}: {decision.sha}, growthbook says {want}")
        reasons.add(decision.reason)
    if reasons != {"default", "force", "plan"}:
        raise SystemExit(f"the benchmark decides for {reasons} only")
    theirs.destroy()


def rollout_us() -> float:
    """Best microseconds a decision of a prompt with a rollout and nothing else."""
    name = PROMPTS[0]
    payload = make_payload(targeting=False)
    table = compile_table(payload)
    contexts = [(name, Context(unit_id=f"user-{number % 100}")) for number in range(COLD)]
    return min(timed(decide_all, table, contexts) for _ in range(REPEATS)) / COLD * 1e6


def timed(function: Callable[..., object], *arguments: object) -> float:
    """CPU seconds of a call, without the collector's pauses."""
    gc.collect()
    gc.disable()
    started = time.process_time()
    function(*arguments)
    elapsed = time.process_time() - started
    gc.enable()
    return elapsed


def make_payload(*, targeting: bool = True) -> Payload:
    """The payload under test; without targeting, splits of two sides and nothing else."""
    return Payload(
        features={name: make_feature(name, targeting=targeting) for name in PROMPTS},
        trimtab=TrimtabBlock(
            format=FORMAT,
            lineage="benchmark",
            environment="prod",
            revision=1,
            published_at="2026-01-01T00:00:00.000000Z",
            prompts={name: PromptState() for name in PROMPTS},
            plans={f"plan-{name}": make_plan(name) for name in PROMPTS},
            audit=AuditHead(count=0, head=""),
        ),
    )


def make_plan(name: str) -> PlanState:
    """The plan that a prompt's split belongs to."""
    return PlanState(
        kind="rollout", prompt=name, epoch=1, unit="user", seed=name, share=1_000, variants=[]
    )


def make_feature(name: str, *, targeting: bool) -> dict[str, Any]:
    """A prompt: two targeting rules, then the split behind its namespace."""
    value: dict[str, dict[str, Any]] = {
        version: {"prompt": name, "version": version, "sha": f"{name}@{version}", "sampling": {}}
        for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0")
    }
    split: dict[str, Any] = {
        "id": f"plan-{name}:1",
        "key": f"plan-{name}",
        "seed": f"plan-{name}",
        "hashVersion": 2,
        "variations": [value["1.1.0"], value["1.2.0"], value["1.0.0"]],
        "meta": [{"key": "one"}, {"key": "two"}, {"key": "control"}],
        "ranges": [[0, 0.1], [0.1, 0.2], [0.2, 1]],
        "disableStickyBucketing": True,
    }
    if not targeting:
        return {"defaultValue": value["1.0.0"], "rules": [split]}
    return {
        "defaultValue": value["1.0.0"],
        "rules": [
            {
                "id": "qa",
                "condition": {"id": {"$in": [f"qa-{n}" for n in range(20)]}},
                "force": value["2.0.0"],
            },
            {
                "id": "vip",
                "condition": {"country": {"$in": ["US", "CA"]}, "tier": "vip"},
                "force": value["2.0.0"],
            },
            split | {"filters": [{"seed": "namespace", "ranges": [[0, 0.8]], "hashVersion": 2}]},
        ],
    }


if __name__ == "__main__":
    main()

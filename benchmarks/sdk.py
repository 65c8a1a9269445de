"""What an application pays per request: our `get` and `render` beside a GrowthBook evaluation."""

import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from growthbook import GrowthBook

from benchmarks.decision import PROMPTS, make_payload
from trimtab import Client
from trimtab.sdk.store import PayloadStore, store_name

NOWHERE = "http://127.0.0.1:9"  # nothing answers: the client serves what lies on disk
FACTS = {"country": "DE", "tier": "pro"}
UNITS = [f"user-{number}" for number in range(1_000)]
REPLY = """---
model: openai/gpt-4o-2024-11-20
sampling: {temperature: 0.2}
variables:
  question: {type: string, trusted: false}
  tier: {enum: [free, pro, vip]}
---
{% message role="system" %}You are a support agent.{% if tier == "vip" %} Offer a call.{% endif %}
{% endmessage %}
{% message role="user" %}{{ question }}{% endmessage %}
"""


def micros(call: Callable[[str], object], *, rounds: int = 9) -> float:
    """Median microseconds of a call over the units."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for unit in UNITS:
            call(unit)
        found.append((time.perf_counter() - began) / len(UNITS) * 1e6)
    return statistics.median(found)


def main() -> None:
    """Prints microseconds of `get`, `render` and GrowthBook's `eval_feature`, and the ratio."""
    logging.disable()
    payload = make_payload()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "reply.prompt").write_text(REPLY)
        files = Client.from_files(folder)
        PayloadStore(Path(folder), store_name(NOWHERE, "k")).save(payload)
        client = Client(NOWHERE, "k", cache_dir=folder)
    theirs = GrowthBook(features=payload.features)

    def evaluate(unit: str) -> object:
        theirs.set_attributes({"id": unit, **FACTS})
        return theirs.eval_feature(PROMPTS[0]).value

    prompt = files.get("reply")
    get_us = micros(lambda unit: client.get(PROMPTS[0], unit_id=unit, attributes=FACTS))
    render_us = micros(lambda unit: prompt.render(question=unit, tier="vip"))
    theirs_us = micros(evaluate)
    theirs.destroy()
    client.close()
    print(
        f"sdk: get {get_us:.1f} µs, render {render_us:.1f} µs, growthbook eval_feature"
        f" {theirs_us:.1f} µs, ratio of get {theirs_us / get_us:.1f}"
    )


if __name__ == "__main__":
    main()

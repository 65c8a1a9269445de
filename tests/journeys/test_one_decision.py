"""The official openai client, the unmodified GrowthBook SDK and ours decide alike."""

import asyncio
from typing import Any

from growthbook import GrowthBook, feature_repo
from openai import AsyncOpenAI

from tests.journeys.house import REPLY, House, eventually, held_plan

UNITS = [f"thread-{number}" for number in range(1000)]
Seen = dict[str, tuple[str, str, str]]


def rolled_out(house: House) -> None:
    house.release(word="first")
    candidate = house.push(house.prompt, REPLY.replace("NAME", "second"))
    house.promote(house.prompt, candidate, "dev")
    house.start_plan(held_plan(house.prompt, candidate))


def by_our_sdk(house: House) -> tuple[Seen, int]:
    client = house.client()
    eventually(lambda: client.get(house.prompt, thread_id="x").reason == "plan")
    seen = {}
    for unit in UNITS:
        prompt = client.get(house.prompt, thread_id=unit)
        seen[unit] = (str(prompt.sha), str(prompt.variant), str(prompt.rule_id))
    return seen, client.revision


def by_growthbook(house: House) -> tuple[Seen, int]:
    feature_repo.clear_cache()
    sdk = GrowthBook(
        api_host=house.url, client_key=house.secrets["client-prod"], attributes={"id": "nobody"}
    )
    sdk.load_features()
    seen = {}
    for unit in UNITS:
        sdk.set_attributes({"thread_id": unit})
        result = sdk.eval_feature(house.prompt)
        assert result.experimentResult is not None
        value: Any = result.value
        seen[unit] = (value["sha"], result.experimentResult.key, str(result.ruleId))
    sdk.destroy()
    feature_repo.clear_cache()
    return seen, 0


async def by_gateway(house: House) -> tuple[Seen, set[str]]:
    revisions: set[str] = set()
    async with AsyncOpenAI(
        base_url=f"{house.url}/v1", api_key=house.secrets["app-prod"], max_retries=0
    ) as client:

        async def ask(unit: str) -> tuple[str, str, str]:
            raw = await client.chat.completions.with_raw_response.create(
                model=house.model,
                messages=[],
                extra_body={"trimtab": {"variables": {"question": "q"}, "thread_id": unit}},
            )
            revisions.add(raw.headers["x-trimtab-revision"])
            found = raw.headers
            return found["x-trimtab-sha"], found["x-trimtab-variant"], found["x-trimtab-rule"]

        seen: Seen = {}
        for start in range(0, len(UNITS), 50):
            batch = UNITS[start : start + 50]
            seen.update(zip(batch, await asyncio.gather(*map(ask, batch)), strict=True))
    return seen, revisions


def test_three_clients_get_the_same_decision_for_a_thousand_units(house: House) -> None:
    rolled_out(house)

    ours, revision = by_our_sdk(house)
    theirs, _ = by_growthbook(house)
    through_gateway, revisions = asyncio.run(by_gateway(house))

    assert theirs == ours
    assert through_gateway == ours
    assert revisions == {str(revision)}
    treated = sum(variant == "treatment" for _, variant, _ in ours.values())
    assert 340 <= treated <= 460

"""Real processes for journeys: a data folder, a server, and providers on loopback."""

import itertools
from collections.abc import Iterator

import pytest

from tests.journeys.house import House
from tests.journeys.scripted import ScriptedProvider, answer_plainly

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running_provider() -> Iterator[ScriptedProvider]:
    """The provider of a module's tests."""
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def running_house(
    tmp_path_factory: pytest.TempPathFactory, running_provider: ScriptedProvider
) -> Iterator[House]:
    """The server of a module's tests."""
    folder = tmp_path_factory.mktemp("house")
    with House(folder, provider_url=running_provider.url) as running:
        yield running


@pytest.fixture
def provider(running_provider: ScriptedProvider) -> ScriptedProvider:
    """A provider whose next answers the test writes."""
    running_provider.handler = answer_plainly
    running_provider.bodies.clear()
    running_provider.peers.clear()
    running_provider.cancelled.clear()
    return running_provider


@pytest.fixture
def house(running_house: House, provider: ScriptedProvider) -> House:  # noqa: ARG001 - reset first
    """A running server whose only provider is the scripted one, and a prompt name of one's own."""
    running_house.prompt = f"journey{next(_numbers)}.reply"
    return running_house

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.house import House

from .cockpit import Cockpit


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> House:
    """An initialised registry to copy."""
    house = House(tmp_path_factory.mktemp("model") / "registry.db")
    house.close()
    return house


@pytest.fixture
def cockpit(model: House, tmp_path: Path) -> Iterator[Cockpit]:
    shutil.copyfile(model.path, tmp_path / "registry.db")
    made = Cockpit(tmp_path, House(tmp_path / "registry.db", keys=model.keys))
    yield made
    made.evidence.close()
    made.house.close()

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.registry.registry import InitialKeys

from .house import House


class Model:
    """An initialised file to copy, for migrating takes most of a small test's time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        house = House(path)
        self.keys: InitialKeys = house.keys
        house.close()

    def house(self, path: Path) -> House:
        """A house of its own on a copy."""
        shutil.copyfile(self.path, path)
        return House(path, keys=self.keys)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(tmp_path_factory.mktemp("model") / "registry.db")


@pytest.fixture
def house(model: Model, tmp_path: Path) -> Iterator[House]:
    made = model.house(tmp_path / "registry.db")
    yield made
    made.close()

from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.database.engine import Database, open_database
from trimtab.database.migrate import upgrade


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "registry.db") as opened:
        upgrade(opened)
        yield opened

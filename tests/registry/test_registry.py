from pathlib import Path

import pytest

from trimtab.database.engine import open_database
from trimtab.database.migrate import upgrade
from trimtab.errors import Conflict
from trimtab.registry.registry import Registry

from .house import POLICIES, PROMPT, Clock, House


def test_initialising_twice_is_a_conflict_and_makes_no_keys(house: House) -> None:
    keys = house.registry.principals.list_keys()
    with pytest.raises(Conflict, match="initialised already"):
        house.registry.initialise()
    assert house.registry.principals.list_keys() == keys


def test_a_database_that_was_not_initialised_says_so(tmp_path: Path) -> None:
    with open_database(tmp_path / "empty.db") as database:
        upgrade(database)
        registry = Registry(
            database, policies=POLICIES, clock=Clock(), new_id=lambda: "", new_secret=lambda: ""
        )
        with pytest.raises(Conflict, match="run `trimtab init`"):
            _ = registry.lineage


def test_lineage_and_secret_stay_what_they_were(house: House) -> None:
    lineage, secret = house.registry.lineage, house.registry.installation_secret
    house.close()
    house.open()

    assert (house.registry.lineage, house.registry.installation_secret) == (lineage, secret)
    assert lineage == house.keys.lineage
    assert secret not in house.keys.secrets.values()


def test_a_restart_keeps_everything(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")
    plan = house.start("1.1.0")
    board = house.registry.board.status()
    detail = house.registry.plans.get(plan.id)
    payload = house.registry.publisher.payload("dev")
    check = house.registry.audit.verify()
    house.close()
    house.open()

    assert house.registry.board.status() == board
    assert house.registry.plans.get(plan.id) == detail
    assert house.registry.publisher.payload("dev") == payload
    assert house.registry.audit.verify() == check
    assert house.person("admin") == house.admin
    assert house.registry.board.generation("dev", PROMPT) == 1

import pytest
from sqlalchemy import delete, insert, select, update

from trimtab.database import tables
from trimtab.prompts.canonical import digest
from trimtab.registry.audit import GENESIS, AuditCheck, timestamp

from .house import PROMPT, House


@pytest.fixture
def count(house: House) -> int:
    """Rows after some ordinary work."""
    house.push("One.", "Two.")
    house.promote("1.0.0")
    house.promote("1.1.0")
    return house.registry.audit.verify().count


def _broken(check: AuditCheck) -> tuple[int, str]:
    assert check.broken is not None
    return check.broken.seq, check.broken.problem


def test_the_chain_is_hashed_from_the_first_row_over_all_fields(house: House) -> None:
    first = house.registry.audit.rows(limit=1000)[-1]

    assert (first.seq, first.prev_hash, first.action) == (1, GENESIS, "initialise")
    facts = {
        "seq": 1,
        "at": timestamp(first.at),
        "actor": "trimtab",
        "action": "initialise",
        "environment": None,
        "prompt": None,
        "details": {"lineage": house.keys.lineage},
        "prev_hash": GENESIS,
    }
    assert first.hash == digest(facts)


def test_an_untouched_chain_holds(house: House, count: int) -> None:
    check = house.registry.audit.verify()

    assert (check.broken, check.count) == (None, count)
    assert check.head == house.registry.audit.rows(limit=1)[0].hash


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "nobody"},
        {"details": {"why": "never"}},
        {"action": "kill"},
        {"hash": "f" * 64},
    ],
)
def test_a_changed_row_is_found(house: House, count: int, change: dict[str, object]) -> None:
    with house.database.write() as connection:
        connection.execute(update(tables.audit).where(tables.audit.c.seq == 5).values(**change))

    seq, problem = _broken(house.registry.audit.verify())

    assert count > 5
    assert (seq, "row 5 was changed" in problem) == (5, True)


def test_a_removed_row_is_found(house: House, count: int) -> None:
    with house.database.write() as connection:
        connection.execute(delete(tables.audit).where(tables.audit.c.seq == count - 1))

    assert _broken(house.registry.audit.verify()) == (
        count - 1,
        f"row {count - 1} is missing; the next one is {count}",
    )


def test_a_cut_end_is_found_by_what_the_revisions_noted(house: House, count: int) -> None:
    with house.database.write() as connection:
        connection.execute(delete(tables.audit).where(tables.audit.c.seq == count))

    seq, problem = _broken(house.registry.audit.verify())

    assert seq == count
    assert f"ends after row {count - 1}, but a revision noted {count} rows" in problem


def test_a_chain_written_anew_is_found_by_what_the_revisions_noted(
    house: House, count: int
) -> None:
    with house.database.write() as connection:
        last = connection.execute(select(tables.audit).where(tables.audit.c.seq == count))
        row = dict(last.mappings().one())
        connection.execute(delete(tables.audit).where(tables.audit.c.seq == count))
        forged = {**row, "actor": "nobody"}
        facts = {name: value for name, value in forged.items() if name != "hash"}
        forged["hash"] = digest({**facts, "at": timestamp(row["at"])})
        connection.execute(insert(tables.audit).values(forged))

    seq, problem = _broken(house.registry.audit.verify())

    assert (seq, "but a revision noted" in problem) == (count, True)


def test_a_head_kept_elsewhere_is_held_against_the_chain(house: House, count: int) -> None:
    verify = house.registry.audit.verify
    third = house.registry.audit.rows(limit=1, before_seq=4)[0]

    assert verify(count=3, head=third.hash).broken is None
    assert _broken(verify(count=3, head="e" * 64))[0] == 3
    assert _broken(verify(count=count + 7, head="e" * 64))[0] == count + 1


def test_rows_are_listed_newest_first_by_what_they_are_about(house: House, count: int) -> None:
    rows = house.registry.audit.rows

    assert [row.seq for row in rows(limit=2)] == [count, count - 1]
    assert {row.prompt for row in rows(prompt=PROMPT)} == {PROMPT}
    assert {row.environment for row in rows(environment="dev", action="promote")} == {"dev"}
    assert [row.seq for row in rows(before_seq=3)] == [2, 1]

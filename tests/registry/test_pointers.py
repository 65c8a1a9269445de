import pytest

from trimtab.registry.pointers import Pointers, add_move

from .house import PROMPT, House


def test_a_transaction_that_began_earlier_sees_no_later_moves(house: House) -> None:
    house.push("One.", "Two.")
    house.promote("1.0.0")
    pointers = Pointers()

    with house.database.read() as earlier:
        before = dict(pointers.committed(earlier, "dev"))
        house.promote("1.1.0")
        with house.database.read() as later:
            assert len(pointers.committed(later, "dev")[PROMPT]) == 2

        assert pointers.committed(earlier, "dev") == before

    with house.database.read() as later:
        assert len(pointers.committed(later, "dev")[PROMPT]) == 2


def _move_and_fail(house: House, pointers: Pointers, sha: str) -> None:
    """Move a pointer in a change that then comes to nothing."""
    with house.registry.ledger.change() as change:
        add_move(
            change,
            environment="dev",
            prompt=PROMPT,
            sha=sha,
            kind="promote",
            generation=1,
            actor="admin",
            why="",
        )
        assert pointers.state(change.connection, "dev", PROMPT).live == sha
        raise ZeroDivisionError


def test_what_an_open_change_moved_is_seen_in_it_and_gone_with_it(house: House) -> None:
    [sha] = house.push("One.")
    pointers = Pointers()

    with pytest.raises(ZeroDivisionError):
        _move_and_fail(house, pointers, sha)

    with house.database.read() as connection:
        assert pointers.state(connection, "dev", PROMPT).live is None

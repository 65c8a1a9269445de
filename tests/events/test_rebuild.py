from datetime import timedelta
from pathlib import Path

import pytest

from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold
from trimtab.events.journal import list_journals
from trimtab.events.lake import Lake
from trimtab.events.outcomes import Outcomes
from trimtab.events.rebuild import rebuild

from .samples import NOW, PLAN_ID, Sender, dump, lines_of, plans, write_journal


def interleaved(folder: Path) -> tuple[Evidence, Lake]:
    """Three journals folded in turns, so that what came first depends on the order."""
    journals = folder / "journals"
    evidence = Evidence(folder / "evidence.db")
    lines = lines_of(Sender().traffic(300, n_units=25))
    lines += lines[10:20]
    names = ["host-1-3", "host-2-2", "host-3-1"]
    for turn in range(9):
        piece = lines[turn * len(lines) // 9 : (turn + 1) * len(lines) // 9]
        write_journal(journals, piece, name=names[turn * 2 % 3])
        Fold(evidence, journals, plans=plans).step()
    return evidence, Lake(folder / "lake", journals=journals)


def make_again(folder: Path, lake: Lake, *, count_late: bool = True) -> Evidence:
    rebuild(folder / "evidence.db", lake.journals, lake, plans=plans, count_late=count_late)
    return Evidence(folder / "evidence.db")


@pytest.mark.parametrize("n_compacted", [0, 1, 3])
def test_rebuilt_evidence_equals_the_old_one(tmp_path: Path, n_compacted: int) -> None:
    evidence, lake = interleaved(tmp_path)
    compact_some(lake, evidence, n_compacted)
    before, ranges = dump(evidence), evidence.commits()
    evidence.close()

    again = make_again(tmp_path, lake)

    assert dump(again) == before
    assert again.commits() == ranges


def compact_some(lake: Lake, evidence: Evidence, n: int) -> None:
    """Compact `n` journals; the others are moved aside meanwhile."""
    aside = lake.journals.with_name("aside")
    aside.mkdir()
    kept = [lake.journals / f"{one.name}.jsonl" for one in list_journals(lake.journals)][n:]
    for path in kept:
        path.rename(aside / path.name)
    assert lake.compact(evidence).journals == n
    for path in aside.iterdir():
        path.rename(lake.journals / path.name)


def test_evidence_that_was_lost_is_rebuilt_from_the_manifest_alone(tmp_path: Path) -> None:
    evidence, lake = interleaved(tmp_path)
    before = dump(evidence)
    lake.compact(evidence)
    evidence.close()
    (tmp_path / "evidence.db").unlink()

    assert dump(make_again(tmp_path, lake)) == before


def test_evidence_that_is_damaged_is_rebuilt(tmp_path: Path) -> None:
    evidence, lake = interleaved(tmp_path)
    before = dump(evidence)
    lake.compact(evidence)
    evidence.close()
    (tmp_path / "evidence.db").write_bytes(b"no database at all, but long enough" * 99)

    assert dump(make_again(tmp_path, lake)) == before


def test_what_was_not_folded_yet_is_folded_by_a_rebuild(tmp_path: Path) -> None:
    evidence, lake = interleaved(tmp_path)
    write_journal(lake.journals, lines_of([Sender(9).generation("new", "control")]))
    evidence.close()

    again = make_again(tmp_path, lake)

    assert Fold(again, lake.journals, plans=plans).lag_bytes() == 0
    assert again.counters()["unknown_plan"] == 0


def test_a_rebuild_counts_late_events_unless_told_not_to(tmp_path: Path) -> None:
    sender = Sender()
    late = sender.generation("u", "control") | {"event_id": sender.event_id(NOW - timedelta(9))}
    write_journal(tmp_path / "journals", lines_of([late]))
    lake = Lake(tmp_path / "lake", journals=tmp_path / "journals")

    without = make_again(tmp_path, lake, count_late=False)
    counted = [bool(without.totals([PLAN_ID])[PLAN_ID])]
    without.close()
    counted.append(bool(make_again(tmp_path, lake).totals([PLAN_ID])[PLAN_ID]))

    assert counted == [False, True]


def test_outcomes_find_their_variant_again(tmp_path: Path) -> None:
    sender = Sender()
    events = [
        sender.exposure("u", "treatment"),
        sender.event("outcome", name="solved", value=1.0, unit_id="u"),
    ]
    write_journal(tmp_path / "journals", lines_of(events))
    lake = Lake(tmp_path / "lake", journals=tmp_path / "journals")
    evidence = Evidence(tmp_path / "evidence.db")
    Fold(evidence, lake.journals, plans=plans).step()
    Outcomes(evidence, lake).step(NOW)
    before = dump(evidence)
    evidence.close()

    again = make_again(tmp_path, lake)
    Outcomes(again, lake).step(NOW)

    assert before["outcome_totals"] != []
    assert dump(again) == before

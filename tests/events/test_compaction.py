import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.events.compaction import compact
from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold
from trimtab.events.journal import Journal, list_journals
from trimtab.events.lake import Lake

from .samples import Sender, lines_of, plans, write_journal

N = 60


def data_folder(folder: Path) -> tuple[Evidence, Lake]:
    """A sealed journal of `N` generations and their exposures, folded."""
    journals = folder / "journals"
    write_journal(journals, lines_of(Sender().traffic(N)))
    evidence = Evidence(folder / "evidence.db")
    Fold(evidence, journals, plans=plans).step()
    return evidence, Lake(folder / "lake", journals=journals)


def sums(lake: Lake) -> list[tuple[str, int, int]]:
    return [(one.sha, one.n, one.input_tokens) for one in lake.rollup_by_version()]


def test_a_folded_journal_of_a_dead_process_becomes_parquet(tmp_path: Path) -> None:
    evidence, lake = data_folder(tmp_path)
    before = lake.rollup_by_version()

    report = lake.compact(evidence)

    assert (report.journals, report.files, report.busy) == (1, 2, False)
    assert list_journals(lake.journals) == []
    assert sorted(path.parent.name for path in lake.folder.rglob("*.parquet")) == [
        "day=2026-03-04",
        "day=2026-03-04",
    ]
    assert [version.n for version in lake.rollup_by_version()] == [before[0].n] == [N]


def test_a_journal_not_folded_to_its_end_stays(tmp_path: Path) -> None:
    evidence, lake = data_folder(tmp_path)
    write_journal(lake.journals, lines_of([Sender(2).generation("u", "control")]))

    assert lake.compact(evidence).journals == 0
    assert len(list_journals(lake.journals)) == 1


def test_the_journal_of_a_live_process_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journals")
    journal.append(lines_of([Sender().generation("u", "control")]))
    evidence = Evidence(tmp_path / "evidence.db")
    Fold(evidence, tmp_path / "journals", plans=plans).step()

    report = compact(tmp_path / "lake", tmp_path / "journals", evidence)

    assert report.journals == 0
    journal.close()
    assert compact(tmp_path / "lake", tmp_path / "journals", evidence).journals == 1


def test_a_torn_end_and_lines_that_are_no_events_are_left_behind(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    good = lines_of([Sender().generation("u", "control")])
    write_journal(journals, [b"nonsense", *good, b'{"kind": "../../up", "event_id": "x"}', b"7"])
    with (journals / "host-1-1.jsonl").open("ab") as file:
        file.write(good[0][:50])
    evidence = Evidence(tmp_path / "evidence.db")
    Fold(evidence, journals, plans=plans).step()
    lake = Lake(tmp_path / "lake", journals=journals)

    report = lake.compact(evidence)

    assert (report.journals, report.rows) == (1, 1)
    assert lake.count_requests() == {"prod": 1}


def test_text_that_is_hard_to_carry_arrives_whole(tmp_path: Path) -> None:
    hard = "nul \x00, quote ', line \n end \u2028 and \U0001f600"
    request = Sender().event_id()
    event = Sender().event(
        "feedback", name="thumb", comment=hard, request_id=request, extra={"a": [{"b": hard}]}
    )
    write_journal(tmp_path / "journals", lines_of([event]))
    evidence = Evidence(tmp_path / "evidence.db")
    Fold(evidence, tmp_path / "journals", plans=plans).step()
    lake = Lake(tmp_path / "lake", journals=tmp_path / "journals")

    before = lake.events_of(request)
    lake.compact(evidence)

    assert lake.events_of(request) == before
    assert (before[0]["comment"], before[0]["extra"]) == (hard, {"a": [{"b": hard}]})


def test_each_day_of_the_ids_is_a_folder_of_its_own(tmp_path: Path) -> None:
    first = Sender().generation("u", "control")
    second = first | {"event_id": "019cb3c0-0000-7000-8000-000000000000"}
    write_journal(tmp_path / "journals", lines_of([first, second]))
    evidence = Evidence(tmp_path / "evidence.db")
    Fold(evidence, tmp_path / "journals", plans=plans).step()

    compact(tmp_path / "lake", tmp_path / "journals", evidence)

    days = sorted(path.name for path in (tmp_path / "lake" / "kind=generation").iterdir())
    assert days == ["day=2026-03-03", "day=2026-03-04"]


DIES = """
import os, signal, sys
from pathlib import Path
from trimtab.events.compaction import compact
from trimtab.events.evidence import Evidence
data = Path(sys.argv[1])
def step(name):
    if name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
compact(data / "lake", data / "journals", Evidence(data / "evidence.db"), step=step)
"""


@pytest.mark.parametrize("step", ["written", "renamed", "listed", "deleted"])
def test_a_death_at_any_step_loses_and_doubles_nothing(tmp_path: Path, step: str) -> None:
    evidence, lake = data_folder(tmp_path)
    write_journal(lake.journals, lines_of(Sender(2).traffic(5)), name="host-2-2")
    Fold(evidence, lake.journals, plans=plans).step()
    before = sums(lake)

    died = subprocess.run([sys.executable, "-c", DIES, str(tmp_path), step], check=False)
    after_death = Lake(tmp_path / "lake", journals=lake.journals)

    assert died.returncode == -9
    for asked in (lake, after_death):
        assert sums(asked) == before
    lake.compact(evidence)
    assert list_journals(lake.journals) == []
    assert not list(lake.folder.glob(".*.tmp"))
    assert sums(Lake(lake.folder, journals=lake.journals)) == before


def test_a_file_that_the_manifest_does_not_name_is_not_read(tmp_path: Path) -> None:
    evidence, lake = data_folder(tmp_path)
    lake.compact(evidence)
    (file,) = (lake.folder / "kind=generation").rglob("*.parquet")

    (file.parent / "stray.parquet").write_bytes(file.read_bytes())

    assert lake.count_requests() == {"prod": N}


def test_a_torn_line_of_the_manifest_is_passed_over(tmp_path: Path) -> None:
    evidence, lake = data_folder(tmp_path)
    lake.folder.mkdir()
    (lake.folder / "manifest.jsonl").write_bytes(b'{"journal":"ho')

    lake.compact(evidence)

    assert Lake(lake.folder, journals=lake.journals).count_requests() == {"prod": N}


def test_two_compactions_do_not_meet(tmp_path: Path) -> None:
    evidence, lake = data_folder(tmp_path)
    seen = []

    def meanwhile(_: str) -> None:
        seen.append(compact(lake.folder, lake.journals, evidence).busy)

    lake.compact(evidence, step=meanwhile)

    assert seen == [True] * 4

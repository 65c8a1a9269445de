import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trimtab.events.journal import (
    Journal,
    JournalError,
    list_journals,
    read_from,
    seal_abandoned,
)


class Clock:
    """Nanoseconds that go on only when told."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now


def content(folder: Path) -> list[bytes]:
    lines: list[bytes] = []
    for journal in list_journals(folder):
        chunk = read_from(folder, journal.name, offset=0)
        assert chunk is not None
        lines += chunk.data.splitlines()
    return lines


def test_appended_lines_can_be_read_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    journal.append([b"one", b"two"])
    journal.append([b"three"])

    assert content(tmp_path) == [b"one", b"two", b"three"]


def test_nothing_appended_makes_no_file(tmp_path: Path) -> None:
    Journal(tmp_path).append([])

    assert list_journals(tmp_path) == []


def test_reading_goes_on_from_an_offset(tmp_path: Path) -> None:
    Journal(tmp_path).append([b"one", b"two"])
    (journal,) = list_journals(tmp_path)

    chunk = read_from(tmp_path, journal.name, offset=4)

    assert chunk is not None
    assert (chunk.data, chunk.start, chunk.end) == (b"two\n", 4, 8)


def test_a_line_longer_than_the_limit_is_read_whole(tmp_path: Path) -> None:
    Journal(tmp_path).append([b"x" * 1000])
    (journal,) = list_journals(tmp_path)

    chunk = read_from(tmp_path, journal.name, offset=0, limit=10)

    assert chunk is not None
    assert chunk.end == 1001


def test_a_torn_last_line_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "host-1-1.jsonl").write_bytes(b"whole\ntor")

    assert content(tmp_path) == [b"whole"]


def test_a_large_journal_is_sealed_and_the_next_begins(tmp_path: Path) -> None:
    journal = Journal(tmp_path, clock=Clock(), seal_bytes=8)

    for line in (b"one", b"two", b"three"):
        journal.append([line])

    assert [one.sealed for one in list_journals(tmp_path)] == [True, False]
    assert content(tmp_path) == [b"one", b"two", b"three"]


def test_an_old_journal_is_sealed_though_nothing_comes(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path, clock=clock, seal_ns=10)
    journal.append([b"one"])
    clock.now += 10

    journal.seal_if_due()

    assert [one.sealed for one in list_journals(tmp_path)] == [True]


def test_a_closed_journal_is_sealed_and_its_offsets_stay(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([b"one", b"two"])
    (before,) = list_journals(tmp_path)

    journal.close()

    (after,) = list_journals(tmp_path)
    assert (after.name, after.sealed) == (before.name, True)
    assert read_from(tmp_path, before.name, offset=4) is not None


def test_a_journal_whose_process_lives_is_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([b"one"])

    assert seal_abandoned(tmp_path) == []
    assert [one.sealed for one in list_journals(tmp_path)] == [False]
    journal.close()


WRITER = """
import os, signal, sys
from pathlib import Path
from trimtab.events.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.append([b"one", b"two"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_journal_whose_process_was_killed_is_sealed_with_all_it_acknowledged(
    tmp_path: Path,
) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=False)

    sealed = seal_abandoned(tmp_path)

    assert sealed == [one.name for one in list_journals(tmp_path) if one.sealed]
    assert content(tmp_path) == [b"one", b"two"]


def test_journals_are_listed_by_their_start(tmp_path: Path) -> None:
    for name in ("b-1-9.jsonl", "a-1-10.sealed", "c-1-2.sealed", ".hidden", "notes.txt"):
        (tmp_path / name).touch()

    assert [one.name for one in list_journals(tmp_path)] == ["c-1-2", "b-1-9", "a-1-10"]


def test_a_journal_that_is_gone_reads_as_none(tmp_path: Path) -> None:
    assert read_from(tmp_path, "host-1-1", offset=0) is None


@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_threads_append_whole_batches(tmp_path: Path, durability: str) -> None:
    journal = Journal(
        tmp_path, durability="fsync" if durability == "fsync" else "write", seal_bytes=2_000
    )

    def work(thread: int) -> None:
        for i in range(40):
            journal.append([b"%d-%d-a" % (thread, i), b"%d-%d-b" % (thread, i)])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = content(tmp_path)
    assert len(set(lines)) == 4 * 40 * 2
    assert all(b == a[:-1] + b"b" for a, b in zip(lines[::2], lines[1::2], strict=True))


FULL_DISK = """
import sys
from pathlib import Path
from trimtab.events.journal import Journal, JournalError
journal = Journal(Path(sys.argv[1]))
journal.append([b"a" * 99])
try:
    journal.append([b"b" * 99, b"c" * 99, b"d" * 99])
except JournalError:
    print("refused")
journal.append([b"e" * 9])
"""


def test_a_batch_that_fits_only_in_part_is_refused_and_the_journal_sealed(tmp_path: Path) -> None:
    limit = (250, 250)

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        check=True,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )

    assert done.stdout == b"refused\n"
    assert content(tmp_path) == [b"a" * 99, b"b" * 99, b"e" * 9]
    assert list_journals(tmp_path)[0].sealed


def test_a_folder_that_vanished_refuses_the_batch(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journals")
    (tmp_path / "journals").rmdir()

    with pytest.raises(JournalError, match="journals"):
        journal.append([b"one"])

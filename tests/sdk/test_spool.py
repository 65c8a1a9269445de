import stat
from pathlib import Path

from trimtab.sdk.spool import Spool


def test_batches_wait_in_the_order_they_came(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=32)  # an eighth is joined: these are too large

    spool.put(b"first\n")
    spool.put(b"second\n")

    assert [path.read_bytes() for path in spool.waiting()] == [b"first\n", b"second\n"]


def test_a_long_outage_leaves_few_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path)

    for number in range(500):
        spool.put(b'{"event": %d}\n' % number)

    (path,) = spool.waiting()
    assert path.read_bytes().split() == [
        word for n in range(500) for word in (b'{"event":', b"%d}" % n)
    ]


def test_a_batch_delivered_by_another_process_is_not_written_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(b"first\n")
    spool.waiting()[0].unlink()

    spool.put(b"second\n")

    assert [path.read_bytes() for path in spool.waiting()] == [b"second\n"]


def test_a_later_process_goes_on_where_the_earlier_one_stopped(tmp_path: Path) -> None:
    Spool(tmp_path).put(b"first\n")

    Spool(tmp_path).put(b"second\n")

    assert [path.read_bytes() for path in Spool(tmp_path).waiting()] == [b"first\n", b"second\n"]


def test_only_the_owner_may_read_what_is_spooled(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")

    spool.put(b"secret\n")

    assert stat.S_IMODE(spool.waiting()[0].stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


def test_the_oldest_give_way_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=20)
    spool.put(b"1\n2\n3\n")
    spool.put(b"4\n5\n")

    dropped = spool.put(b"6" * 12 + b"\n")

    assert dropped == 3
    assert spool.waiting()[0].read_bytes() == b"4\n5\n"

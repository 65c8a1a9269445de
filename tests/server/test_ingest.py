import gzip
import zlib

import pytest

from trimtab.errors import BodyTooLarge, MalformedBody
from trimtab.server.ingest import MAX_INFLATED, inflate

LINES = b'{"kind": "outcome"}\n' * 100


def test_gzip_is_read_with_all_its_members() -> None:
    assert inflate(gzip.compress(LINES), "gzip") == LINES
    assert inflate(gzip.compress(LINES) + gzip.compress(b"more\n"), "GZIP") == LINES + b"more\n"
    assert inflate(LINES, "identity") == inflate(LINES, "") == LINES


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_body_that_breaks_off_is_not_taken_in_part(cut: int) -> None:
    with pytest.raises(MalformedBody, match="breaks off"):
        inflate(gzip.compress(LINES)[:-cut], "gzip")


def test_a_bomb_is_refused_before_it_bursts() -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = packer.compress(bytes(MAX_INFLATED + 1)) + packer.flush()
    assert len(bomb) < 64 * 1024

    with pytest.raises(BodyTooLarge, match=str(MAX_INFLATED)):
        inflate(bomb, "gzip")


def test_a_bomb_in_members_is_refused_too() -> None:
    member = gzip.compress(bytes(MAX_INFLATED // 4))

    assert len(inflate(member * 4, "gzip")) == MAX_INFLATED
    with pytest.raises(BodyTooLarge):
        inflate(member * 5, "gzip")


@pytest.mark.parametrize(("body", "coding"), [(b"x", "gzip"), (LINES, "gzip"), (LINES, "br")])
def test_another_coding_is_named(body: bytes, coding: str) -> None:
    with pytest.raises(MalformedBody, match="gzip"):
        inflate(body, coding)


def test_a_body_of_very_many_gzip_members_is_refused_at_once() -> None:
    body = gzip.compress(b"") * 50_000

    with pytest.raises(MalformedBody, match="more than 16 members"):
        inflate(body, "gzip")

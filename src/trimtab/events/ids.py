"""UUIDv7 ids: their making, and the instant inside them."""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
# Version 8 too: doors without ids make UUIDv8 from a digest and date them the same way.
_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def uuid7(now_ns: int, random: bytes) -> str:
    """A UUIDv7 of an instant; ids of one process sort by it down to a quarter of a microsecond.

    Args:
        now_ns: Nanoseconds since 1970.
        random: At least 8 random bytes; 62 bits of them are used.

    Source:
        RFC 9562, 5.7 and 6.2 method 3: the 12 bits after the version hold the fraction of the ms.
    """
    milliseconds, rest = divmod(now_ns, 1_000_000)
    head = (milliseconds << 16) | 0x7000 | (rest * 4096 // 1_000_000)
    tail = int.from_bytes(random[:8], "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    text = f"{head:016x}{tail:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid7_ms(text: str) -> int | None:
    """Milliseconds since 1970 inside a UUIDv7 or v8 in lower-case canonical form, else None.

    Ids that name an instant after the year 9999 give None too.
    """
    if _FORM.fullmatch(text) is None:
        return None
    milliseconds = int(text[:8] + text[9:13], 16)
    return milliseconds if milliseconds <= _LAST_MS else None


def uuid7_time(text: str) -> datetime | None:
    """The instant inside a UUIDv7 or v8, UTC, to the millisecond; None for any other text."""
    milliseconds = uuid7_ms(text)
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)

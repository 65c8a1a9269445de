"""The door: what a sender posts becomes journal lines, checked, dated and without raw ids."""

import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from trimtab.errors import BodyTooLarge, EventRejected, MalformedBody
from trimtab.events.ids import uuid7_ms
from trimtab.events.schema import (
    Attempt,
    Evaluation,
    Event,
    EventBase,
    Exposure,
    Feedback,
    Generation,
    Outcome,
)
from trimtab.routing.payload import HASH_ATTRIBUTES

UnitKey = Callable[[str, str], str]

MAX_EVENTS = 10_000
MAX_LINE_BYTES = 65_536
MAX_UNIT_ID_BYTES = 256
MAX_ATTRIBUTES = 32
MAX_ATTRIBUTE_CHARS = 256

# The window in which an event counts live; `seen` keeps ids a day longer than LATE_AFTER.
LATE_AFTER = timedelta(days=8)
CLOCK_AHEAD = timedelta(minutes=10)

_RECORDS = (Exposure, Generation, Attempt, Outcome, Feedback, Evaluation)
_COLUMNS: dict[str, frozenset[str]] = {
    str(record.__struct_config__.tag): frozenset(record.__struct_fields__) | {"kind"}
    for record in _RECORDS
}
_RAW_IDS = frozenset(HASH_ATTRIBUTES.values()) | {"unit_id", "user_id"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """One event that was not taken: its place in the batch, from 0, and why."""

    index: int
    error: str


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a posted body; `lines` go to a journal as they are, without line ends."""

    lines: list[bytes]
    accepted: int
    rejected: list[Rejected]


class _Posted(msgspec.Struct):
    """A body that is an object: a batch, or one event by itself."""

    events: list[msgspec.Raw] | None = None
    kind: str | None = None


_decode_object = msgspec.json.Decoder(_Posted).decode


def make_unit_key(secret: bytes) -> UnitKey:
    """A function of unit kind and raw id that gives the `unit_key` of an installation.

    Source:
        First 32 hex digits of HMAC-SHA-256(secret, kind + ":" + id).
    """

    def unit_key(kind: str, unit_id: str) -> str:
        return hmac.digest(secret, f"{kind}:{unit_id}".encode(), "sha256").hex()[:32]

    return unit_key


def admit(
    raw: bytes | Sequence[Mapping[str, Any] | EventBase],
    *,
    environment: str,
    received_at: datetime,
    unit_key: UnitKey,
    attributes: Collection[str] | None = None,
) -> Batch:
    """Check events one by one and write those that pass as journal lines.

    Args:
        raw: A JSON array of events, `{"events": [...]}`, one event a line (NDJSON), or events
            already decoded.
        environment: The environment of the sender's key; an event that names another is rejected.
        received_at: Timezone-aware; decides with the id's date whether an event is late.
        unit_key: Turns a unit's raw id into its key; raw ids are never in a line.
        attributes: Names of attributes to keep; None keeps all but the ids units are hashed by.

    Raises:
        MalformedBody: The body is neither JSON nor NDJSON.
        BodyTooLarge: More than 10,000 events.
    """
    sent = _raw_events(raw) if isinstance(raw, bytes) else [_encode(one) for one in raw]
    if len(sent) > MAX_EVENTS:
        raise BodyTooLarge(f"{len(sent)} events in one body, at most {MAX_EVENTS}; send several")
    door = _Door(environment, received_at.astimezone(UTC), unit_key, attributes)
    lines: list[bytes] = []
    rejected: list[Rejected] = []
    for index, one in enumerate(sent):
        try:
            lines.append(door.line(one))
        except (EventRejected, *_UNREADABLE) as error:
            rejected.append(Rejected(index=index, error=str(error)))
    return Batch(lines=lines, accepted=len(lines), rejected=rejected)


def _raw_events(raw: bytes) -> list[bytes]:
    """The JSON of each event of a body, not looked into yet."""
    if not raw.strip():
        raise MalformedBody("the body is empty; send a JSON array of events or one event a line")
    try:
        body = _posted(raw)
    except _UNREADABLE as error:
        return _lines(raw, error)
    if body.events is not None:
        return list(map(bytes, body.events))
    if body.kind is not None:
        return [raw]
    raise MalformedBody('the body holds no events; send an array, {"events": [...]} or NDJSON')


def _posted(raw: bytes) -> _Posted:
    """What a JSON body holds; an array is the same as `{"events": [...]}`."""
    try:
        return _Posted(events=_decode_array(raw))
    except msgspec.ValidationError:
        pass  # JSON so far, but no array
    try:
        return _decode_object(raw)
    except msgspec.ValidationError:
        return _Posted()


def _lines(raw: bytes, error: Exception) -> list[bytes]:
    """NDJSON: at least one of the lines must be an object."""
    lines = [line for line in raw.split(b"\n") if line.strip()]
    if not any(map(_is_object, lines)):
        raise MalformedBody(f"the body is neither JSON nor NDJSON: {error}") from error
    return lines


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_decode(line), dict)
    except _UNREADABLE:
        return False


class _Door:
    """What is the same for all events of a batch."""

    def __init__(
        self,
        environment: str,
        received_at: datetime,
        unit_key: UnitKey,
        attributes: Collection[str] | None,
    ) -> None:
        self._environment = environment
        self._received_at = utc_text(received_at)
        received_ms = (received_at - _EPOCH) // timedelta(milliseconds=1)
        self._late_before_ms = received_ms - LATE_AFTER // timedelta(milliseconds=1)
        self._clock_after_ms = received_ms + CLOCK_AHEAD // timedelta(milliseconds=1)
        self._unit_key = unit_key
        self._attributes = None if attributes is None else frozenset(attributes)

    def line(self, raw: bytes) -> bytes:
        event: EventBase = _decode_event(raw)
        row = _row(event, _decode(raw))
        row["event_id"], mark = self._dated(event.event_id)
        row["occurred_at"] = _utc(event.occurred_at)
        row["environment"] = self._checked_environment(event)
        row["received_at"] = self._received_at
        if mark is not None:
            row["mark"] = mark
        self._hide_ids(event, row)
        if event.attributes is not None:
            self._cap_attributes(event.attributes, row)
        encoded = _encode(row)
        if len(encoded) > MAX_LINE_BYTES:
            raise EventRejected(f"{len(encoded)} bytes, at most {MAX_LINE_BYTES}; send less text")
        return encoded

    def _dated(self, event_id: str) -> tuple[str, str | None]:
        lowered = event_id.lower()
        made_ms = uuid7_ms(lowered)
        if made_ms is None:
            raise EventRejected(f"event_id {event_id[:64]!r} is no UUIDv7; make one for each event")
        if made_ms < self._late_before_ms:
            return lowered, "late"
        return lowered, "clock" if made_ms > self._clock_after_ms else None

    def _checked_environment(self, event: EventBase) -> str:
        if event.environment is not None and event.environment != self._environment:
            raise EventRejected(
                f"environment {event.environment!r}, but the key belongs to"
                f" {self._environment!r}; leave the field out or use that environment's key"
            )
        return self._environment

    def _hide_ids(self, event: EventBase, row: dict[str, Any]) -> None:
        if event.thread_id is not None:
            row["thread_id"] = self._unit_key("thread", event.thread_id)
        unit_id = row.pop("unit_id", None)
        if unit_id is not None:
            if not 0 < len(unit_id.encode()) <= MAX_UNIT_ID_BYTES:
                raise EventRejected("unit_id must have 1 to 256 bytes; leave it out if unknown")
            kind = row["unit_kind"] = event.unit_kind or "user"
            row["unit_key"] = self._unit_key(kind, unit_id)
        elif event.unit_key is not None and event.unit_kind is None:
            row["unit_kind"] = "user"
        if isinstance(event, Outcome | Feedback) and not ("unit_key" in row or event.request_id):
            raise EventRejected(
                f"{row['kind']} {event.name!r} names neither request_id nor unit_id; give one"
            )

    def _cap_attributes(self, attributes: dict[str, Any], row: dict[str, Any]) -> None:
        """Facts are cut rather than the event refused: a missing exposure would bias a test."""
        allowed = self._attributes
        kept: dict[str, Any] = {}
        for name, value in attributes.items():
            if name in _RAW_IDS or not (allowed is None or name in allowed):
                continue
            if len(kept) == MAX_ATTRIBUTES or len(name) > MAX_ATTRIBUTE_CHARS:
                break
            if isinstance(value, str):
                kept[name] = value[:MAX_ATTRIBUTE_CHARS]
            elif value is None or isinstance(value, bool | int | float):
                kept[name] = value
        row["attributes"] = kept


def _row(event: EventBase, sent: dict[str, Any]) -> dict[str, Any]:
    """The sender's columns; what we do not know moves under `extra`."""
    kind = str(event.__struct_config__.tag)
    columns = _COLUMNS[kind]
    if sent.keys() <= columns:
        row = sent
    else:
        row = {name: value for name, value in sent.items() if name in columns}
        unknown = {name: value for name, value in sent.items() if name not in columns}
        row["extra"] = {**(event.extra or {}), **unknown}
    row["kind"] = kind
    return row


def utc_text(instant: datetime) -> str:
    """The one form of times in a journal, `2026-01-02T03:04:05.000006Z`: sorts as it reads."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _utc(text: str) -> str:
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None:
            return utc_text(instant)
    except (ValueError, OverflowError):
        pass
    raise EventRejected(
        f"occurred_at {text[:64]!r} is no time with a zone; write it as 2026-01-02T03:04:05.678901Z"
    )

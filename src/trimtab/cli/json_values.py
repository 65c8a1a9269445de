"""JSON given on the command line: as text, `@file`, or `@-` for standard input."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from trimtab.errors import BadInput

MOST_BYTES = 16 * 1024 * 1024


def json_object(given: str, *, option: str) -> dict[str, Any]:
    """The JSON object of an option.

    Raises:
        BadInput: It cannot be read, is no JSON, or is no object.
    """
    value = _json(given, option=option)
    if not isinstance(value, dict):
        raise BadInput(
            f'{option} is {_kind(value)}, want an object such as \'{{"question": "…"}}\''
        )
    return value


def json_messages(given: str, *, option: str) -> list[dict[str, Any]]:
    """The list of messages of an option.

    Raises:
        BadInput: It cannot be read, is no JSON, or is no list of objects.
    """
    value = _json(given, option=option)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise BadInput(
            f'{option} is not a list of messages, such as \'[{{"role": "user", "content": "…"}}]\''
        )
    return value


def _json(given: str, *, option: str) -> object:
    text = _text(given, option=option)
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        shown = given if len(given) <= 60 else f"{given[:60]}…"
        raise BadInput(
            f"{option} {shown!r} is not JSON: {error}; quote names and texts with double quotes, "
            "or give @file"
        ) from error


def _text(given: str, *, option: str) -> bytes:
    if not given.startswith("@"):
        return given.encode("utf-8", "surrogateescape")
    try:
        if given == "@-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(given[1:]).open("rb") as stream:
                content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{option}: {given[1:]} cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise BadInput(f"{option}: {given[1:]} has more than {MOST_BYTES} bytes")
    return content


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case list():
            return "a list"
        case str():
            return "a text"
        case _:
            return "a number"

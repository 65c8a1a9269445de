"""The difference of two versions: changed parts, texts side by side, and the bump it asks for."""

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec

from trimtab.prompts.change import Bump, Change, changes, largest_bump
from trimtab.prompts.version import Version

_SHORT = 12


class VersionDiff(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions compared; `text` is a unified diff of each message that differs, or empty."""

    old: str
    new: str
    parts: list[Change]
    text: str
    bump: Bump


def diff(old: Version, new: Version) -> VersionDiff:
    """What changes from one version to the other."""
    parts = changes(old.identity, new.identity)
    return VersionDiff(
        old=old.sha,
        new=new.sha,
        parts=parts,
        text="".join(f"{line}\n" for line in _text(old, new)),
        bump=largest_bump(parts),
    )


def _text(old: Version, new: Version) -> Iterator[str]:
    """Unified diff lines; messages are matched by the order of their roles."""
    before, after = old.messages, new.messages
    matcher = difflib.SequenceMatcher(
        None, [_label(m) for m in before], [_label(m) for m in after], autojunk=False
    )
    for operation, start, end, new_start, new_end in matcher.get_opcodes():
        if operation == "equal":
            for i, j in zip(range(start, end), range(new_start, new_end), strict=True):
                yield from _message(old, i, new, j)
            continue
        for i in range(start, end):
            yield from _message(old, i, new, None)
        for j in range(new_start, new_end):
            yield from _message(old, None, new, j)


def _message(old: Version, i: int | None, new: Version, j: int | None) -> Iterator[str]:
    before = _lines(old.messages[i]) if i is not None else []
    after = _lines(new.messages[j]) if j is not None else []
    yield from difflib.unified_diff(
        before, after, fromfile=_title(old, i), tofile=_title(new, j), lineterm=""
    )


def _title(version: Version, index: int | None) -> str:
    if index is None:
        return "/dev/null"
    return f"{version.sha[:_SHORT]} messages[{index}] {_label(version.messages[index])}"


# Any: an entry of an identity's messages.
def _label(message: dict[str, Any]) -> str:
    return "history" if "history" in message else str(message.get("role", "fragment"))


def _lines(message: dict[str, Any]) -> list[str]:
    """Lines as the template language counts them; history is one line."""
    if "history" in message:
        return ["{% history %}"]
    template: str = message["template"]
    return template.split("\n")

"""References: `NAME`, and `NAME@…` with a sha, a semver, an environment or a tag."""

import re
from collections.abc import Collection
from typing import Literal

import msgspec

from trimtab.errors import BadReference
from trimtab.prompts.semver import is_semver

LONGEST_NAME = 128
LONGEST_TAG = 64
SHORTEST_SHA = 8

ReferenceKind = Literal["live", "sha", "semver", "environment", "tag"]

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA = re.compile(rf"[0-9a-fA-F]{{{SHORTEST_SHA},64}}")
_NUMBERS = re.compile(r"[vV]?[0-9]+(\.[0-9]+)*([-+].*)?")


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Which version of which prompt is meant.

    `value` is empty for `live` (no `@`), otherwise: lower-case hex of a sha or its prefix, a
    semver, an environment's name, or a tag.
    """

    prompt: str
    kind: ReferenceKind = "live"
    value: str = ""

    def __str__(self) -> str:
        if self.kind == "live":
            return self.prompt
        return f"{self.prompt}@{'sha:' if self.kind == 'sha' else ''}{self.value}"


def check_name(name: str) -> str:
    """The name, if it is a prompt's: `[a-z0-9_-]+` joined by dots, at most 128 characters.

    Raises:
        BadReference: It is not.
    """
    if len(name) > LONGEST_NAME:
        raise BadReference(
            f'prompt name "{name[:40]}…" has {len(name)} characters; at most {LONGEST_NAME}'
        )
    if _NAME.fullmatch(name) is None:
        raise BadReference(
            f'"{name}" is not a prompt name; use lower-case letters, digits, "_" and "-", '
            'parts joined by single dots, such as "support.reply"'
        )
    return name


def check_tag(tag: str, *, environments: Collection[str]) -> str:
    """The tag, if nothing else could be meant by it.

    A tag has letters, digits, `.`, `_`, `-`, begins with a letter or digit, and is at most 64
    long. It may not read as a sha (eight or more hex digits), as a version number (also `v2` or
    `1.4`), as one of the environments, or as `live`; letter case makes no difference in that.

    Raises:
        BadReference: It does not fit, or could be read as something else.
    """
    if len(tag) > LONGEST_TAG or _TAG.fullmatch(tag) is None:
        raise BadReference(
            f'"{tag[:LONGEST_TAG]}" is not a tag; use at most {LONGEST_TAG} letters, digits, ".", '
            '"_" and "-", beginning with a letter or digit'
        )
    if (other := _reads_as(tag, environments)) is not None:
        raise BadReference(f'tag "{tag}" could be read as {other}; choose a word such as "summer"')
    return tag


def parse_reference(text: str, *, environments: Collection[str]) -> Reference:
    """Read `NAME` or `NAME@…`: `sha:` and at least 8 hex digits, a semver, an environment, a tag.

    Args:
        text: What the caller wrote.
        environments: Names of the environments there are; anything else is taken for a tag.

    Raises:
        BadReference: The name or what follows `@` cannot be read.
    """
    name, at, wanted = text.partition("@")
    prompt = check_name(name)
    if not at:
        return Reference(prompt=prompt)
    if wanted.startswith("sha:"):
        return Reference(prompt=prompt, kind="sha", value=_check_sha(text, wanted[4:]))
    if is_semver(wanted):
        return Reference(prompt=prompt, kind="semver", value=wanted)
    if wanted in environments:
        return Reference(prompt=prompt, kind="environment", value=wanted)
    return Reference(prompt=prompt, kind="tag", value=_check_wanted_tag(text, wanted, environments))


def _check_sha(text: str, digits: str) -> str:
    if _SHA.fullmatch(digits) is None:
        raise BadReference(
            f'"{text[:200]}": a sha is "sha:" and {SHORTEST_SHA} to 64 hex digits, '
            f'such as "sha:1f0c9a3b"'
        )
    return digits.lower()


def _check_wanted_tag(text: str, wanted: str, environments: Collection[str]) -> str:
    try:
        return check_tag(wanted, environments=environments)
    except BadReference:
        ways = ", ".join(sorted(environments)) or "none here"
        raise BadReference(
            f'"{text[:200]}": "{wanted[:LONGEST_TAG]}" is neither "sha:" with at least '
            f'{SHORTEST_SHA} hex digits, nor a semver such as "1.4.0", an environment ({ways}) '
            "or a tag"
        ) from None


def _reads_as(tag: str, environments: Collection[str]) -> str | None:
    if _SHA.fullmatch(tag):
        return "a sha"
    if _NUMBERS.fullmatch(tag):
        return "a version number"
    if tag.casefold() in {name.casefold() for name in environments}:
        return "an environment"
    if tag.casefold() == "live":
        return "the live version"
    return None

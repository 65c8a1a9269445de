"""Semantic version numbers of prompts: reading, ordering, bumping."""

import re
from typing import Literal

import msgspec

from trimtab.errors import BadReference

Part = Literal["major", "minor", "patch"]

_SEMVER = re.compile(
    r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_LONGEST = 64


class Semver(msgspec.Struct, frozen=True, kw_only=True):
    """A semantic version, https://semver.org 2.0.0; `pre` and `build` are empty when absent."""

    major: int
    minor: int
    patch: int
    pre: str = ""
    build: str = ""

    def __str__(self) -> str:
        pre = f"-{self.pre}" if self.pre else ""
        build = f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}{build}"

    @property
    def precedence(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        """Sort key by semver's section 11: a release after its pre-releases; build is ignored."""
        steps = tuple(
            (False, int(step), "") if step.isdigit() else (True, 0, step)
            for step in self.pre.split(".")
            if step
        )
        return (self.major, self.minor, self.patch, not self.pre, steps)


def is_semver(text: str) -> bool:
    """Whether the text is a semantic version such as `1.4.0` or `2.0.0-rc.1`."""
    return len(text) <= _LONGEST and _SEMVER.fullmatch(text) is not None


def parse_semver(text: str) -> Semver:
    """Read a semantic version.

    Raises:
        BadReference: It is not one, or longer than 64 characters.
    """
    found = _SEMVER.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise BadReference(
            f'"{text[:_LONGEST]}" is not a semantic version; write three numbers such as "1.4.0"'
        )
    major, minor, patch, pre, build = found.groups()
    return Semver(
        major=int(major), minor=int(minor), patch=int(patch), pre=pre or "", build=build or ""
    )


def bump(text: str, part: Part) -> str:
    """The next version number; a pre-release or build suffix is dropped.

    Raises:
        BadReference: `text` is not a semantic version.
    """
    old = parse_semver(text)
    match part:
        case "major":
            return f"{old.major + 1}.0.0"
        case "minor":
            return f"{old.major}.{old.minor + 1}.0"
        case "patch":
            return f"{old.major}.{old.minor}.{old.patch + 1}"

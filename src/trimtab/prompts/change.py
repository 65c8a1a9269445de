"""What a new version changes, and how large a step of its version number that is."""

import itertools
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trimtab.prompts.model_pin import model_family
from trimtab.prompts.semver import bump
from trimtab.prompts.variables import same

Bump = Literal["major", "minor", "patch", "none"]
"""`none` is for two equal identities."""

_ORDER: tuple[Bump, ...] = ("none", "patch", "minor", "major")
_LOWER_BOUNDS = ("minimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "maxLength", "maxItems")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One part that differs; `old` or `new` is None where the part is not there.

    `part` is such as `model`, `sampling.temperature`, `variables.question`, `messages[0]`,
    `includes.shared.tone`, `tools`, `response_format`, `steps`, `kind`.
    """

    part: str
    old: Any  # JSON, as in the identity
    new: Any  # JSON, as in the identity
    bump: Bump


# Any: identities hold JSON of many shapes.
def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every part in which two identities differ, in the order of the identity's keys."""
    found: list[Change] = []
    for key in ("kind", "engine"):
        found += _whole(key, old, new, "major")
    found += _messages(old, new)
    found += _variables(old, new)
    found += _whole("model", old, new, _model_bump(old.get("model"), new.get("model")))
    found += _by_key("sampling", old, new)
    found += _whole("tools", old, new, "major")
    found += _whole("response_format", old, new, "major")
    found += _by_key("includes", old, new)
    found += _whole("steps", old, new, "minor")
    return found


def largest_bump(found: list[Change]) -> Bump:
    """The step that all the changes together ask for."""
    return max((change.bump for change in found), key=_ORDER.index, default="none")


def next_semver(previous: str, found: list[Change]) -> str:
    """The version number after these changes; the same where there are none.

    Raises:
        BadReference: `previous` is not a semver.
    """
    step = largest_bump(found)
    return previous if step == "none" else bump(previous, step)


def _model_bump(old: str | None, new: str | None) -> Bump:
    return "minor" if old and new and model_family(old) == model_family(new) else "major"


def _whole(key: str, old: Mapping[str, Any], new: Mapping[str, Any], step: Bump) -> list[Change]:
    before, after = old.get(key), new.get(key)
    return [] if same(before, after) else [Change(part=key, old=before, new=after, bump=step)]


def _by_key(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    before, after = old.get(part, {}), new.get(part, {})
    return [
        Change(part=f"{part}.{key}", old=before.get(key), new=after.get(key), bump="minor")
        for key in _differing(before, after)
    ]


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Keys that only one side has, or whose values differ; sorted."""
    keys = sorted(old.keys() | new.keys())
    return [k for k in keys if (k in old) != (k in new) or not same(old[k], new[k])]


def _messages(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    pairs = itertools.zip_longest(old.get("messages", []), new.get("messages", []))
    return [
        Change(part=f"messages[{index}]", old=one, new=other, bump="minor")
        for index, (one, other) in enumerate(pairs)
        if one != other
    ]


def _variables(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    before: dict[str, Any] = old.get("variables", {}).get("properties", {})
    after: dict[str, Any] = new.get("variables", {}).get("properties", {})
    return [
        Change(
            part=f"variables.{name}",
            old=before.get(name),
            new=after.get(name),
            bump=_variable_bump(before.get(name), after.get(name)),
        )
        for name in _differing(before, after)
    ]


def _variable_bump(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Bump:
    if new is None:
        return "major"
    if old is None:
        return "patch" if "default" in new else "major"
    if "default" in old and "default" not in new:
        return "major"
    if narrows(old, new):
        return "major"
    if "default" in old and not same(old["default"], new["default"]):
        return "minor"
    return "patch"


def narrows(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a value that fitted the old schema may not fit the new one, or its type changed."""
    if _types(old) != _types(new):
        return True
    if _allowed_less(old, new) or _bounds_tighter(old, new):
        return True
    if "items" in new and narrows(old.get("items", {}), new["items"]):
        return True
    if set(new.get("required", [])) - set(old.get("required", [])):
        return True
    return _properties_narrow(old, new)


def _types(schema: Mapping[str, Any]) -> set[str] | None:
    wanted = schema.get("type")
    if wanted is None:
        return None
    return {wanted} if isinstance(wanted, str) else set(wanted)


def _allowed_less(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `enum` or `const` leave out a value that was allowed."""
    if "const" in new and not ("const" in old and same(old["const"], new["const"])):
        return True
    if "enum" not in new:
        return False
    before = old.get("enum", [old["const"]] if "const" in old else None)
    if before is None:
        return True
    return any(not any(same(value, kept) for kept in new["enum"]) for value in before)


def _bounds_tighter(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    higher = any(key in new and (key not in old or new[key] > old[key]) for key in _LOWER_BOUNDS)
    lower = any(key in new and (key not in old or new[key] < old[key]) for key in _UPPER_BOUNDS)
    return higher or lower


def _properties_narrow(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    before, after = old.get("properties", {}), new.get("properties", {})
    extra_before = old.get("additionalProperties", True)
    extra_after = new.get("additionalProperties", True)
    if extra_after is not True and not same(extra_before, extra_after):
        return True
    if extra_after is False and before.keys() - after.keys():
        return True
    anything: dict[str, Any] = {}
    return any(narrows(before.get(name, anything), after[name]) for name in after)

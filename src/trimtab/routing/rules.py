"""The rules of a feature in GrowthBook's format, read into records.

Fields we do not know are ignored. What cannot be read raises: half a rule decides for nobody.
"""

from typing import Any

import msgspec

from trimtab.errors import PayloadError
from trimtab.routing.payload import Reason

Range = tuple[float, float]

# A rule with one of these fields asks for what we do not do: it is skipped, as SDKs skip it that
# do not know the field either.
NOT_OURS = frozenset(
    {"contextualBanditRef", "contextualVariations", "url", "urlPatterns", "urlRedirect"}
)


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How all of these records are read."""


class Filter(_Record, frozen=True, kw_only=True):
    """A part of a hash line that lets through (namespaces, holdouts)."""

    ranges: list[Range]
    seed: str = ""
    hash_version: int = 2
    attribute: str = "id"


class ParentCondition(_Record, frozen=True, kw_only=True):
    """What another feature's value must be; with a gate, else this feature has no value."""

    id: str
    condition: dict[str, Any] | None = None
    gate: bool = False


class VariationMeta(_Record, frozen=True, kw_only=True):
    """A variation's name; `passthrough` = counted, but the next rule decides."""

    key: str | None = None
    name: str | None = None
    passthrough: bool = False


class RuleNote(_Record, frozen=True, kw_only=True):
    """What is ours in a rule: the reason its decisions give; one not known here reads as force."""

    reason: str = "force"

    @property
    def given(self) -> Reason:
        """The reason of the rule's decisions; never one that claims a plan or a kill switch."""
        match self.reason:
            case "override" | "opt_in" | "holdout":
                return self.reason
        return "force"


class Rule(_Record, frozen=True, kw_only=True):
    """One rule of a feature, or one experiment; see GrowthBook's SDK documentation."""

    id: str | None = None
    parent_conditions: list[ParentCondition] = []
    condition: dict[str, Any] | None = None
    filters: list[Filter] = []
    force: Any = msgspec.UNSET
    range: Range | None = None
    coverage: float | None = None
    hash_attribute: str = "id"
    hash_version: int = 1
    seed: str | None = None
    key: str | None = None
    name: str | None = None
    phase: Any = None
    variations: list[Any] | None = None
    weights: list[float] | None = None
    ranges: list[Range] | None = None
    meta: list[VariationMeta] = []
    namespace: tuple[str, float, float] | None = None
    active: bool = True
    fallback_attribute: str | None = None
    disable_sticky_bucketing: bool = False
    bucket_version: int = 0
    min_bucket_version: int = 0
    trimtab: RuleNote = RuleNote()

    @property
    def attribute(self) -> str:
        """Name of the attribute that is hashed."""
        return self.hash_attribute or "id"

    @property
    def version(self) -> int:
        """Hash version; 0 counts as not given."""
        return self.hash_version or 1

    def meta_of(self, variation: int) -> VariationMeta:
        """The variation's meta; a short list leaves the rest without names."""
        return self.meta[variation] if variation < len(self.meta) else VariationMeta()


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """A feature: its default value and its rules, top-down, without those that are not ours."""

    default_value: Any
    rules: list[Rule]


def read_rule(document: Any, *, where: str) -> Rule:  # noqa: ANN401  # JSON of a foreign format
    """The rule in a document; fields that are null count as absent, but for `force`.

    Raises:
        PayloadError: A field we use has another type than it must have.
    """
    if not isinstance(document, dict):
        raise PayloadError(f"{where} is {type(document).__name__}, want an object")
    given = {key: value for key, value in document.items() if value is not None or key == "force"}
    try:
        return msgspec.convert(given, Rule)
    except msgspec.ValidationError as trouble:
        raise PayloadError(f"{where} cannot be read: {trouble}") from trouble


def read_feature(name: str, document: dict[str, Any]) -> Feature:
    """The feature of this name.

    Raises:
        PayloadError: Its rules are no list, or one of them cannot be read.
    """
    rules = document.get("rules") or []
    if not isinstance(rules, list):
        raise PayloadError(f"rules of feature {name!r} are {type(rules).__name__}, want a list")
    return Feature(
        default_value=document.get("defaultValue"),
        rules=[
            read_rule(rule, where=f"rule {number} of feature {name!r}")
            for number, rule in enumerate(rules, start=1)
            if not (isinstance(rule, dict) and NOT_OURS & rule.keys())
        ],
    )

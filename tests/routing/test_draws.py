from typing import Any

from trimtab.routing.draws import Document, Outside, Split
from trimtab.routing.hashing import HashLines
from trimtab.routing.rules import read_rule

UNIT = {"id": "user-1", "device": "d-1"}


def split(**fields: Any) -> Split:
    rule = {"variations": ["a", "b"], "meta": [{"key": "A"}, {"key": "B"}], "hashVersion": 2}
    return Split(read_rule(rule | fields, where="rule"), key="k", lines=HashLines())


def kept(name: str, *, version: int = 0, place: str = "id||user-1") -> dict[str, Document]:
    return {place: {"assignments": {f"k__{version}": name}}}


def test_a_kept_assignment_stands_over_the_hash() -> None:
    nobody_by_hash = split(coverage=0)

    draw = nobody_by_hash.draw(UNIT, Outside(sticky=kept("B")))

    assert (draw.variation, draw.is_in, draw.is_sticky, draw.by_hash) == (1, True, True, True)


def test_a_kept_assignment_passes_over_the_conditions() -> None:
    draws = [
        split().draw(UNIT, Outside(sticky=documents), admits=lambda: False)
        for documents in (kept("B"), {})
    ]

    assert [draw.is_in for draw in draws] == [True, False]


def test_a_rule_that_forbids_keeping_is_hashed() -> None:
    hashed = split().draw(UNIT, Outside()).variation
    other = "A" if hashed == 1 else "B"

    draw = split(disableStickyBucketing=True).draw(UNIT, Outside(sticky=kept(other)))

    assert (draw.variation, draw.is_sticky) == (hashed, False)


def test_a_kept_assignment_of_a_refused_version_keeps_the_unit_out() -> None:
    blocking = split(bucketVersion=2, minBucketVersion=2)

    draw = blocking.draw(UNIT, Outside(sticky=kept("B", version=1)))

    assert (draw.is_in, draw.is_sticky) == (False, True)


def test_the_fallback_attribute_counts_only_where_assignments_are_kept() -> None:
    falls_back = split(fallbackAttribute="device")

    keeping, not_keeping = Outside(sticky={}), Outside()

    draws = [falls_back.draw({"device": "d-1"}, outside) for outside in (keeping, not_keeping)]

    assert [(draw.is_in, draw.attribute) for draw in draws] == [(True, "device"), (False, "id")]


def test_the_own_attribute_is_believed_before_the_fallback() -> None:
    documents = kept("A") | kept("B", place="device||d-1")

    draw = split(fallbackAttribute="device").draw(UNIT, Outside(sticky=documents))

    assert draw.variation == 0


def test_what_the_hash_chose_is_kept_and_found_again() -> None:
    drawing = split()
    first = drawing.draw(UNIT, Outside(sticky={}))

    documents = drawing.keep(first, UNIT, {})

    name = "AB"[first.variation]
    assert documents == {
        "id||user-1": {
            "attributeName": "id",
            "attributeValue": "user-1",
            "assignments": {"k__0": name},
        }
    }
    assert drawing.draw(UNIT, Outside(sticky=documents)).is_sticky


def test_what_was_forced_is_not_kept() -> None:
    drawing = split()

    forced = drawing.draw(UNIT, Outside(forced={"k": 1}, sticky={}))

    assert (forced.variation, drawing.keep(forced, UNIT, {})) == (1, {})

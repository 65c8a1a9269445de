import pytest

from trimtab.prompts.schema import name_fault, schema_faults


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string", "trusted": False},
        {"type": ["string", "null"], "default": None},
        {"type": "array", "items": {"type": "string"}, "minItems": 0, "maxItems": 3},
        {"enum": ["free", None, 3]},
        {"const": {"a": 1}},
        {"type": "object", "properties": {"pattern": {}}, "required": ["pattern"]},
        {"additionalProperties": {"type": "integer"}},
        {"minimum": -1.5, "maximum": 2, "minLength": 2.0},
    ],
)
def test_a_schema_of_enforced_keywords_is_fine(schema: object) -> None:
    assert schema_faults(schema) == []


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("string", ()),
        ({"type": "text"}, ("type",)),
        ({"type": []}, ("type",)),
        ({"type": ["string", "string"]}, ("type",)),
        ({"type": 3}, ("type",)),
        ({"enum": []}, ("enum",)),
        ({"enum": "a"}, ("enum",)),
        ({"items": [{}]}, ("items",)),
        ({"items": {"type": "x"}}, ("items", "type")),
        ({"properties": ["a"]}, ("properties",)),
        ({"properties": {"a": {"type": "x"}}}, ("properties", "a", "type")),
        ({"required": "a"}, ("required",)),
        ({"required": [1]}, ("required",)),
        ({"additionalProperties": 1}, ("additionalProperties",)),
        ({"minimum": "1"}, ("minimum",)),
        ({"maximum": True}, ("maximum",)),
        ({"minLength": -1}, ("minLength",)),
        ({"maxItems": 1.5}, ("maxItems",)),
        ({"minimum": 2, "maximum": 1}, ("minimum",)),
        ({"minLength": 2, "maxLength": 1}, ("minLength",)),
        ({"trusted": "no"}, ("trusted",)),
    ],
)
def test_a_keyword_with_a_wrong_value_is_a_fault_at_its_path(
    schema: object, path: tuple[str, ...]
) -> None:
    (fault,) = schema_faults(schema)

    assert fault.path == path
    assert not fault.unknown_keyword


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"pattern": "^a"}, ("pattern",)),
        ({"description": "who asks"}, ("description",)),
        ({"items": {"format": "date"}}, ("items", "format")),
        ({"properties": {"a": {"trusted": False}}}, ("properties", "a", "trusted")),
    ],
)
def test_a_keyword_that_is_not_enforced_is_told_apart(
    schema: object, path: tuple[str, ...]
) -> None:
    (fault,) = schema_faults(schema)

    assert fault.path == path
    assert fault.unknown_keyword


def test_endless_nesting_is_a_fault_and_not_a_crash() -> None:
    schema: dict[str, object] = {}
    for _ in range(5000):
        schema = {"items": schema}

    assert "deeper" in schema_faults(schema)[-1].message


@pytest.mark.parametrize("name", ["question", "user_tier2", "A"])
def test_a_word_is_a_variable_name(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize(
    "name", ["", "2x", "user-tier", "a.b", "_x", "é", "loop", "none", "in", "range", "x\n"]
)
def test_what_a_template_could_not_use_is_no_variable_name(name: str) -> None:
    assert name_fault(name) is not None

"""Values that no sender of good will sends, for every parameter of every management route."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

JsonObject = dict[str, Any]

NAMES = (
    *(
        "",
        " ",
        ".",
        "..",
        "a" * 5000,
        "größe",
        "日本語",
        "\x00",
        "a\x00b",
        "\n",
        "'; drop table x;--",
    ),
    *(
        "%",
        "a/b",
        "{{ 1 }}",
        "<script>",
        "-1",
        str(10**30),
        "sha:",
        "sha:" + "f" * 64,
        "support.reply",
    ),
    *("\U0001f600" * 300, "null", "@", "prod", "NaN", "0001-01-01T00:00:00+14:00", "-0"),
    *(
        "9999-12-31T23:59:59-14:00",
        "2026-01-01",
        "1e400",
        "-9223372036854775809",
        "18446744073709551616",
    ),
)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 1e308, 2**31, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), "", " "),
    *(
        "x" * 10_000,
        "\x01",
        "größe",
        "\U0001f600",
        "'; drop table x;--",
        "../..",
        "sha:" + "0" * 64,
    ),
    *([], [[]], [None], [{}], ["x"] * 300, {}, {"a": None}, {"": ""}, {"x" * 300: {"y": [1]}}),
    {
        "prompt": "support.reply",
        "environment": "prod",
        "candidate": "1.0.0",
        "steps": [{"share": 1e9}],
    },
    {"messages": [{"role": "system", "template": "{{ " * 500}], "model": "x"},
    {"messages": "x", "model": 5, "kind": []},
)
BODIES = (
    *(
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"0",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe",
        b"\x00",
    ),
    *(b'{"why": "\\ud800"}', b'{"why": "a\\u0000b"}', b'{"why": ' + b"9" * 5000 + b"}"),
    *(b'{"a":' * 3000, b"[" * 100_000, b'{"why": "x", "why": "y"}', b"\xef\xbb\xbf{}", b"<xml/>"),
    b'{"document": {"alpha": ' + b"1" * 400 + b"}}",
)


def requests(openapi: JsonObject) -> Iterator[tuple[str, str, bytes]]:
    """Method, path and body of every odd request that the description of the routes leads to."""
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            schema = _body_schema(openapi, operation)
            yield from _odd_places(path, method.upper(), operation, schema)
            if schema is not None:
                yield from _odd_bodies(path, method.upper(), schema)


def _odd_places(
    path: str, method: str, operation: JsonObject, schema: JsonObject | None
) -> Iterator[tuple[str, str, bytes]]:
    """Odd values in the path and in the query, one at a time."""
    body = b"" if schema is None else json.dumps(_plain(schema)).encode()
    query = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
    for odd in NAMES:
        if "{" in path:
            yield method, _filled(path, odd), body
        # Half of them do for a query: each of its values is text, a time or a number.
        for name in query if odd in NAMES[::2] or odd[:1].isdigit() else ():
            yield method, f"{_filled(path, 'x')}?{urlencode({name: odd})}", body


def _odd_bodies(path: str, method: str, schema: JsonObject) -> Iterator[tuple[str, str, bytes]]:
    """Bodies that are no JSON, and odd values in each field of the JSON."""
    where = _filled(path, "support.reply").replace("environments/support.reply", "environments/dev")
    for body in BODIES:
        yield method, where, body
    for field in schema["properties"]:
        for odd in VALUES:
            yield method, where, json.dumps({**_plain(schema), field: odd}).encode()


def _body_schema(openapi: JsonObject, operation: JsonObject) -> JsonObject | None:
    if "requestBody" not in operation:
        return None
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    found: JsonObject = openapi["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _plain(schema: JsonObject) -> JsonObject:
    """The required fields with harmless values."""
    plain = {"string": "x", "object": {}, "array": ["read"], "integer": 1}
    found = schema["properties"]
    return {name: plain.get(found[name].get("type"), "x") for name in schema.get("required", [])}


def _filled(path: str, value: str) -> str:
    parts = (quote(value, safe="") if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts)


def mutations(document: Any) -> Iterator[Any]:
    """The document with each value in it, at any depth, replaced by every other odd one."""
    if isinstance(document, dict):
        for key, value in document.items():
            for odd in (*VALUES[::2], *mutations(value)):
                yield {**document, key: odd}
            yield {name: value for name, value in document.items() if name != key}
        yield {**document, "unheard of": 1}
    elif isinstance(document, list):
        for index, value in enumerate(document):
            for odd in (*VALUES[1::2], *mutations(value)):
                yield [*document[:index], odd, *document[index + 1 :]]

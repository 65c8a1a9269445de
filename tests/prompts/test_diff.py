from typing import Any

import msgspec

from trimtab.prompts.diff import diff
from trimtab.prompts.version import Version, version_from_identity


def version(*messages: tuple[str, str], **parts: Any) -> Version:
    entries = [{"role": role, "template": template} for role, template in messages]
    return version_from_identity({"messages": entries, **parts})


def test_equal_versions_have_no_difference() -> None:
    one = version(("user", "Hi"))

    found = diff(one, one)

    assert (found.parts, found.text, found.bump) == ([], "", "none")


def test_a_changed_message_is_shown_as_a_unified_diff() -> None:
    old = version(("system", "Be kind.\nBe short.\n"), ("user", "Hi"))
    new = version(("system", "Be kind.\nBe brief.\n"), ("user", "Hi"))

    assert diff(old, new).text == (
        f"--- {old.sha[:12]} messages[0] system\n"
        f"+++ {new.sha[:12]} messages[0] system\n"
        "@@ -1,3 +1,3 @@\n"
        " Be kind.\n"
        "-Be short.\n"
        "+Be brief.\n"
        " \n"
    )


def test_a_message_put_first_does_not_make_the_others_new() -> None:
    old = version(("user", "Hi"))
    new = version(("system", "Be kind."), ("user", "Hi"))

    assert diff(old, new).text == (
        f"--- /dev/null\n+++ {new.sha[:12]} messages[0] system\n@@ -0,0 +1 @@\n+Be kind.\n"
    )


def test_history_is_a_line_of_its_own() -> None:
    old = version(("user", "Hi"))
    new = version_from_identity(
        {"messages": [{"history": True}, {"role": "user", "template": "Hi"}]}
    )

    assert "+{% history %}\n" in diff(old, new).text


def test_lines_are_counted_as_templates_count_them() -> None:
    old = version(("user", "a\u2028b\x0bc"))
    new = version(("user", "a\u2028b\x0bd"))

    assert "-a\u2028b\x0bc\n+a\u2028b\x0bd\n" in diff(old, new).text


def test_changed_parts_are_listed_with_both_sides_and_the_step() -> None:
    old = version(("user", "Hi"), model="openai/gpt-4o-2024-08-06", sampling={"seed": 1})
    new = version(("user", "Hi"), model="openai/gpt-4o-2024-11-20")

    found = diff(old, new)

    assert [(part.part, part.old, part.new) for part in found.parts] == [
        ("model", "openai/gpt-4o-2024-08-06", "openai/gpt-4o-2024-11-20"),
        ("sampling.seed", 1, None),
    ]
    assert (found.text, found.bump) == ("", "minor")
    assert msgspec.to_builtins(found)["parts"][0]["bump"] == "minor"

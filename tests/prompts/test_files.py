import pytest

from trimtab.errors import PromptFileError, TemplateBudgetExceeded, TemplateError
from trimtab.prompts.files import build_set, read_set
from trimtab.prompts.version import Version, version_from_identity


def fragment(text: str) -> str:
    return f"---\nkind: fragment\n---\n{text}\n"


def build(texts: dict[str, str], registered: dict[str, str] | None = None) -> dict[str, Version]:
    found = read_set(texts)
    assert not found.errors
    return build_set(found.files, registered=registered)


def ladder(levels: int) -> dict[str, str]:
    """A prompt above so many fragments, each including the next."""
    texts = {
        f"f{n}.prompt": fragment(f'{{% include "f{n + 1}" %}}' if n < levels else "end")
        for n in range(1, levels + 1)
    }
    return {"reply.prompt": '{% include "f1" %}\n', **texts}


def test_an_include_is_resolved_in_the_set_being_read() -> None:
    versions = build(
        {"reply.prompt": 'Hi. {% include "tone" %}\n', "tone.prompt": fragment("Kind.")}
    )

    assert versions["reply"].includes == {"tone": versions["tone"].sha}


def test_a_changed_fragment_changes_the_sha_of_all_above_it() -> None:
    before = build(ladder(3))

    after = build({**ladder(3), "f3.prompt": fragment("other end")})

    assert all(before[name].sha != after[name].sha for name in ("reply", "f1", "f2", "f3"))


def test_the_order_of_files_makes_no_difference() -> None:
    found = read_set(ladder(5)).files

    assert build_set(dict(reversed(found.items()))) == build_set(found)


def test_eight_levels_of_includes_are_taken_and_nine_are_not() -> None:
    assert len(build(ladder(8))) == 9
    with pytest.raises(PromptFileError, match="deeper than 8 levels") as refused:
        build(ladder(9))
    assert refused.value.rule == "include-depth"


def test_depth_does_not_depend_on_which_file_is_looked_at_first() -> None:
    found = read_set(ladder(9)).files

    with pytest.raises(PromptFileError, match="deeper than 8 levels"):
        build_set(dict(sorted(found.items(), reverse=True)))


def test_a_circle_of_includes_is_refused_and_shown() -> None:
    texts = {
        "reply.prompt": '{% include "a" %}',
        "a.prompt": fragment('{% include "b" %}'),
        "b.prompt": fragment('\n{% include "a" %}'),
    }

    with pytest.raises(PromptFileError, match=r"a → b → a|b → a → b") as refused:
        build(texts)

    assert refused.value.rule == "include-cycle"


def test_a_missing_include_is_refused_with_the_fragments_there_are() -> None:
    texts = {"reply.prompt": 'x\n{% include "tine" %}', "tone.prompt": fragment("Kind.")}

    with pytest.raises(
        PromptFileError, match=r'^reply.prompt, line 2: include "tine" is missing.*here: tone$'
    ):
        build(texts)


def test_only_a_fragment_can_be_included() -> None:
    with pytest.raises(PromptFileError, match='"other" is a prompt; only a fragment'):
        build({"reply.prompt": '{% include "other" %}', "other.prompt": "Hi"})


def test_a_registered_version_is_taken_by_the_name_as_written() -> None:
    registered = {"tone@1.2.0": "ab" * 32, "words": "cd" * 32}

    versions = build(
        {"reply.prompt": '{% include "tone@1.2.0" %}{% include "words" %}'}, registered
    )

    assert versions["reply"].includes == registered


def test_a_file_of_the_set_comes_before_a_registered_one_of_the_same_name() -> None:
    texts = {"reply.prompt": '{% include "tone" %}', "tone.prompt": fragment("Kind.")}

    versions = build(texts, {"tone": "ab" * 32})

    assert versions["reply"].includes == {"tone": versions["tone"].sha}


def test_an_unregistered_version_is_refused() -> None:
    with pytest.raises(PromptFileError, match=r'"tone@9\.9\.9" names no registered version'):
        build({"reply.prompt": '{% include "tone@9.9.9" %}', "tone.prompt": fragment("Kind.")})


def test_registered_fragments_count_for_kind_and_depth() -> None:
    stored: list[Version] = []
    for _ in range(9):
        below = {"f": stored[-1].sha} if stored else {}
        template = '{% include "f" %}' if stored else "end"
        stored.append(
            version_from_identity(
                {"kind": "fragment", "messages": [{"template": template}], "includes": below}
            )
        )
    by_sha = {version.sha: version for version in stored}
    files = read_set({"reply.prompt": '{% include "f@1.0.0" %}'}).files

    build_set(files, registered={"f@1.0.0": stored[7].sha}, registered_versions=by_sha)

    with pytest.raises(PromptFileError, match="deeper than 8"):
        build_set(files, registered={"f@1.0.0": stored[8].sha}, registered_versions=by_sha)


def test_a_registered_prompt_is_no_fragment() -> None:
    other = version_from_identity({"messages": [{"role": "user", "template": "x"}]})
    files = read_set({"reply.prompt": '{% include "o@1.0.0" %}'}).files

    with pytest.raises(PromptFileError, match="only a fragment"):
        build_set(files, registered={"o@1.0.0": other.sha}, registered_versions={other.sha: other})


def test_a_model_of_another_form_names_the_file() -> None:
    with pytest.raises(PromptFileError, match=r"^reply.prompt: model: 'gpt-4o' is not provider"):
        build({"reply.prompt": "---\nmodel: gpt-4o\n---\nHi"})


def test_a_template_beyond_the_language_or_budget_makes_no_version() -> None:
    with pytest.raises(TemplateError, match=r"^reply.prompt, line 2: .*nofilter"):
        build({"reply.prompt": "{% message role='user' %}\n{{ a | nofilter }}{% endmessage %}"})
    with pytest.raises(TemplateBudgetExceeded):
        build({"reply.prompt": "{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}"})


def test_reading_a_set_keeps_the_errors_and_the_good_files() -> None:
    found = read_set({"a.prompt": "Hi", "b.prompt": "---\nx", "c.d.prompt": "Hi", "e.txt": "Hi"})

    assert list(found.files) == ["a"]
    assert [error.path for error in found.errors] == ["b.prompt", "c.d.prompt", "e.txt"]

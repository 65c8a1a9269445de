from pathlib import Path

import pytest

from trimtab.cli.folder import (
    find_root,
    looks_like_file,
    read_prompts,
    read_with_includes,
    split_reference,
)
from trimtab.errors import BadInput, BadReference, PromptFileError

FRAGMENT = "---\nkind: fragment\n---\nBe kind.\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_is_read_whole_with_the_errors_of_all_files(tmp_path: Path) -> None:
    write(tmp_path / "good.prompt", "Hello")
    write(tmp_path / "bad.prompt", "---\nmodle: x\n---\nHello")
    write(tmp_path / "sub" / "worse.prompt", "---\na: [\n---\nHello")
    write(tmp_path / "dotted.name.prompt", "Hello")

    read = read_prompts(tmp_path)

    assert list(read.files) == ["good"]
    assert {Path(error.path).name for error in read.errors} == {
        "bad.prompt",
        "worse.prompt",
        "dotted.name.prompt",
    }


def test_a_folder_without_prompts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PromptFileError, match=r"has no \*\.prompt file"):
        read_prompts(tmp_path)


def test_one_file_brings_what_it_includes_in_turn_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "prompts/support/reply.prompt", '{% include "shared.outer" %}')
    write(
        tmp_path / "prompts/shared/outer.prompt",
        '---\nkind: fragment\n---\n{% include "shared.inner" %}',
    )
    write(tmp_path / "prompts/shared/inner.prompt", FRAGMENT)
    write(tmp_path / "prompts/broken.prompt", "---\nnever closed")

    name, files = read_with_includes(path)

    assert name == "support.reply"
    assert set(files) == {"support.reply", "shared.outer", "shared.inner"}


def test_a_file_s_root_is_where_its_includes_are_found(tmp_path: Path) -> None:
    path = write(tmp_path / "candidates/support/reply.prompt", '{% include "shared.tone" %}')
    write(tmp_path / "candidates/shared/tone.prompt", FRAGMENT)

    assert find_root(path) == tmp_path / "candidates"


def test_a_folder_named_prompts_comes_before_a_nearer_one(tmp_path: Path) -> None:
    path = write(tmp_path / "prompts/support/reply.prompt", '{% include "tone" %}')
    write(tmp_path / "prompts/tone.prompt", FRAGMENT)
    write(tmp_path / "prompts/support/tone.prompt", FRAGMENT)

    assert find_root(path) == tmp_path / "prompts"


def test_a_file_that_includes_nothing_is_named_from_its_own_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "anywhere/hello.prompt", "Hello")

    assert find_root(path) == tmp_path / "anywhere"


def test_a_root_that_does_not_hold_the_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "here/hello.prompt", "Hello")
    (tmp_path / "there").mkdir()

    with pytest.raises(BadInput, match="does not lie below"):
        read_with_includes(path, root=tmp_path / "there")


def test_an_include_cannot_climb_out_of_the_root(tmp_path: Path) -> None:
    path = write(tmp_path / "prompts/a.prompt", '{% include "..secret" %}')
    write(tmp_path / "secret.prompt", FRAGMENT)

    _, files = read_with_includes(path, root=tmp_path / "prompts")

    assert list(files) == ["a"]


def test_a_reference_needs_a_version() -> None:
    assert split_reference("support.reply@1.1.0") == ("support.reply", "1.1.0")
    with pytest.raises(BadReference, match="names no version"):
        split_reference("support.reply")
    with pytest.raises(BadReference, match="not a prompt name"):
        split_reference("Support Reply@1.0.0")


def test_files_and_references_are_told_apart_by_their_form() -> None:
    assert looks_like_file("reply.prompt")
    assert looks_like_file("./prompts/reply")
    assert not looks_like_file("support.reply@prod")

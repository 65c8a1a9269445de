"""Prompt files on disk for commands: whole folders, or one file with what it includes."""

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from trimtab.cli.api import prompt_path, segment
from trimtab.cli.options import Session
from trimtab.errors import BadInput, PromptFileError
from trimtab.prompts.files import (
    PromptFile,
    ReadSet,
    build_set,
    name_from_path,
    parse_prompt_file,
)
from trimtab.prompts.version import Version, version_from_identity

SUFFIX = ".prompt"
ROOT_NAME = "prompts"


class Registered:
    """Fragments that files include by `NAME@…`, found on the server.

    Attributes:
        shas: Include as written → sha.
        versions: sha → version, those that the fragments include among them.
    """

    def __init__(self) -> None:
        self.shas: dict[str, str] = {}
        self.versions: dict[str, Version] = {}

    def add(self, written: str, document: Mapping[str, Any]) -> None:
        """Take the answer of a version's route."""
        self.shas[written] = document["sha"]
        bodies = {document["sha"]: document["identity"], **document["fragments"]}
        self.versions |= {sha: version_from_identity(body) for sha, body in bodies.items()}


def read_prompts(folder: Path) -> ReadSet:
    """Every `*.prompt` file under a folder; the errors of all files, not only the first."""
    files: dict[str, PromptFile] = {}
    errors: list[PromptFileError] = []
    paths = sorted(folder.rglob(f"*{SUFFIX}"))
    for path in paths:
        try:
            file = read_file(path, root=folder)
        except PromptFileError as error:
            errors.append(error)
        else:
            files[file.name] = file
    if not paths:
        raise PromptFileError(
            f"{folder} has no *{SUFFIX} file; name the folder your prompts lie in", path=str(folder)
        )
    return ReadSet(files=files, errors=errors)


def read_file(path: Path, *, root: Path) -> PromptFile:
    """One prompt file, named by its path below `root`.

    Raises:
        PromptFileError: It cannot be read; the message begins with the path as given.
    """
    relative = PurePosixPath(path.relative_to(root).as_posix())
    try:
        name = name_from_path(relative)
        content = path.read_bytes()
    except PromptFileError as error:
        reason = str(error).removeprefix(f"{relative}: ")
        raise PromptFileError(f"{path}: {reason}", path=str(path)) from error
    except OSError as error:
        raise PromptFileError(
            f"{path}: cannot be read: {error.strerror}", path=str(path)
        ) from error
    return parse_prompt_file(content, name=name, path=str(path))


def read_with_includes(
    path: Path, *, root: Path | None = None
) -> tuple[str, dict[str, PromptFile]]:
    """One file and the files it includes, in turn: the file's prompt name, and all by name.

    Args:
        path: The file.
        root: The folder that names are counted from; found by `find_root` when None.
    """
    if path.suffix != SUFFIX:
        raise PromptFileError(f"{path}: a prompt file ends in {SUFFIX}", path=str(path))
    root = root or find_root(path)
    if root.resolve() not in path.resolve().parents:
        raise BadInput(f"{path} does not lie below the folder {root}; give its own --root")
    path = root / path.resolve().relative_to(root.resolve())
    first = read_file(path, root=root)
    files = {first.name: first}
    todo = deque(first.includes)
    while todo:
        name = todo.popleft()
        target = root / _include_path(name)
        if name not in files and "@" not in name and target.is_file():
            files[name] = read_file(target, root=root)
            todo.extend(files[name].includes)
    return first.name, files


def find_root(path: Path) -> Path:
    """The folder a prompt file's name is counted from.

    An ancestor named `prompts` in which the file's includes are found, else the nearest ancestor in
    which they are, else the nearest one named `prompts`, else the file's own folder.
    """
    ancestors = _ancestors(path)
    named = [folder for folder in ancestors if folder.resolve().name == ROOT_NAME]
    try:
        file = parse_prompt_file(path.read_bytes(), name="file", path=str(path))
    except (OSError, PromptFileError):
        # What is wrong with it is told when it is read under its own name.
        return next(iter(named), path.parent)
    wanted = [_include_path(name) for name in file.includes if "@" not in name]
    if wanted:
        for folder in (*named, *ancestors):
            if all((folder / each).is_file() for each in wanted):
                return folder
    return next(iter(named), path.parent)


def registered_includes(files: Iterable[PromptFile], session: Session) -> Registered:
    """What the files include by `NAME@…`; asks a server if one does and one is named."""
    found = Registered()
    for written in sorted({name for file in files for name in file.includes if "@" in name}):
        if session.can_ask:
            found.add(written, fetch_version(session, written))
    return found


def fetch_version(session: Session, reference: str) -> dict[str, Any]:
    """The server's record of `NAME@…` with identity and fragments.

    Raises:
        BadReference: It has no `@`, or its name is none.
        ServerRefused: The server knows no such version.
    """
    name, wanted = split_reference(reference)
    return session.api.get(f"{prompt_path(name)}/versions/{segment(wanted)}")


def split_reference(reference: str) -> tuple[str, str]:
    """Prompt and what stands after the `@`, which must be there."""
    from trimtab.errors import BadReference
    from trimtab.prompts.reference import check_name

    name, _, wanted = reference.partition("@")
    check_name(name)
    if not wanted:
        raise BadReference(
            f'"{reference}" names no version; write "{name}@1.0.0", "{name}@prod" (where), '
            f'"{name}@sha:…" or a tag (`trimtab ls {name}` lists them)'
        )
    return name, wanted


def looks_like_file(text: str) -> bool:
    """Whether an argument that may be a file or a reference is meant as a file."""
    return text.endswith(SUFFIX) or "/" in text or Path(text).is_file()


def load_version(
    session: Session, given: str, *, root: Path | None
) -> tuple[str, Version, dict[str, Version]]:
    """Prompt name, version, and fragments by sha, of a file or a reference."""
    if not looks_like_file(given):
        found = Registered()
        found.add(given, fetch_version(session, given))
        sha = found.shas[given]
        return split_reference(given)[0], found.versions[sha], found.versions
    name, files = read_with_includes(Path(given), root=root)
    registered = registered_includes(files.values(), session)
    versions = build_set(files, registered=registered.shas, registered_versions=registered.versions)
    by_sha = {version.sha: version for version in versions.values()}
    return name, versions[name], {**registered.versions, **by_sha}


def _include_path(name: str) -> PurePosixPath:
    return PurePosixPath(*name.split(".")).with_suffix(SUFFIX)


def _ancestors(path: Path) -> list[Path]:
    """The file's folder and those above it, kept relative as far as the path was given so."""
    absolute = list(path.resolve().parents)
    given = [folder for folder in path.parents if folder.resolve() in absolute]
    known = {folder.resolve() for folder in given}
    return [*given, *(folder for folder in absolute if folder not in known)]

"""Prompts from a folder of files: no server, or the last thing to fall back on."""

from pathlib import Path, PurePosixPath

from trimtab.errors import PromptFileError
from trimtab.prompts.files import PromptFile, build_set, name_from_path, parse_prompt_file
from trimtab.prompts.version import Version
from trimtab.routing.payload import (
    FORMAT,
    AuditHead,
    Payload,
    PromptState,
    TrimtabBlock,
    VersionLabel,
)
from trimtab.sdk.snapshot import Library, Snapshot


def read_folder(folder: Path) -> dict[str, PromptFile]:
    """Every `*.prompt` file under a folder, parsed, by prompt name."""
    if not folder.is_dir():
        raise PromptFileError(f"{folder} is not a folder of prompt files")
    files: dict[str, PromptFile] = {}
    for path in sorted(folder.rglob("*.prompt")):
        relative = PurePosixPath(path.relative_to(folder).as_posix())
        name = name_from_path(relative)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PromptFileError(f"{path} cannot be read: {error.strerror}") from error
        files[name] = parse_prompt_file(content, name=name, path=str(path))
    if not files:
        raise PromptFileError(f"{folder} has no *.prompt file")
    return files


def snapshot_from_folder(folder: Path) -> Snapshot:
    """A snapshot that serves each file of a folder as the default, with no plans."""
    versions = build_set(read_folder(folder))
    library = Library()
    library.add({version.sha: version.identity for version in versions.values()})
    payload = Payload(
        features={
            name: {"defaultValue": feature_value(name, version)}
            for name, version in versions.items()
            if version.kind == "prompt"
        },
        trimtab=TrimtabBlock(
            format=FORMAT,
            lineage="files",
            environment="files",
            revision=0,
            published_at="",
            prompts={
                name: PromptState(
                    live=version.sha,
                    serving=version.sha,
                    versions={version.sha: VersionLabel(version="0.0.0")},
                )
                for name, version in versions.items()
                if version.kind == "prompt"
            },
            plans={},
            audit=AuditHead(count=0, head=""),
        ),
    )
    return Snapshot(payload, library)


def feature_value(name: str, version: Version) -> dict[str, object]:
    """The value of a feature that serves a file."""
    return {
        "prompt": name,
        "version": "0.0.0",
        "sha": version.sha,
        "model": version.model,
        "sampling": version.sampling,
    }

"""`trimtab lint`: what is wrong, or likely to go wrong, in prompt files."""

from collections.abc import Sequence
from pathlib import Path

import click

from trimtab.cli.commands import NO, OK
from trimtab.cli.folder import (
    find_root,
    read_prompts,
    read_with_includes,
    registered_includes,
)
from trimtab.cli.options import Session, server_options
from trimtab.cli.output import Output
from trimtab.errors import PromptFileError
from trimtab.prompts.files import PromptFile, ReadSet
from trimtab.prompts.lint import Finding
from trimtab.prompts.lint import lint as lint_files


@click.command
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that names of single files are counted from; found by itself if not given.",
)
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@click.option(
    "--pinned-model",
    "pinned_models",
    multiple=True,
    metavar="PROVIDER/NAME",
    help="A model that is pinned although its name does not look so; may hold * and ?.",
)
@server_options
def lint(
    paths: tuple[Path, ...],
    *,
    root: Path | None,
    strict: bool,
    pinned_models: tuple[str, ...],
    session: Session,
) -> int:
    """Check prompt files.

    PATHS are folders of *.prompt files, or single files. Errors: files that cannot be read, a model
    alias that moves, undeclared variables, missing includes, unknown fields. Warnings: variables
    nobody uses, values from end users in a system message. Nothing is sent; a server is asked only
    about includes by version (shared.tone@1.2.0), where a key is given.

    Example:  trimtab lint prompts/
              trimtab lint prompts/support/reply.prompt --strict --json

    Exits with 1 if there is an error (with --strict: or a warning).
    """
    findings: list[Finding] = []
    n_files = 0
    for path in paths:
        read, only = _read(path, root)
        n_files += len(read.files) + len(read.errors) if only is None else 1
        found = findings_of(read, session, pinned_models=pinned_models)
        findings += [each for each in found if only is None or each.path == only]
    n_errors = sum(each.level == "error" for each in findings)
    n_warnings = len(findings) - n_errors
    document = {
        "files": n_files,
        "errors": n_errors,
        "warnings": n_warnings,
        "findings": findings,
    }
    session.out.show(document, lambda: _print(session.out, findings, n_files, n_errors))
    return NO if n_errors or (strict and n_warnings) else OK


def findings_of(
    read: ReadSet, session: Session, *, pinned_models: Sequence[str] = ()
) -> list[Finding]:
    """Everything lint says about files, with includes by version looked up on the server."""
    registered = registered_includes(read.files.values(), session)
    return lint_files(
        read.files,
        registered=registered.shas,
        registered_versions=registered.versions,
        pinned_models=pinned_models,
        errors=read.errors,
    )


def print_findings(out: Output, findings: Sequence[Finding]) -> None:
    """Findings as compilers write them, which editors can jump to."""
    for finding in findings:
        colour = "red" if finding.level == "error" else "yellow"
        level = click.style(finding.level, fg=colour, bold=True)
        out.styled(
            f"{finding.path}:{finding.line}: ", level, f": {finding.message} [{finding.rule}]"
        )


def _read(path: Path, root: Path | None) -> tuple[ReadSet, str | None]:
    """The files of a path, and the one path that was asked about if it was a single file."""
    if path.is_dir():
        return read_prompts(path), None
    try:
        name, files = read_with_includes(path, root=root or find_root(path))
    except PromptFileError as error:
        return ReadSet(files={}, errors=[error]), error.path
    return ReadSet(files=files, errors=[]), _path_of(files[name])


def _path_of(file: PromptFile) -> str:
    return file.path


def _print(out: Output, findings: Sequence[Finding], n_files: int, n_errors: int) -> None:
    print_findings(out, findings)
    n_warnings = len(findings) - n_errors
    what = "1 file" if n_files == 1 else f"{n_files} files"
    out.line(f"{what}: {counted(n_errors, 'error')}, {counted(n_warnings, 'warning')}")


def counted(n: int, noun: str) -> str:
    """A count with its noun: `1 error`, `2 errors`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"

"""The table of commands, loaded when they run; errors become one message and an exit code."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import click

from trimtab.errors import TrimtabError

OK, NO, TROUBLE, INTERRUPTED = 0, 1, 2, 130


class Entry(NamedTuple):
    """Where a command is found, and its one line in `trimtab --help`."""

    section: str
    module: str
    purpose: str
    attribute: str = ""


COMMANDS: dict[str, Entry] = {
    "init": Entry("Run", "serving", "Make a data folder and its first API keys."),
    "serve": Entry("Run", "serving", "Serve a data folder over HTTP."),
    "demo": Entry("Run", "demo", "From a prompt file to an automatic rollback on live traffic."),
    "lint": Entry("Write", "linting", "Check prompt files."),
    "render": Entry("Write", "rendering", "Show the messages a prompt makes of values."),
    "push": Entry("Write", "authoring", "Register the prompt files of a folder."),
    "diff": Entry("Write", "authoring", "Show what differs between two versions."),
    "eval": Entry("Write", "evaluation", "Run an evaluation suite, and its gate.", "evaluate"),
    "ls": Entry("Look", "catalogue", "List prompts, or the versions of one."),
    "show": Entry("Look", "catalogue", "Show one version."),
    "log": Entry("Look", "catalogue", "Show where a prompt's releases moved, and why."),
    "status": Entry("Look", "insight", "Show what runs where, now or at a past time."),
    "explain": Entry("Look", "explaining", "Tell everything known of one request."),
    "audit": Entry("Look", "insight", "Read the audit log, or check its chain."),
    "promote": Entry("Change", "delivery", "Make a version live in an environment."),
    "approve": Entry("Change", "delivery", "Consent to a promotion or a plan."),
    "rollout": Entry("Change", "rollout", "Move traffic to a candidate step by step."),
    "rollback": Entry("Change", "takeback", "Go back to the last good version."),
    "kill": Entry("Change", "takeback", "Switch a prompt to safety, now."),
    "unkill": Entry("Change", "takeback", "Serve the live version again after a kill."),
    "keys": Entry("Change", "keys", "List, make and revoke API keys."),
}

EXTRA_OF_PACKAGE = {"yaml": "files", "openai": "demo"}
"""Extra that brings a package; every other one comes with `server`."""


class CommandLine(click.Group):
    """A group whose commands are imported when they run, and whose errors are one message."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of a name, imported now."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"trimtab.cli.{entry.module}")
        command = getattr(module, entry.attribute or cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"trimtab.cli.{entry.module} has no command {cmd_name!r}")
        keep_layout(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands by section, without importing any."""
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            rows = [
                (name, entry.purpose)
                for name, entry in COMMANDS.items()
                if entry.section == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows)

    # Any: click's own signature.
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002 - click's signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002 - the same
        **extra: Any,  # noqa: ANN401
    ) -> NoReturn:
        """Run and leave with 0 fine, 1 the answer is no, 2 usage or trouble."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            result = super().main(
                arguments,
                prog_name or "trimtab",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except (click.Abort, KeyboardInterrupt):
            click.echo("trimtab: interrupted", err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            _leave_broken_pipe()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(TROUBLE)
        except (click.ClickException, TrimtabError, ModuleNotFoundError) as error:
            sys.exit(_report(error, as_json="--json" in arguments))
        sys.exit(result if isinstance(result, int) else OK)


def keep_layout(command: click.Command) -> None:
    """Keep the lines of examples and of help paragraphs that hold indented lines.

    click fills every paragraph that is not marked with a backspace.
    """
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(
        f"\b\n{each}" if "\n " in each or each.startswith("Example:") else each
        for each in paragraphs
    )
    if isinstance(command, click.Group):
        for below in command.commands.values():
            keep_layout(below)


def exit_code(error: TrimtabError) -> int:
    """1 for a no that the state of things gives (409), 2 for everything else."""
    return NO if error.status == 409 and error.code != "data_folder_locked" else TROUBLE


def _report(error: Exception, *, as_json: bool) -> int:
    """Tell an error on stderr, and on stdout too where a program asked for JSON."""
    from trimtab.cli.output import clean, json_text

    code, message = TROUBLE, str(error)
    facts: dict[str, object] = {"code": "usage"}
    match error:
        case click.NoSuchCommand():
            message = _unknown_command(error)
        case click.UsageError():
            hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
            message = error.format_message().rstrip(".") + hint
        case click.ClickException():
            message = error.format_message()
        case TrimtabError():
            code = exit_code(error)
            facts = {"code": error.code, **error.detail}
        case ModuleNotFoundError():
            message = missing_package(error)
    click.echo(f"trimtab: {clean(message)}", err=True)
    if as_json:
        click.echo(json_text({"error": {**facts, "message": message}}))
    return code


def _unknown_command(error: click.NoSuchCommand) -> str:
    """The message for a command that is none, with the nearest one; subcommands too."""
    group = error.ctx.command if error.ctx is not None else None
    known = group.list_commands(error.ctx) if isinstance(group, click.Group) and error.ctx else []
    near = difflib.get_close_matches(error.command_name, known, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(known)}"
    return f'there is no command "{error.command_name}"; {hint}'


def missing_package(error: ModuleNotFoundError) -> str:
    """The message for a package that is not installed, with the extra that brings it.

    Raises:
        ModuleNotFoundError: It is a module of trimtab itself: a fault in it, not in the setup.
    """
    package = (error.name or "trimtab").partition(".")[0]
    if package == "trimtab":
        raise error
    extra = EXTRA_OF_PACKAGE.get(package, "server")
    return f'this command needs the package "{package}"; install trimtab[{extra}]'


def _leave_broken_pipe() -> NoReturn:
    """Leave as programs do whose reader went away, without Python's own complaint at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(OK)


@click.group(
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="trimtab", message="trimtab %(version)s")
def trimtab() -> None:
    """Prompts in production with the life of code.

    Every change of a prompt is a version, is checked before it ships, meets live traffic a little
    at a time, and is taken back by itself when it hurts.

    Begin:   trimtab init my-data && trimtab serve --data my-data
    Then:    export TRIMTAB_URL=http://127.0.0.1:8321 TRIMTAB_KEY=…
             trimtab push prompts/ && trimtab promote support.reply@1.0.0 dev --why "first"

    Exit codes: 0 fine; 1 the answer is no (lint found something, a gate failed, a promotion waits,
    the state stands in the way); 2 usage or trouble. Every command takes --json and --help.
    """


keep_layout(trimtab)

"""Options that many commands share, and what they become: a session with output and server."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from trimtab.cli.api import DEFAULT_URL, Api, HttpTransport, open_folder
from trimtab.cli.output import Output

Command = Callable[..., Any]  # click calls commands by keyword; each one types its own


class Session:
    """One command's output, and the server it may ask; connects at the first use."""

    def __init__(self, out: Output, *, url: str | None, key: str | None, data: Path | None) -> None:
        self.out = out
        self._url, self._key, self._data = url, key, data
        self._api: Api | None = None

    @property
    def can_ask(self) -> bool:
        """Whether a server or a folder is named, by a key at least, so that it can be asked."""
        return bool(self._key or self._url or self._data)

    @property
    def api(self) -> Api:
        """The management routes; without a key, those that read."""
        if self._api is None:
            self._api = self._open()
        return self._api

    def close(self) -> None:
        """Let go of the server."""
        if self._api is not None:
            self._api.close()

    def _open(self) -> Api:
        key = self._key or ""
        if self._data is not None:
            return Api(open_folder(self._data, key), has_key=bool(key))
        return Api(HttpTransport(self._url or DEFAULT_URL, key), has_key=bool(key))


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)

_SERVER_OPTIONS = (
    click.option(
        "--url",
        envvar="TRIMTAB_URL",
        show_envvar=True,
        metavar="URL",
        help=f"Address of the server.  [default: {DEFAULT_URL}]",
    ),
    click.option(
        "--key",
        envvar="TRIMTAB_KEY",
        show_envvar=True,
        metavar="KEY",
        help="API key; reading from the server's own machine needs none.",
    ),
    click.option(
        "--data",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="DIR",
        help="Open this data folder itself; only while no server holds it.",
    ),
    json_option,
)

why_option = click.option(
    "--why", required=True, metavar="TEXT", help="The reason, for the history and the audit log."
)


def output_options(command: Command) -> Command:
    """Give a command `--json` and pass it `out`."""

    @functools.wraps(command)
    def wrapped(*args: object, as_json: bool, **kwargs: object) -> object:
        return command(*args, out=_output(as_json=as_json), **kwargs)

    return json_option(wrapped)


def server_options(command: Command) -> Command:
    """Give a command `--url --key --data --json` and pass it `session`."""

    @functools.wraps(command)
    def wrapped(
        *args: object,
        url: str | None,
        key: str | None,
        data: Path | None,
        as_json: bool,
        **kwargs: object,
    ) -> object:
        context = click.get_current_context()
        given = context.get_parameter_source("url") is click.core.ParameterSource.COMMANDLINE
        if data is not None and given:
            raise click.UsageError("--url and --data name two places; give one of them", context)
        session = Session(_output(as_json=as_json), url=url, key=key, data=data)
        context.call_on_close(session.close)
        return command(*args, session=session, **kwargs)

    for option in reversed(_SERVER_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _output(*, as_json: bool) -> Output:
    return Output(as_json=as_json, now=datetime.now(UTC))

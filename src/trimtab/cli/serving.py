"""`trimtab init` and `trimtab serve`: a data folder, made and served."""

import socket
from pathlib import Path

import click

from trimtab.cli.api import JsonObject
from trimtab.cli.options import output_options
from trimtab.cli.output import Output
from trimtab.errors import ConfigError, Conflict
from trimtab.workspace.settings import FILE_NAME

DEFAULT_FOLDER = Path("trimtab-data")
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8321
KEY_USES = {
    "admin": "reads, registers, promotes, rolls out, takes back, makes keys",
    "approver": "reads and consents",
    "app": "an application's: SDK, gateway and events of one environment",
    "client": "a client's, may be public: decisions of one environment",
}


@click.command
@click.argument(
    "folder",
    metavar="[DIR]",
    default=DEFAULT_FOLDER,
    type=click.Path(file_okay=False, path_type=Path),
)
@output_options
def init(folder: Path, *, out: Output) -> None:
    """Make a data folder and its first API keys.

    DIR (default: trimtab-data) gets the registry and a trimtab.toml with environments, their
    policies, and providers; one that is there already is kept. The keys are shown this once: only
    their sha256 is stored.

    Example:  trimtab init my-data
              export TRIMTAB_KEY=$(trimtab init my-data --json | jq -r .keys.admin)

    Exits with 1 if the folder is initialised already.
    """
    document = initialise_folder(folder)
    out.show(document, lambda: _print_keys(out, document))


@click.command
@click.option(
    "--data",
    "folder",
    metavar="DIR",
    default=DEFAULT_FOLDER,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder.",
)
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--init", "make", is_flag=True, help="Make the folder first if it is not there.")
@output_options
def serve(folder: Path, *, host: str, port: int, make: bool, out: Output) -> None:
    """Serve a data folder over HTTP.

    Management routes, decisions for SDKs, the gateway, events, and the page, from one process; the
    autopilot that moves and takes back rollouts runs inside. Ends on Ctrl-C or SIGTERM.

    Example:  trimtab serve --data my-data
              trimtab serve --data my-data --init --port 0 --json

    With --json one line with the address is printed as soon as the server answers.
    """
    from trimtab.server.app import serve as run
    from trimtab.workspace import Workspace

    made: JsonObject = {}
    if make and not (folder / "registry.db").exists():
        made = initialise_folder(folder)
    _check_port(host, port)
    workspace = Workspace.open(folder)

    for provider, variable in workspace.settings.unset_keys.items():
        out.note(f'trimtab: {variable} is not set; provider "{provider}" is called without a key')

    def ready(url: str) -> None:
        if out.as_json:
            click.echo(out.compact({"url": url, "data": str(folder), **made}))
            return
        if made:
            _print_keys(out, made)
        out.line(f"trimtab serves {folder} at {url} (open it in a browser); Ctrl-C ends it")

    run(workspace, host=host, port=port, on_ready=ready)


def initialise_folder(folder: Path) -> JsonObject:
    """Make a data folder; gives its lineage and the keys' secrets by name.

    Raises:
        Conflict: It is initialised already.
        ConfigError: Something else lies in it.
    """
    from trimtab.workspace.init import initialise

    if (folder / "registry.db").exists():
        raise Conflict(
            f"{folder} is initialised already; its keys were shown then, and `trimtab keys create` "
            "makes new ones"
        )
    try:
        strange = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}") from error
    if strange and strange != [FILE_NAME]:
        raise ConfigError(
            f"{folder} is not empty (it has {', '.join(strange[:3])}); name a new or empty folder "
            f"(a {FILE_NAME} alone may be there)"
        )
    try:
        keys = initialise(folder)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from error
    return {"data": str(folder), "lineage": keys.lineage, "keys": dict(keys.secrets)}


def _check_port(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port or "
            "--host, or stop what uses it"
        ) from error


def _print_keys(out: Output, document: JsonObject) -> None:
    out.line(f"{document['data']} is ready; keep these keys, they are shown this once")
    out.line()
    rows = [
        (name, secret, KEY_USES.get(name.partition("-")[0], ""))
        for name, secret in document["keys"].items()
    ]
    out.table(("key", "secret", "what it does"), rows, empty="no keys")
    out.line()
    out.line(f"export TRIMTAB_URL=http://{DEFAULT_HOST}:{DEFAULT_PORT}")
    out.line(f"export TRIMTAB_KEY={document['keys']['admin']}")
    out.line()
    out.line(f"next: trimtab serve --data {document['data']}")

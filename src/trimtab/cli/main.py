"""Where the `trimtab` script begins."""

import sys


def main() -> None:
    """Run the command line; says what to install where its own packages are missing."""
    try:
        from trimtab.cli.commands import trimtab
    except ModuleNotFoundError as error:
        if (error.name or "trimtab").startswith("trimtab"):
            raise
        print(
            f'trimtab: the command line needs "{error.name}"; install trimtab[server]',
            file=sys.stderr,
        )
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows "?", and the command goes on.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    trimtab()

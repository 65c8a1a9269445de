"""What commands print: one JSON document for programs, text and tables for people."""

import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click
import msgspec

SHA_SHOWN = 12
ABSENT = "\u2013"
TIMES = "\u00d7"

CLOCKS_DIFFER_S = 60
"""A moment this little in the future is now: two machines' clocks differ."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_AGES = (
    (60, 1, "s"),
    (3600, 60, "min"),
    (2 * 86_400, 3600, "h"),
    (float("inf"), 86_400, "days"),
)


class Output:
    """Where a command's answer goes; notes and progress go to stderr."""

    def __init__(self, *, as_json: bool, now: datetime) -> None:
        self.as_json = as_json
        self.now = now

    def show(self, document: object, text: Callable[[], None]) -> None:
        """Print the document as JSON, or let `text` print it for people."""
        if self.as_json:
            click.echo(json_text(document))
        else:
            text()

    def line(self, text: str = "") -> None:
        """Print one line; control characters in it are shown, not obeyed."""
        click.echo(clean(text))

    def heading(self, text: str) -> None:
        """Print a line that begins a part."""
        click.echo(click.style(clean(text), bold=True))

    def styled(self, before: str, styled: str, after: str) -> None:
        """Print a line with one part that was given a colour."""
        click.echo(clean(before) + styled + clean(after))

    def coloured(self, text: str, colour: str | None) -> None:
        """Print a line in a colour; None for the terminal's own."""
        click.echo(click.style(clean(text), fg=colour))

    def compact(self, value: object) -> str:
        """A JSON value in one line."""
        return msgspec.json.encode(value).decode()

    def note(self, text: str) -> None:
        """Tell something beside the answer, on stderr, whether or not the answer is JSON."""
        click.echo(clean(text), err=True)

    def facts(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Print names and values below each other; a value of None is left out."""
        shown = [(name, str(value)) for name, value in pairs if value is not None]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(f"{name.ljust(width)}  {value}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
        """Print a table: with rules and colour on a terminal, plain columns elsewhere."""
        cells = [[clean(cell).replace("\n", " ") for cell in row] for row in rows]
        if not cells:
            self.line(empty)
        elif sys.stdout.isatty():
            _rich_table(columns, cells)
        else:
            _plain_table(columns, cells)

    def when(self, at: object) -> str:
        """A time as `3 min ago (2026-01-31 09:05:12Z)`; empty for None."""
        if not isinstance(at, str):
            return ""
        moment = datetime.fromisoformat(at).astimezone(UTC)
        return f"{age(moment, now=self.now)} ({moment:%Y-%m-%d %H:%M:%SZ})"


def age(moment: datetime, *, now: datetime) -> str:
    """How long ago a moment was, in one unit."""
    seconds = (now - moment).total_seconds()
    if seconds < -CLOCKS_DIFFER_S:
        return f"in {-seconds:.0f} s"
    seconds = max(seconds, 0.0)
    unit_s, name = next((unit_s, name) for below, unit_s, name in _AGES if seconds < below)
    return f"{seconds // unit_s:.0f} {name} ago"


def short(sha: object) -> str:
    """A sha as people read it; a dash for none."""
    return sha[:SHA_SHOWN] if isinstance(sha, str) and sha else ABSENT


def percent(share: float) -> str:
    """A share given in percent, with up to two decimals."""
    return f"{share:.2f}".rstrip("0").rstrip(".") + " %"


def share_percent(share: object) -> str:
    """A share given in 1/10,000; a dash for none."""
    return percent(share / 100) if isinstance(share, int | float) else ABSENT


def number(value: object, digits: int = 3) -> str:
    """A number to some significant digits; a dash for anything else, such as an unknown cost."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ABSENT
    if isinstance(value, int) or value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def clean(text: str) -> str:
    """The text with control characters made visible: foreign text must not steer a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def json_text(document: object) -> str:
    """A document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    whole = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[index]) for row in whole) for index in range(len(columns))]
    for row in whole:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)

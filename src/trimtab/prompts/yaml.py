"""YAML 1.2 core schema, without what makes two readers differ: aliases, tags, duplicate keys."""

import math
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec

from trimtab.errors import PromptFileError

MAX_DEPTH = 64
MAX_CHARACTERS = 1_000_000
_LONGEST_NUMBER = 400

Path = tuple[str | int, ...]

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGERS = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON value read from YAML, and the line where each part of it begins (a key, an item)."""

    # A JSON value: null, bool, int, float, str, list or dict with string keys.
    value: Any
    lines: Mapping[Path, int]

    def line_of(self, *path: str | int) -> int | None:
        """The line where the part at this path begins, or the nearest part around it."""
        shorter = (path[:length] for length in range(len(path), 0, -1))
        return next((self.lines[steps] for steps in shorter if steps in self.lines), None)


def read_yaml(text: str, *, where: str) -> Any:  # noqa: ANN401 - a JSON value
    """The JSON value of one YAML document; empty text is None.

    Args:
        text: The document. `no`, `on` and dates are strings, `012` is 12 (YAML 1.2 core schema).
        where: What errors call the text, such as its path.

    Raises:
        PromptFileError: Not YAML, or an anchor, alias, tag, merge key, duplicate key, key that is
            no string, number that JSON has not, more than one document or 64 levels; names the
            line.
    """
    return read_document(text, where=where).value


def read_document(text: str, *, where: str, first_line: int = 1) -> Document:
    """As `read_yaml`, with the line of each part; `first_line` is the line the text begins on.

    Raises:
        PromptFileError: As in `read_yaml`.
    """
    yaml = _pyyaml(where)
    if len(text) > MAX_CHARACTERS:
        raise PromptFileError(
            f"{where}: {len(text)} characters of YAML; at most {MAX_CHARACTERS}", path=where
        )
    builder = _Builder(where=where, first_line=first_line)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event, yaml)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + mark.line if mark else None
        raise _fault(where, line, _reason(error)) from error
    except yaml.reader.ReaderError as error:
        line = first_line + text.count("\n", 0, error.position)
        raise _fault(where, line, f"U+{error.character:04X}: {error.reason}") from error
    except RecursionError as error:
        raise _fault(where, None, "nested too deeply") from error
    return Document(value=builder.value, lines=builder.lines)


def _pyyaml(where: str) -> ModuleType:
    try:
        import yaml
    except ImportError as error:
        raise PromptFileError(
            f"{where}: reading YAML needs PyYAML; install trimtab[files]", path=where
        ) from error
    return yaml


# Any: PyYAML's events and errors are typed by stubs that are not there at run time.
def _reason(error: Any) -> str:  # noqa: ANN401
    context = f" {error.context}" if error.context else ""
    return f"not YAML: {error.problem or 'unreadable'}{context}"


def _fault(where: str, line: int | None, reason: str) -> PromptFileError:
    place = where if line is None else f"{where}, line {line}"
    return PromptFileError(f"{place}: {reason}", path=where, line=line)


class _Open:
    """A list or mapping being read; `key` is what the next value of a mapping belongs to."""

    __slots__ = ("index", "key", "path", "value")

    def __init__(self, value: dict[str, Any] | list[Any], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None
        self.index = 0


class _Builder:
    """Turns parser events into a JSON value; refuses what the docstring of `read_yaml` lists."""

    def __init__(self, *, where: str, first_line: int) -> None:
        self.value: Any = None
        self.lines: dict[Path, int] = {}
        self._where = where
        self._first_line = first_line
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: Any, yaml: Any) -> None:  # noqa: ANN401 - PyYAML's events
        """Take the next event of PyYAML's parser."""
        line = self._first_line + event.start_mark.line
        match event:
            case yaml.AliasEvent():
                raise self._fault(line, f"alias *{event.anchor}; write the value out here")
            case yaml.ScalarEvent() | yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._refuse_marks(event, line)
                self._node(event, line, yaml)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._open.pop()
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._fault(line, 'a second document begins; remove the line "---"')
            case _:
                pass

    def _node(self, event: Any, line: int, yaml: Any) -> None:  # noqa: ANN401 - PyYAML's events
        inside = self._open[-1] if self._open else None
        wants_key = inside is not None and isinstance(inside.value, dict) and inside.key is None
        if inside is not None and wants_key:
            inside.key = self._key(event, inside, line, yaml)
            self.lines[(*inside.path, inside.key)] = line
        elif isinstance(event, yaml.ScalarEvent):
            self._place(self._scalar(event, line), inside, line)
        else:
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], inside, line)

    def _begin(self, value: dict[str, Any] | list[Any], inside: _Open | None, line: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._fault(line, f"nested deeper than {MAX_DEPTH} levels; flatten the document")
        path = self._place(value, inside, line)
        self._open.append(_Open(value, path))

    # Any: a JSON value.
    def _place(self, value: Any, inside: _Open | None, line: int) -> Path:  # noqa: ANN401
        """Put a value where it belongs; its path."""
        if inside is None:
            self.value = value
            return ()
        if isinstance(inside.value, list):
            path: Path = (*inside.path, inside.index)
            inside.value.append(value)
            inside.index += 1
            self.lines[path] = line
            return path
        key = inside.key or ""
        inside.value[key] = value
        inside.key = None
        return (*inside.path, key)

    def _key(self, event: Any, inside: _Open, line: int, yaml: Any) -> str:  # noqa: ANN401
        if not isinstance(event, yaml.ScalarEvent):
            raise self._fault(line, "a list or mapping stands as a key; a key is a word")
        key = self._scalar(event, line)
        if not isinstance(key, str):
            raise self._fault(
                line, f'key {event.value or "null"} is no string; write "{event.value}"'
            )
        if key == "<<" and event.style is None:
            raise self._fault(line, "merge key <<; write the merged keys out here")
        if key in inside.value:
            first = self.lines[(*inside.path, key)]
            raise self._fault(line, f'key "{key}" stands here and on line {first}; remove one')
        return key

    def _refuse_marks(self, event: Any, line: int) -> None:  # noqa: ANN401 - PyYAML's events
        if event.anchor is not None:
            raise self._fault(line, f"anchor &{event.anchor}; remove it and write values out")
        if event.tag is not None:
            raise self._fault(line, f"tag {event.tag}; remove it (quote a value to make it text)")

    # Any: a JSON value without parts.
    def _scalar(self, event: Any, line: int) -> Any:  # noqa: ANN401
        text: str = event.value
        value = _plain(text) if event.style is None else text
        if isinstance(value, str):
            return self._text(value, line)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._fault(
                line, f"{text[:40]} is no number JSON can hold; to mean text, quote it"
            )
        return value

    def _text(self, text: str, line: int) -> str:
        """The text, with surrogate pairs of JSON escapes joined to characters."""
        if text.isascii() or not _SURROGATE.search(text):
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise self._fault(line, "a lone surrogate, which is no character; remove it") from None

    def _fault(self, line: int, reason: str) -> PromptFileError:
        return _fault(self._where, line, reason)


def _plain(text: str) -> bool | float | str | None:
    """What a scalar without quotes means in the core schema; text itself when it is a string."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return math.inf if _FLOAT.fullmatch(text) else text
    for form, base in _INTEGERS:
        if form.fullmatch(text):
            return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    return math.inf if _NOT_FINITE.fullmatch(text) else text

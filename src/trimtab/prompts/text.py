"""The characters of prompt texts: decoding, line ends, Unicode form."""

import re
import unicodedata

from trimtab.errors import PromptFileError

BOM = "\ufeff"

_SURROGATE = re.compile("[\ud800-\udfff]")


def decode_text(raw: str | bytes, *, where: str) -> str:
    """The text of a file with LF line ends and without a leading BOM.

    Raises:
        PromptFileError: The bytes are not UTF-8, or a lone surrogate stands in the text; names the
            line.
    """
    if isinstance(raw, bytes):
        raw = _decode(raw, where=where)
    text = line_feeds(raw.removeprefix(BOM))
    if not text.isascii() and (found := _SURROGATE.search(text)):
        line = text.count("\n", 0, found.start()) + 1
        raise PromptFileError(
            f"{where}, line {line}: \\u{ord(found.group()):04x} is a lone surrogate, which is no "
            "character; remove it",
            path=where,
            line=line,
        )
    return text


def line_feeds(text: str) -> str:
    """The text with every CRLF and CR as LF."""
    if "\r" not in text:
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n")


def normal_template(template: str) -> str:
    """A template as it stands in an identity: LF line ends, no leading BOM, Unicode NFC."""
    template = line_feeds(template.removeprefix(BOM))
    return template if template.isascii() else unicodedata.normalize("NFC", template)


def _decode(raw: bytes, *, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise PromptFileError(
            f"{where}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8",
            path=where,
            line=line,
        ) from error

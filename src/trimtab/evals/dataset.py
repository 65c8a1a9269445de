"""A dataset: samples with variables and what a good answer holds, read from JSONL or YAML."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import msgspec

from trimtab.errors import DatasetError, PromptFileError
from trimtab.prompts.canonical import digest

MAX_SAMPLES = 100_000


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question to the prompt.

    Attributes:
        id: Unique in the dataset.
        variables: Values for the version's variables.
        expected: What scorers compare the answer with: a text, a list, or an object whose keys
            scorers pick with `key`.
        history: Earlier messages of the conversation, `{"role", "content"}`.
        tags: Free words to look at a part of the results by.
    """

    id: str
    variables: dict[str, Any] = {}
    expected: Any = None
    history: list[dict[str, Any]] = []
    tags: list[str] = []


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Samples in their order; `sha` is the digest of their content, whatever the file's form."""

    samples: tuple[Sample, ...]
    sha: str


def read_dataset(text: str, *, where: str) -> Dataset:
    """The dataset in a file's text: JSON lines for a name ending in `.jsonl`, else a YAML list.

    Args:
        text: The file's text.
        where: Its path; errors name it together with the line.

    Raises:
        DatasetError: Unreadable, an unknown key, a missing or doubled id, or no sample at all.
    """
    jsonl = PurePath(where).suffix in (".jsonl", ".ndjson")
    entries = _json_lines(text, where) if jsonl else _yaml_items(text, where)
    samples: dict[str, Sample] = {}
    for line, entry in entries:
        sample = _sample(entry, f"{where}, line {line}")
        if sample.id in samples:
            raise DatasetError(f'{where}, line {line}: id "{sample.id}" is there twice')
        samples[sample.id] = sample
        if len(samples) > MAX_SAMPLES:
            raise DatasetError(f"{where}: more than {MAX_SAMPLES} samples; split the file")
    if not samples:
        raise DatasetError(f"{where}: no samples; give at least one, such as {_EXAMPLE}")
    kept = tuple(samples.values())
    return Dataset(samples=kept, sha=digest([msgspec.to_builtins(s) for s in kept]))


_EXAMPLE = '{"id": "refund-1", "variables": {"question": "…"}, "expected": "refund"}'


def _sample(entry: object, where: str) -> Sample:
    try:
        sample = msgspec.convert(entry, Sample)
    except msgspec.ValidationError as error:
        raise DatasetError(f"{where}: {error}; a sample looks like {_EXAMPLE}") from error
    if not sample.id:
        raise DatasetError(f"{where}: the id is empty; give each sample a name of its own")
    return sample


def _json_lines(text: str, where: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry: object = msgspec.json.decode(line.encode())
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise DatasetError(f"{where}, line {number}: not JSON: {error}") from error
        yield number, entry


def _yaml_items(text: str, where: str) -> Iterator[tuple[int, object]]:
    from trimtab.prompts.yaml import read_document

    try:
        document = read_document(text, where=where)
    except PromptFileError as error:
        raise DatasetError(str(error)) from error
    if not isinstance(document.value, list):
        kind = type(document.value).__name__
        raise DatasetError(f"{where}: the file holds {kind}, want a list of samples")
    for index, entry in enumerate(document.value):
        yield document.line_of(index) or 1, entry

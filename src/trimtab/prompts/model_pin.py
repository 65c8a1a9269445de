"""Model names: `provider/name`, the dated snapshot in it, and the family it belongs to."""

import re
from collections.abc import Collection
from fnmatch import fnmatchcase

_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]*/[^\s/][^\s]*")

_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12][0-9]|3[01])"
_YEAR = r"20[2-9][0-9]"
_SNAPSHOT = re.compile(
    "|".join(
        [
            rf"[-@.]{_YEAR}-{_MONTH}-{_DAY}(?![0-9])",  # gpt-4o-2024-11-20
            rf"[-@.]{_YEAR}{_MONTH}{_DAY}(?![0-9])",  # claude-3-5-sonnet-20241022, …@20241022
            rf"-{_MONTH}-{_YEAR}(?![0-9])",  # command-r-08-2024
            rf"-(?:{_MONTH}-{_DAY}|{_DAY}-{_YEAR})(?![0-9-])",  # gemini-2.5-pro-preview-05-06
            rf"-{_MONTH}{_DAY}(?![0-9a-zA-Z])",  # gpt-4-0613, gpt-4-1106-preview
            rf"-2[3-9]{_MONTH}(?![0-9a-zA-Z])",  # mistral-large-2411
            r"-[0-9]{3}(?![0-9a-zA-Z])",  # gemini-1.5-pro-001
            r"@sha256:[0-9a-f]{12,64}",  # a content digest
        ]
    )
)
_ALIAS = re.compile(r"-latest(?![a-z0-9])")


def is_model(model: str) -> bool:
    """Whether the text has the form `provider/name`, such as `openai/gpt-4o-2024-11-20`."""
    return _MODEL.fullmatch(model) is not None


def is_pinned(model: str, *, pinned_models: Collection[str] = ()) -> bool:
    """Whether the name stays the same model: it holds a dated snapshot, or the team declares so.

    Args:
        model: `provider/name`.
        pinned_models: What a team declares pinned, as `provider/name`; `*` and `?` match any text.
    """
    if any(fnmatchcase(model, pattern) for pattern in pinned_models):
        return True
    name = model.partition("/")[2]
    return "latest" not in name and _SNAPSHOT.search(name) is not None


def model_family(model: str) -> str:
    """The model without snapshot or `-latest`: `openai/gpt-4o` of `openai/gpt-4o-2024-11-20`."""
    provider, slash, name = model.partition("/")
    return provider + slash + _ALIAS.sub("", _SNAPSHOT.sub("", name))

"""What the limits cost: our rendering of a support prompt against bare Jinja2, in one run."""

import statistics
import time
from collections.abc import Callable

from jinja2 import Environment

from trimtab.prompts.template import compile_version
from trimtab.prompts.version import version_from_identity

_TONE = "Answer in {{ language }}. Be brief and kind.\n"
_SYSTEM = """\
You are a support agent for {{ company_name }}.
User tier: {{ user_tier }}
{% for topic in allowed_topics %}
{{ loop.index }}. {{ topic | capitalize }}{% if not loop.last %};{% endif %}
{% endfor %}
{% if user_tier == "vip" %}Offer a call.{% endif %}
{% include "shared.tone" %}
"""
_USER = "{{ question }}"
_VALUES = {
    "company_name": "Ferry & Sons",
    "user_tier": "vip",
    "allowed_topics": ["refunds", "delivery", "opening hours", "invoices"],
    "language": "English",
    "question": "My parcel has not arrived, what can I do about it?",
}
_PROPERTIES = {
    "company_name": {"type": "string"},
    "user_tier": {"enum": ["free", "pro", "vip"]},
    "allowed_topics": {"type": "array", "items": {"type": "string"}},
    "language": {"type": "string"},
    "question": {"type": "string", "trusted": False},
}


def ours() -> Callable[[], object]:
    """Rendering of the compiled version, its variables checked."""
    tone = version_from_identity({"kind": "fragment", "messages": [{"template": _TONE}]})
    version = version_from_identity(
        {
            "messages": [
                {"role": "system", "template": _SYSTEM},
                {"role": "user", "template": _USER},
            ],
            "variables": {
                "type": "object",
                "properties": _PROPERTIES,
                "required": sorted(_PROPERTIES),
                "additionalProperties": False,
            },
            "includes": {"shared.tone": tone.sha},
        }
    )
    compiled = compile_version(version, {tone.sha: tone})
    return lambda: compiled.render(_VALUES)


def bare() -> Callable[[], object]:
    """Rendering of the same text by Jinja2 alone: nothing checked, the include written out."""
    environment = Environment(keep_trailing_newline=True)  # noqa: S701  # prompts are not HTML
    system = environment.from_string(_SYSTEM.replace('{% include "shared.tone" %}', _TONE))
    user = environment.from_string(_USER)

    def render() -> object:
        return [
            {"role": "system", "content": system.render(_VALUES)},
            {"role": "user", "content": user.render(_VALUES)},
        ]

    return render


def measure(render: Callable[[], object], *, calls: int = 2_000, rounds: int = 9) -> float:
    """Median microseconds of a call over several rounds."""
    render()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            render()
        found.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(found)


def main() -> None:
    """Prints microseconds per rendering for both, and their ratio."""
    limited, free = ours(), bare()
    if limited() != free():
        raise SystemExit("the two renderings differ; the comparison would say nothing")
    ours_us, bare_us = measure(limited), measure(free)
    print(
        f"render: trimtab {ours_us:.1f} µs, bare jinja2 {bare_us:.1f} µs, "
        f"ratio {ours_us / bare_us:.2f}"
    )


if __name__ == "__main__":
    main()

"""The plan file: what people write to start a rollout, and every way it can be wrong."""

import difflib
import re
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Literal, TypeGuard, get_args

import msgspec

from trimtab.errors import PlanError
from trimtab.experiments.metrics import Metric, find_metric
from trimtab.prompts.canonical import digest
from trimtab.routing.payload import BUCKETS, UnitKind

OnBreach = Literal["rollback", "hold"]
ToleratedHarm = Literal["hold", "continue"]
AdvanceOn = Literal["no_breach", "pass"]

DEFAULT_ALPHA = 0.05
"""One-sided error rate of a plan, split evenly over its guardrails."""

CHOICES: dict[str, tuple[str, ...]] = {
    "unit": get_args(UnitKind),
    "on_breach": get_args(OnBreach),
    "tolerated_harm": get_args(ToleratedHarm),
    "advance_on": get_args(AdvanceOn),
}

_RULE = re.compile(
    r"(?P<metric>[A-Za-z0-9_.-]+)\s*"
    r"(?:>\s*(?P<ratio>\d+(?:\.\d+)?)\s*x|(?P<worse>worse)|\+\s*(?P<percent>\d+(?:\.\d+)?)\s*%)"
)
_FORMS = {
    "rate": '"{0} > 1.5x" or "{0} worse"',
    "quantile": '"{0} +25%" or "{0} worse"',
}


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage; `share` in 1/10,000, at least `hold_s` seconds and `min_treated` units long."""

    share: int
    hold_s: float
    min_treated: int


class PlanFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan as people wrote it, checked; versions are references, shares in 1/10,000.

    A last step of 100 % is not among the steps: it says what every plan does when its last step
    is over.
    """

    prompt: str
    environment: str
    candidate: str
    unit: UnitKind
    steps: list[Step]
    guardrails: list[str]
    alpha: float = DEFAULT_ALPHA
    on_breach: OnBreach = "rollback"
    tolerated_harm: ToleratedHarm = "hold"
    advance_on: AdvanceOn = "no_breach"
    why: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A guardrail's text, understood: `ratio` for rates, `tolerance` for quantiles."""

    metric: Metric
    ratio: float = 1.0
    tolerance: float | None = None


def read_plan(document: object, *, where: str) -> PlanFile:
    """Check a plan as a YAML or JSON reader gave it.

    Args:
        document: A mapping with the keys of `PlanFile`; shares are percent.
        where: File name or route, which begins every message.

    Raises:
        PlanError: Something is missing, unknown or out of range; the message says what and how to
            write it.
    """
    try:
        return _plan_file(document)
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from None


def parse_guardrail(text: str) -> Rule:
    """The rule that `flagged_rate > 1.5x`, `error_rate worse` or `latency_p95 +25%` states.

    Raises:
        PlanError: It has another form, names an unknown metric, or tolerates less than nothing.
    """
    match = _RULE.fullmatch(text.strip())
    if match is None:
        forms = '"flagged_rate > 1.5x", "error_rate worse" or "latency_p95 +25%"'
        raise PlanError(f'guardrail "{text}" cannot be read; write it like {forms}')
    metric = find_metric(match["metric"])
    wrong = match["percent"] if metric.form == "rate" else match["ratio"]
    if wrong is not None:
        forms = _FORMS[metric.form].format(metric.name)
        raise PlanError(f'guardrail "{text}": {metric.name} is a {metric.form}; write {forms}')
    if metric.form == "quantile":
        return Rule(metric=metric, tolerance=float(match["percent"] or 0) / 100.0)
    ratio = float(match["ratio"] or 1.0)
    if ratio < 1.0:
        raise PlanError(
            f'guardrail "{text}" would call an equal candidate a breach; tolerate at least 1x, '
            f'or write "{metric.name} worse"'
        )
    return Rule(metric=metric, ratio=ratio)


def document_sha(plan_file: PlanFile) -> str:
    """Identity of the plan as written: what an approval is bound to, beside the shas."""
    return digest(msgspec.to_builtins(plan_file))


def _plan_file(document: object) -> PlanFile:
    fields = _mapping(document, what="a plan", known=PlanFile.__struct_fields__)
    required = ("prompt", "environment", "candidate", "unit", "steps", "guardrails")
    if missing := [key for key in required if key not in fields]:
        raise PlanError(f"a plan needs {', '.join(missing)}; give each a value")
    checked: dict[str, object] = {
        key: _choice(key, fields[key]) if key in CHOICES else _text(key, fields[key])
        for key in fields
        if key not in ("alpha", "steps", "guardrails")
    }
    return msgspec.convert(
        {
            **checked,
            "alpha": _alpha(fields.get("alpha", DEFAULT_ALPHA)),
            "steps": _steps(fields["steps"]),
            "guardrails": _guardrails(fields["guardrails"]),
        },
        PlanFile,
    )


def _mapping(document: object, *, what: str, known: Collection[str]) -> dict[str, object]:
    if not isinstance(document, Mapping):
        raise PlanError(f"{what} is a mapping with the keys {', '.join(known)}, not {document!r}")
    for key in document:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f'did you mean "{nearest[0]}"?' if nearest else f"known are {', '.join(known)}"
            raise PlanError(f'{what} has no key "{key}"; {hint}')
    return {str(key): value for key, value in document.items() if value is not None}


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PlanError(
            f"{key} is {value!r}; write a text (in quotes where it looks like a number)"
        )
    return value.strip()


def _choice(key: str, value: object) -> object:
    if value not in CHOICES[key]:
        raise PlanError(f"{key} is {value!r}; write one of {', '.join(CHOICES[key])}")
    return value


def _alpha(value: object) -> float:
    if not (_is_number(value) and 0 < value < 0.5):
        raise PlanError(f"alpha is {value!r}; write an error rate between 0 and 0.5, such as 0.05")
    return float(value)


def _guardrails(value: object) -> list[str]:
    if not isinstance(value, list) or not value:
        raise PlanError(
            "guardrails is a list with at least one rule: nothing else can take a candidate back"
        )
    texts: list[str] = []
    metrics: set[str] = set()
    for text in value:
        if not isinstance(text, str):
            raise PlanError(f'guardrail {text!r} is not a text; write it like "error_rate > 1.5x"')
        metric = parse_guardrail(text).metric.name
        if metric in metrics:
            raise PlanError(
                f'guardrail "{text}" is the second on {metric}; one rule already watches both its '
                "tolerance and any harm"
            )
        metrics.add(metric)
        texts.append(text.strip())
    return texts


def _steps(value: object) -> list[Step]:
    if not isinstance(value, list) or not value:
        raise PlanError("steps is a list; write [{share: 10, hold_s: 3600, min_treated: 500}, …]")
    steps: list[Step] = []
    for number, item in enumerate(value, start=1):
        at = f"step {number}"
        fields = _mapping(item, what=at, known=Step.__struct_fields__)
        share = _share(fields.get("share"), at=at)
        before = steps[-1].share if steps else 0
        if share <= before:
            raise PlanError(
                f"{at} has share {share / 100:g} %, not above the {before / 100:g} % of the step "
                "before; shares must rise"
            )
        if share == BUCKETS:
            _check_last(fields, at=at, is_last=number == len(value), is_only=not steps)
            break
        steps.append(_step(fields, share, at=at))
    return steps


def _step(fields: Mapping[str, object], share: int, *, at: str) -> Step:
    hold_s, min_treated = fields.get("hold_s"), fields.get("min_treated")
    if not (_is_number(hold_s) and hold_s >= 0):
        raise PlanError(f"{at} has hold_s {hold_s!r}; write seconds, such as 3600")
    if not isinstance(min_treated, int) or isinstance(min_treated, bool) or min_treated < 1:
        raise PlanError(
            f"{at} has min_treated {min_treated!r}; write a number of units from 1, such as 500"
        )
    return Step(share=share, hold_s=float(hold_s), min_treated=min_treated)


def _share(value: object, *, at: str) -> int:
    """A share of the file, in percent, as 1/10,000."""
    if not _is_number(value):
        raise PlanError(f"{at} has share {value!r}; write percent as a number, such as 10 or 2.5")
    if value > 100:
        raise PlanError(f"{at} has share {value:g} %, which exceeds 100 %; write at most 100")
    share = round(value * 100)
    if value <= 0 or abs(value * 100 - share) > 1e-6:
        raise PlanError(f"{at} has share {value!r}; write more than 0 in hundredths of a percent")
    return share


def _check_last(fields: Mapping[str, object], *, at: str, is_last: bool, is_only: bool) -> None:
    """100 % may close the list: it leaves no control, so there is nothing to hold or count."""
    if is_only:
        raise PlanError(f"{at} gives all traffic at once; begin with a share below 100")
    if not is_last:
        raise PlanError(f"{at} has share 100 %, after which no step can follow; make it the last")
    if fields.get("hold_s") or fields.get("min_treated"):
        raise PlanError(
            f"{at} has share 100 %, which completes the plan and leaves no control to compare "
            "with; leave out its hold_s and min_treated, or end with a smaller share"
        )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)

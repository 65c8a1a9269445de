"""A suite: which prompt, which dataset, how answers are scored, and what the gate demands."""

from pathlib import Path, PurePath
from typing import Any, Literal

import msgspec

from trimtab.errors import DatasetError, PromptFileError
from trimtab.evals.dataset import Dataset, read_dataset
from trimtab.evals.scorers import Scorer, ScorerKind, make_scorer
from trimtab.prompts.canonical import digest


class ScorerEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line under `scorers`.

    Attributes:
        scorer: Its kind.
        name: What reports call it; the kind if not given.
        params: Its settings.
        threshold: Mean score over all samples the gate demands, in [0, 1].
    """

    scorer: ScorerKind
    name: str | None = None
    params: dict[str, Any] = {}
    threshold: float | None = None


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version must reach.

    Attributes:
        min_score: Mean score over all samples, in [0, 1].
        max_drop: How far the mean may lie under that of the version now in the environment.
        drop_by: `mean` compares the mean paired difference itself with -max_drop; `interval` its
            lower limit, which asks for proof and needs more samples.
        alpha: Two-sided error rate of the interval.
    """

    min_score: float | None = None
    max_drop: float | None = None
    drop_by: Literal["mean", "interval"] = "mean"
    alpha: float = 0.05


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A suite file. `dataset` is a path relative to it; each sample is asked `repeat` times."""

    prompt: str
    dataset: str
    scorers: list[ScorerEntry]
    name: str = ""
    repeat: int = 1
    concurrency: int = 8
    gate: Gate = Gate()

    def __post_init__(self) -> None:
        shares = {f"scorers.{s.name or s.scorer}.threshold": s.threshold for s in self.scorers}
        shares |= {"gate.min_score": self.gate.min_score, "gate.max_drop": self.gate.max_drop}
        for name, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}, want a number from 0 to 1")
        for name, count, most in (
            ("repeat", self.repeat, 100),
            ("concurrency", self.concurrency, 256),
        ):
            if not 1 <= count <= most:
                raise ValueError(f"{name} is {count}, want 1 to {most}")
        if not 0 < self.gate.alpha < 1:
            raise ValueError(f"gate.alpha is {self.gate.alpha}, want a number between 0 and 1")
        names = [entry.name or entry.scorer for entry in self.scorers]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"scorers are {names}, want one or more, each with a name of its own")


class LoadedSuite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite with its dataset and its scorers by name; `sha` leaves `concurrency` out."""

    suite: Suite
    dataset: Dataset
    scorers: dict[str, Scorer]
    sha: str


def read_suite(text: str, *, where: str) -> Suite:
    """The suite in a YAML text; its name is the file's stem unless it gives one.

    Raises:
        DatasetError: Not YAML, an unknown or missing key, a number out of range.
    """
    from trimtab.prompts.yaml import read_yaml

    try:
        suite = msgspec.convert(read_yaml(text, where=where), Suite)
    except PromptFileError as error:
        raise DatasetError(str(error)) from error
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(Suite))
        raise DatasetError(f"{where}: {error}; a suite has {known}") from error
    return msgspec.structs.replace(suite, name=suite.name or PurePath(where).stem)


def join_suite(suite: Suite, dataset: Dataset, *, where: str) -> LoadedSuite:
    """The suite ready to run over a dataset.

    Raises:
        DatasetError: A scorer's settings do not fit it.
    """
    scorers = {
        entry.name or entry.scorer: make_scorer(
            entry.scorer, entry.params, where=f"{where}: scorer {entry.name or entry.scorer}"
        )
        for entry in suite.scorers
    }
    identity = msgspec.to_builtins(suite)
    del identity["concurrency"]
    return LoadedSuite(suite=suite, dataset=dataset, scorers=scorers, sha=digest(identity))


def load_suite(path: Path) -> LoadedSuite:
    """The suite in a file, with the dataset it names.

    Raises:
        DatasetError: A file is missing, unreadable or does not fit.
    """
    suite = read_suite(_read(path), where=str(path))
    dataset_path = path.parent / suite.dataset
    dataset = read_dataset(_read(dataset_path), where=str(dataset_path))
    return join_suite(suite, dataset, where=str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error

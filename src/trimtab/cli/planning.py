"""Plan files on their way to the server: read, checked here, written down once."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from trimtab.cli.api import Api, JsonObject, prompt_path, segment
from trimtab.errors import PlanError, PromptFileError
from trimtab.prompts.yaml import read_yaml
from trimtab.releases.plan_file import PlanFile, document_sha, read_plan

SUFFIXES = (".yaml", ".yml", ".json")
SHA_DIGITS = 64


def looks_like_plan_file(given: str) -> bool:
    """Whether an argument that may be a plan file or a plan's id is meant as a file."""
    return given.endswith(SUFFIXES) or "/" in given or Path(given).is_file()


def draft_of(api: Api, path: Path) -> JsonObject:
    """The draft of a plan file, with what it still needs: the one there is, else a new one.

    Raises:
        PlanError: The file cannot be read, or does not say what a plan must.
    """
    document = read_plan_document(path)
    plan_file = read_plan(document, where=str(path))
    there = _same_draft(api, plan_file)
    if there is not None:
        detail: JsonObject = api.get(f"/api/v1/plans/{quote(there)}")["detail"]
        return detail
    return api.post("/api/v1/plans", {"document": document})


def read_plan_document(path: Path) -> Any:  # noqa: ANN401 - a JSON value
    """What a plan file holds; JSON is YAML too.

    Raises:
        PlanError: It cannot be read, or is no YAML.
    """
    try:
        return read_yaml(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path}: is not UTF-8 text: {error.reason}") from error
    except PromptFileError as error:
        raise PlanError(str(error)) from error


def _same_draft(api: Api, plan_file: PlanFile) -> str | None:
    """Id of the newest draft of this very plan, whose candidate still is what the plan names."""
    query = {
        "prompt": plan_file.prompt,
        "environment": plan_file.environment,
        "status": "draft",
    }
    sha = document_sha(plan_file)
    drafts = [
        each for each in api.get("/api/v1/plans", query)["plans"] if each["document_sha"] == sha
    ]
    if not drafts:
        return None
    candidate = _candidate_sha(api, plan_file)
    return next(
        (str(each["id"]) for each in reversed(drafts) if each["candidate"] == candidate), None
    )


def _candidate_sha(api: Api, plan_file: PlanFile) -> str:
    wanted = plan_file.candidate.removeprefix(f"{plan_file.prompt}@")
    is_sha = len(wanted) == SHA_DIGITS and all(digit in "0123456789abcdef" for digit in wanted)
    reference = f"sha:{wanted}" if is_sha else wanted
    found = api.get(f"{prompt_path(plan_file.prompt)}/versions/{segment(reference)}")
    return str(found["sha"])

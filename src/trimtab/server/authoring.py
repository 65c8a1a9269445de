"""Routes for versions: push, register, look up, diff, and the results of evaluations."""

from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from trimtab.prompts.diff import diff
from trimtab.prompts.version import version_from_identity
from trimtab.registry.registration import NewVersion
from trimtab.server.auth import may_read, principal_of
from trimtab.server.reply import reply
from trimtab.workspace import Workspace


class NewVersionBody(BaseModel):
    """A version to register: its identity object, and what people say of it."""

    model_config = ConfigDict(extra="forbid")

    identity: dict[str, Any]
    semver: str | None = None
    tag: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)


class PushItem(NewVersionBody):
    """One file of a folder."""

    prompt: str


class PushBody(BaseModel):
    """A whole folder, registered in one transaction, fragments first."""

    model_config = ConfigDict(extra="forbid")

    items: list[PushItem] = Field(min_length=1, max_length=5000)


def new_version(prompt: str, body: NewVersionBody) -> NewVersion:
    """The registry's record of a request."""
    return NewVersion(
        prompt=prompt,
        version=version_from_identity(body.identity),
        semver=body.semver,
        tag=body.tag,
        meta=body.meta,
    )


def authoring_routes(workspace: Workspace) -> APIRouter:
    """The routes, bound to a workspace."""
    routes = APIRouter(prefix="/api/v1", tags=["versions"])
    registry = workspace.registry

    @routes.post("/push")
    def push(body: PushBody, request: Request) -> Response:
        """Register a folder of prompts."""
        actor = principal_of(workspace, request)
        items = [new_version(item.prompt, item) for item in body.items]
        return reply({"registered": registry.registration.register_set(actor, items)})

    @routes.post("/prompts/{name}/versions")
    def register(name: str, body: NewVersionBody, request: Request) -> Response:
        """Register one version; the same content again gives back what is there."""
        actor = principal_of(workspace, request)
        (registered,) = registry.registration.register_set(actor, [new_version(name, body)])
        return reply(registered, status=201 if registered.created else 200)

    @routes.get("/prompts")
    def prompts(request: Request) -> Response:
        """Names of all prompts."""
        may_read(workspace, request)
        return reply({"prompts": registry.versions.prompts()})

    @routes.get("/prompts/{name}/versions")
    def versions(name: str, request: Request) -> Response:
        """All versions of a prompt, newest first."""
        may_read(workspace, request)
        return reply({"versions": registry.versions.versions(name)})

    @routes.get("/prompts/{name}/versions/{reference:path}")
    def version(name: str, reference: str, request: Request) -> Response:
        """One version with its identity and the fragments it includes."""
        may_read(workspace, request)
        record = registry.versions.resolve(f"{name}@{reference}")
        bodies = registry.versions.with_fragments([record.sha])
        fragments = {sha: each.identity for sha, each in bodies.items() if sha != record.sha}
        identity = bodies[record.sha].identity
        return reply({**_columns(record), "identity": identity, "fragments": fragments})

    @routes.get("/prompts/{name}/diff")
    def difference(name: str, old: str, new: str, request: Request) -> Response:
        """What changes from one version to another."""
        may_read(workspace, request)
        first, second = (
            registry.versions.with_fragments([sha])[sha]
            for sha in (registry.versions.resolve(f"{name}@{each}").sha for each in (old, new))
        )
        return reply(diff(first, second))

    _evaluation_routes(workspace, routes)
    return routes


class EvalBody(BaseModel):
    """What a run of a suite found for one version."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    version: str
    suite: str
    suite_sha: str
    verdict: Literal["pass", "fail"]
    baseline: str | None = None
    scores: dict[str, Any] = Field(default_factory=dict)


def _evaluation_routes(workspace: Workspace, routes: APIRouter) -> None:
    runs = workspace.registry.eval_runs

    @routes.post("/evals")
    def record(body: EvalBody, request: Request) -> Response:
        """Keep the result of a suite; promotions that waited for it go on."""
        run = runs.record(
            principal_of(workspace, request),
            prompt=body.prompt,
            version=body.version,
            suite=body.suite,
            suite_sha=body.suite_sha,
            scores=body.scores,
            verdict=body.verdict,
            baseline=body.baseline,
        )
        return reply(run, status=201)

    @routes.get("/evals")
    def listed(request: Request, prompt: str | None = None, sha: str | None = None) -> Response:
        """Results of suites, newest first."""
        may_read(workspace, request)
        return reply({"evals": runs.runs(prompt=prompt, sha=sha)})


def _columns(record: object) -> dict[str, Any]:
    """The fields of a record as JSON values."""
    built = msgspec.to_builtins(record)
    if not isinstance(built, dict):
        raise TypeError(f"want a record, got {type(record).__name__}")
    return built

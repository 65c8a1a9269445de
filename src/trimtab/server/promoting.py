"""Routes that change what runs: promotions, approvals, rollback, kill, plans, keys."""

from typing import Any, get_args

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from trimtab.errors import BadInput
from trimtab.registry.principals import Scope
from trimtab.releases.promotion import PromotionStatus
from trimtab.releases.rollout import PlanStatus, read_plan
from trimtab.server.auth import check_environment, may_read, principal_of
from trimtab.server.reply import reply
from trimtab.workspace import Workspace


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WhyBody(_Body):
    """The reason for a change, for the history."""

    why: str = Field(default="", max_length=2000)


class PromotionBody(WhyBody):
    """A version to make live, and the pointer's generation as the caller saw it (0: never)."""

    ref: str
    expected_generation: int = Field(ge=0)


class KillBody(WhyBody):
    """What to take off; without `from_generation`, what is live at receipt."""

    from_generation: int | None = Field(default=None, ge=0)


class RollbackBody(KillBody):
    """What to take back; `again` takes back once more within ten minutes."""

    again: bool = False


class PlanBody(_Body):
    """A plan file as JSON."""

    document: dict[str, Any]


class KeyBody(_Body):
    """A key to make."""

    name: str
    scopes: list[str]
    environments: list[str] | None = None


def promoting_routes(workspace: Workspace) -> APIRouter:
    """The routes, bound to a workspace."""
    routes = APIRouter(prefix="/api/v1")
    _promotion_routes(workspace, routes)
    _switch_routes(workspace, routes)
    _plan_routes(workspace, routes)
    _progress_routes(workspace, routes)
    _key_routes(workspace, routes)
    return routes


def _promotion_routes(workspace: Workspace, routes: APIRouter) -> None:
    registry = workspace.registry

    @routes.post("/environments/{environment}/prompts/{name}/promotions", tags=["promotions"])
    def promote(environment: str, name: str, body: PromotionBody, request: Request) -> Response:
        """Ask for a version to be live; it is at once if the policy wants nothing more."""
        actor = principal_of(workspace, request)
        promotion = registry.promotions.request(
            actor,
            environment=environment,
            prompt=name,
            version=body.ref,
            expected_generation=body.expected_generation,
            why=body.why,
        )
        return reply(promotion, status=201)

    @routes.get("/promotions", tags=["promotions"])
    def promotions(
        request: Request,
        environment: str | None = None,
        prompt: str | None = None,
        status: str | None = None,
    ) -> Response:
        """Promotions, newest first."""
        may_read(workspace, request)
        wanted = None if status is None else one_of(status, PromotionStatus, "status")
        found = registry.promotions.promotions(
            environment=environment, prompt=prompt, status=wanted
        )
        check_environment(workspace, environment, found=found)
        return reply({"promotions": found})

    @routes.get("/promotions/{promotion_id}", tags=["promotions"])
    def promotion(promotion_id: str, request: Request) -> Response:
        """One promotion."""
        may_read(workspace, request)
        return reply(registry.promotions.get(promotion_id))

    @routes.post("/promotions/{promotion_id}/approvals", tags=["promotions"])
    def approve(promotion_id: str, body: WhyBody, request: Request) -> Response:
        """Consent to a promotion; it goes live if nothing else is missing."""
        actor = principal_of(workspace, request)
        approved = registry.promotions.approve(actor, promotion_id, why=body.why)
        return reply(approved)

    @routes.post("/promotions/{promotion_id}/refusal", tags=["promotions"])
    def refuse(promotion_id: str, body: WhyBody, request: Request) -> Response:
        """Say no."""
        actor = principal_of(workspace, request)
        return reply(registry.promotions.refuse(actor, promotion_id, why=body.why))


def _switch_routes(workspace: Workspace, routes: APIRouter) -> None:
    take_backs = workspace.registry.takebacks
    prompt = "/environments/{environment}/prompts/{name}"

    @routes.post(prompt + "/rollback", tags=["taking back"])
    def rollback(environment: str, name: str, body: RollbackBody, request: Request) -> Response:
        """Abort the running plan, or move the pointer to the last good release."""
        taken = take_backs.rollback(
            principal_of(workspace, request),
            environment=environment,
            prompt=name,
            from_generation=body.from_generation,
            again=body.again,
            why=body.why,
        )
        return reply(taken)

    @routes.put(prompt + "/kill", tags=["taking back"])
    def kill(environment: str, name: str, body: KillBody, request: Request) -> Response:
        """Switch the prompt off: the baseline or the last good release is served."""
        killed = take_backs.kill(
            principal_of(workspace, request),
            environment=environment,
            prompt=name,
            from_generation=body.from_generation,
            why=body.why,
        )
        return reply(killed)

    @routes.delete(prompt + "/kill", tags=["taking back"])
    def unkill(environment: str, name: str, request: Request, why: str = "") -> Response:
        """Switch it on again."""
        actor = principal_of(workspace, request)
        return reply(take_backs.unkill(actor, environment=environment, prompt=name, why=why))


def _plan_routes(workspace: Workspace, routes: APIRouter) -> None:
    registry = workspace.registry

    @routes.post("/plans", tags=["plans"])
    def create(body: PlanBody, request: Request) -> Response:
        """Write a plan down as a draft; the answer says what it still needs to start."""
        actor = principal_of(workspace, request)
        plan_file = read_plan(body.document, where="the plan")
        record = registry.plans.create(actor, plan_file)
        return reply(registry.plans.get(record.id), status=201)

    @routes.get("/plans", tags=["plans"])
    def plans(
        request: Request,
        environment: str | None = None,
        prompt: str | None = None,
        status: str | None = None,
    ) -> Response:
        """Plans, oldest first."""
        may_read(workspace, request)
        statuses = None if status is None else [one_of(status, PlanStatus, "status")]
        found = registry.plans.plans(environment=environment, prompt=prompt, statuses=statuses)
        check_environment(workspace, environment, found=found)
        return reply({"plans": found})

    @routes.get("/plans/{plan_id}", tags=["plans"])
    def plan(plan_id: str, request: Request) -> Response:
        """One plan: where it stands, its epochs and moves, its newest assessment."""
        may_read(workspace, request)
        return reply(workspace.plan_report(plan_id))

    @routes.post("/plans/{plan_id}/approvals", tags=["plans"])
    def approve(plan_id: str, body: WhyBody, request: Request) -> Response:
        """Consent to this document, this candidate, and the baseline that is live now."""
        actor = principal_of(workspace, request)
        return reply(registry.plans.approve(actor, plan_id, why=body.why))

    @routes.post("/plans/{plan_id}/start", tags=["plans"])
    def start(plan_id: str, body: WhyBody, request: Request) -> Response:
        """Freeze the plan and divide the traffic by its first step."""
        actor = principal_of(workspace, request)
        return reply(workspace.start_plan(actor, plan_id, why=body.why))


def _progress_routes(workspace: Workspace, routes: APIRouter) -> None:
    registry = workspace.registry

    @routes.post("/plans/{plan_id}/pause", tags=["plans"])
    def pause(plan_id: str, body: WhyBody, request: Request) -> Response:
        """Stop the ramp where it is; guardrails still watch."""
        actor = principal_of(workspace, request)
        return reply(registry.progress.pause(actor, plan_id, why=body.why))

    @routes.post("/plans/{plan_id}/resume", tags=["plans"])
    def resume(plan_id: str, body: WhyBody, request: Request) -> Response:
        """Let the ramp go on from where it is."""
        actor = principal_of(workspace, request)
        return reply(registry.progress.resume(actor, plan_id, why=body.why))

    @routes.post("/plans/{plan_id}/advance", tags=["plans"])
    def advance(plan_id: str, body: WhyBody, request: Request) -> Response:
        """Go to the next step now, without waiting for its hold."""
        actor = principal_of(workspace, request)
        return reply(registry.progress.advance(actor, plan_id, why=body.why))

    @routes.post("/plans/{plan_id}/abort", tags=["plans"])
    def abort(plan_id: str, body: WhyBody, request: Request) -> Response:
        """End the plan without a verdict: the baseline stays."""
        actor = principal_of(workspace, request)
        return reply(registry.progress.abort(actor, plan_id, why=body.why))


def _key_routes(workspace: Workspace, routes: APIRouter) -> None:
    principals = workspace.registry.principals

    @routes.get("/keys", tags=["keys"])
    def keys(request: Request) -> Response:
        """All keys without their secrets; needs the scope `admin`."""
        principal_of(workspace, request).require("admin")
        return reply({"keys": principals.list_keys()})

    @routes.post("/keys", tags=["keys"])
    def create(body: KeyBody, request: Request) -> Response:
        """Make a key; its secret is told this once."""
        actor = principal_of(workspace, request)
        secret = principals.create_key(
            actor,
            name=body.name,
            scopes=[one_of(scope, Scope, "scope") for scope in body.scopes],
            environments=body.environments,
        )
        return reply({"name": body.name, "secret": secret}, status=201, secret=True)

    @routes.delete("/keys/{name}", tags=["keys"])
    def revoke(name: str, request: Request) -> Response:
        """End a key."""
        return reply(principals.revoke(principal_of(workspace, request), name))


def one_of(value: str, literal: Any, what: str) -> Any:  # noqa: ANN401 - a Literal type, and its value
    """The value if the Literal type has it.

    Raises:
        BadInput: It has not; the message lists what it has.
    """
    choices = get_args(literal)
    if value not in choices:
        raise BadInput(f"{what} is {value!r}; choose from {', '.join(map(str, choices))}")
    return value

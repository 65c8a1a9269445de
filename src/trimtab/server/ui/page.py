"""The page at `/` and the few files it needs."""

from importlib import resources

import jinja2
from fastapi import APIRouter, Request, Response

from trimtab.errors import NotFound
from trimtab.server.auth import may_read
from trimtab.server.ui import view
from trimtab.workspace import Workspace
from trimtab.workspace.workspace import now as time_now

PLANS_SHOWN = 6
CHANGES_SHOWN = 20
ROWS_READ = 300
FILES = {
    "trimtab.css": "text/css; charset=utf-8",
    "refresh.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}
# Nothing from elsewhere, nothing inline: what a page shows came from this server's files.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_routes(workspace: Workspace) -> APIRouter:
    """The routes, bound to a workspace."""
    routes = APIRouter(include_in_schema=False)
    package = resources.files("trimtab.server.ui")
    templates = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = templates.from_string((package / "templates/page.html").read_text(encoding="utf-8"))
    files = {name: (package / "static" / name).read_bytes() for name in FILES}

    @routes.get("/")
    def page(request: Request) -> Response:
        """What runs where, what is being rolled out, what changed."""
        may_read(workspace, request)
        shown = page_view(workspace, gateway=f"{str(request.base_url).rstrip('/')}/v1")
        return Response(template.render(page=shown), headers=HEADERS, media_type="text/html")

    @routes.get("/ui/{name}")
    def file(name: str) -> Response:
        """Style, script and mark."""
        if name not in files:
            raise NotFound(f"no file /ui/{name}; there are {', '.join(files)}")
        return Response(files[name], headers=HEADERS, media_type=FILES[name])

    return routes


def page_view(workspace: Workspace, *, gateway: str) -> view.Shown:
    """Everything on the page."""
    now = time_now()
    registry = workspace.registry
    plans = view.most_wanted(registry.plans.plans(), most=PLANS_SHOWN)
    status = registry.board.status()
    return {
        "title": "what runs where",
        "now": f"{now:%H:%M:%S}",
        "now_iso": now.isoformat(),
        "gateway": gateway,
        "environments": list(workspace.settings.policies),
        "matrix": view.matrix(status),
        "rollouts": [view.rollout(workspace.plan_report(plan.id), now) for plan in plans],
        "versions": view.versions(workspace.rollup()),
        "changes": view.changes(registry.audit.rows(limit=ROWS_READ), now, most=CHANGES_SHOWN),
    }

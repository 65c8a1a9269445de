"""The management API: typed routes for people and their tools, in FastAPI's thread pool."""

from fastapi import FastAPI

from trimtab.server.authoring import authoring_routes
from trimtab.server.envelope import Envelope
from trimtab.server.insight import insight_routes
from trimtab.server.problems import answer_with_problems
from trimtab.server.promoting import promoting_routes
from trimtab.server.ui.page import page_routes
from trimtab.workspace import Workspace

DESCRIPTION = """Versions, promotions, plans and what came of them.

Send `Authorization: Bearer KEY`. Writes take an `Idempotency-Key`: the same write with the same key
is done once and answered alike. Errors are problem+json and say what happened, with which value,
and the way out. Bodies are JSON of at most 8 MiB.
"""


def management_app(workspace: Workspace, *, log: str = "the server's log") -> FastAPI:
    """The FastAPI application of a workspace; `log` is where failures are told in full."""
    app = FastAPI(
        title="trimtab",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    answer_with_problems(app)
    app.add_middleware(Envelope, workspace=workspace, log=log)
    for routes in (authoring_routes, promoting_routes, insight_routes, page_routes):
        app.include_router(routes(workspace))
    return app

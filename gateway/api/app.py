"""The application: every route under /v1, problems for every refusal, an OpenAPI document true to both."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import at_desk, events, health, lots, returns, sheets, shown
from gateway.api.asked import CareActIn, CareRequestIn, SessionIn
from gateway.api.asking import only_known
from gateway.api.limits import Limits
from gateway.api.problems import CODES, MEDIA_TYPE, Problem, install
from gateway.api.service import Service
from gateway.audit import acting

ADDRESSES = ("/v1", "/metrics", "/healthz", "/readyz")
"""What the API answers itself, and all below it."""

Page = ASGIApp
"""The practice's page (gateway/page), as an application of its own."""

REFERENCE = "#/components/schemas/{model}"
_ASKED: tuple[type[BaseModel], ...] = (CareActIn, CareRequestIn, SessionIn)
_STATUSES = (400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 502, 503)
_DESCRIPTION = """\
For practice software. Every request carries the token of that software (`Authorization: Bearer`), every
write an `Idempotency-Key`: the same key again gives the same answer and does nothing twice. Every refusal
is a problem (RFC 9457) with one sentence and a stable code. Amounts are in cents, times in UTC. Only
`rights`, `attestation` and `twin` answer with names and NIR of patients."""


def make_app(service: Service, page: Page | None = None) -> FastAPI:
    """The API of one gateway, ready for an ASGI server, and beside it the practice's page if there is one."""
    app = FastAPI(
        title="vitale-gateway",
        version=version("vitale-gateway"),
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service, app.state.say = service, service.daemon.say
    app.state.connections = lambda: 0  # the server knows better
    if page is not None:
        app.add_middleware(Beside, page=page)
    app.add_middleware(Limits)
    app.include_router(health.router)
    install(app)
    for router in (_about(), at_desk.router, sheets.router, lots.router, returns.router, events.router):
        app.include_router(router, prefix="/v1", responses=_problems(), dependencies=[Depends(only_known)])
    whole = app.openapi
    app.openapi = lambda: _complete(whole())  # type: ignore[method-assign]
    return app


class Beside:
    """Around the API: what is at no address of its own goes to the page, inside the same limits."""

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self._app, self._page = app, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to one of the two."""
        path = scope["path"] if scope["type"] == "http" else ""
        is_own = any(path == own or path.startswith(f"{own}/") for own in ADDRESSES)
        if is_own or not path:
            await self._app(scope, receive, send)
            return
        with acting("page"):
            await self._page(scope, receive, send)


def _about() -> APIRouter:
    router = APIRouter(tags=["about"])

    @router.get("/problems", response_model=shown.Problems)
    def problems() -> shown.Problems:
        """Every code that the API itself gives, with its status and title. Needs no token."""
        known = [
            shown.Known(code=code, status=status, title=title) for code, (status, title) in CODES.items()
        ]
        return shown.Problems(problems=known)

    return router


def _problems() -> dict[int | str, dict[str, Any]]:
    """The refusals of any route: one document for all of them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    return {status: {"description": "Refused", "content": content} for status in _STATUSES}


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    """The framework's document, with the bodies that the parsers of the gateway read, and the problem."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    if "Problem" not in schemas:
        models = [(model, "validation") for model in (*_ASKED, Problem)]
        _, found = models_json_schema(models, ref_template=REFERENCE)  # type: ignore[arg-type]
        schemas |= found["$defs"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
    return document

"""The portal as an ASGI application: every request passes one door, which knows who asks before a page does.

The door checks the Host (a page elsewhere must not reach this port by another name), the session cookie
(HttpOnly, SameSite=Strict), the form key of every POST, and sizes. Pages are plain functions of a Visit.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from gateway.errors import GatewayError, InputError
from tools.portal.entrance import Entrance
from tools.portal.sessions import Session, Sessions
from tools.portal.views import STYLE, Views
from tools.portal.visit import CSS, Reply, Route, Visit
from tools.receiver.server import is_loopback

COOKIE = "portail"
MAX_FORM = 8 * 1024
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Door:
    """Turns requests into visits, and replies into responses."""

    def __init__(self, routes: Mapping[tuple[str, str], Route], sessions: Sessions, views: Views) -> None:
        self._routes, self._sessions, self._views = dict(routes), sessions, views
        self._style = Reply(STYLE.read_bytes(), media=CSS)

    async def __call__(self, request: Request) -> Response:
        """One request, whatever it asks."""
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if host != "localhost" and not is_loopback(host):
            return Response("adresse refusée\n", HTTPStatus.MISDIRECTED_REQUEST, headers=_HEADERS)
        body = await _body(request)
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        fresh = session is None
        session = session or self._sessions.begin()
        reply = await run_in_threadpool(self._answer, request, session, body)
        return _response(reply, reply.session or (session if fresh else None))

    def _answer(self, request: Request, session: Session, body: bytes | None) -> Reply:
        path = request.url.path
        visit = Visit(session, path, _once(request.url.query[:2000]), _once(_text(body or b"")))
        if path == "/style.css":
            return self._style
        route = self._routes.get((request.method, path))
        if route is None:
            return self._trouble(visit, HTTPStatus.NOT_FOUND, "Cette page n'existe pas.")
        if route.role and route.role != session.role:
            return self._not_for(visit)
        if body is None:
            return self._trouble(visit, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Ce formulaire est trop grand.")
        if request.method == "POST" and not (
            _is_same_site(request) and session.owns_form(visit.form.get("cle", ""))
        ):
            sentence = "Ce formulaire a expiré : revenez à la page et envoyez-le de nouveau."
            return self._trouble(visit, HTTPStatus.FORBIDDEN, sentence)
        return self._page(route, visit)

    def _page(self, route: Route, visit: Visit) -> Reply:
        try:
            return route.page(visit)
        except InputError as refusal:
            return self._trouble(visit, HTTPStatus.BAD_REQUEST, str(refusal))
        except (GatewayError, OSError):
            return self._trouble(
                visit, HTTPStatus.SERVICE_UNAVAILABLE, "Indisponible pour l'instant : réessayez."
            )

    def _not_for(self, visit: Visit) -> Reply:
        """Not signed in: to the entrance. Signed in as somebody else: as if the page did not exist."""
        if not visit.session.role:
            return Reply(status=303, location="/")
        return self._trouble(visit, HTTPStatus.NOT_FOUND, "Cette page n'existe pas.")

    def _trouble(self, visit: Visit, status: HTTPStatus, sentence: str) -> Reply:
        return self._views.page(visit, "erreur", status, sentence=sentence)


def make_app(
    routes: Mapping[tuple[str, str], Route], entrance: Entrance, sessions: Sessions, views: Views
) -> FastAPI:
    """The application, ready for a server."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    door = Door({**routes, **entrance.routes()}, sessions, views)

    async def every(request: Request) -> Response:
        return await door(request)

    app.add_route("/{path:path}", every, methods=["GET", "POST"])
    return app


async def _body(request: Request) -> bytes | None:
    """The body, None when it is larger than any form here."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            return None
    return body


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _once(text: str) -> dict[str, str]:
    """Names and values of a form or a query; the last one of a name stands."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=40))
    except ValueError:
        return {}


def _is_same_site(request: Request) -> bool:
    """A browser says where a form comes from; what says nothing is no browser."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _response(reply: Reply, session: Session | None) -> Response:
    response = Response(reply.body, reply.status, media_type=reply.media, headers=dict(_HEADERS))
    if reply.location:
        response.headers["Location"] = reply.location
    if reply.filename:
        response.headers["Content-Disposition"] = f'attachment; filename="{reply.filename}"'
    if session is not None:
        response.set_cookie(COOKIE, session.token, httponly=True, samesite="strict", path="/")
    return response

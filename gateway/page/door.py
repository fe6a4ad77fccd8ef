"""The page as an ASGI application: every request passes one door, which knows who asks before a page does.

The door checks the Host (a page elsewhere must not reach this port by another name), the session cookie
(HttpOnly, SameSite=Strict), the form key of every POST and where it comes from. Sizes and slow clients are
bounded around it, by the API's own limits. Pages are plain functions of a Visit.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from gateway.api.problems import problem_of
from gateway.api.service import Service
from gateway.errors import GatewayError
from gateway.page.events import Stream, stamp, stream
from gateway.page.room import Room
from gateway.page.said import say
from gateway.page.sessions import Session, Sessions, same
from gateway.page.texts import LANGUAGES, TEXTS, Texts
from gateway.page.views import STATIC, Views
from gateway.page.visit import CSS, JS, SVG, Reply, Route, Routes, Visit, go
from reader.errors import ReaderError

COOKIE, DOOR_COOKIE, LANGUAGE_COOKIE = "cabinet", "porte", "langue"
EVENTS = "/evenements"
_FILES = {"/page.css": ("page.css", CSS), "/page.js": ("page.js", JS), "/page.svg": ("page.svg", SVG)}
_YEAR = 365 * 86_400
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_MAX_FIELDS = 400


class Door:
    """Turns requests into visits, and replies into responses."""

    def __init__(
        self,
        service: Service,
        routes: Routes,
        sessions: Sessions,
        views: Views,
        language: str = "fr",
        hosts: Collection[str] = (),
    ) -> None:
        self._service, self._routes, self._sessions = service, routes, sessions
        self._views, self._language, self._hosts = views, language, frozenset(hosts)
        self._secret = service.daemon.practice.rng(32)
        self._rng = service.daemon.practice.rng
        self._rooms: dict[str, Room] = {}

    def room(self, practice: str) -> Room:
        """The room of a practice; one for all its browsers, so that a card is read once."""
        return self._rooms.setdefault(practice, Room(self._service, practice))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, whatever it asks."""
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if not self._is_ours(host):
            return Response("421\n", HTTPStatus.MISDIRECTED_REQUEST, headers=_HEADERS)
        path = request.url.path
        if request.method == "GET" and path in _FILES:
            name, media = _FILES[path]
            return Response((STATIC / name).read_bytes(), media_type=media, headers=_HEADERS)
        texts = self._texts(request)
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        if path == EVENTS and request.method == "GET":
            return await run_in_threadpool(self._stream, session, request.query_params.get("depuis", ""))
        door = request.cookies.get(DOOR_COOKIE, "")
        door = door if re.fullmatch(r"[0-9a-f]{32}", door) else self._rng(16).hex()
        visit = Visit(
            texts,
            path,
            session,
            None if session is None else self.room(session.practice),
            _once(request.url.query[:4000]),
            door_key=self._door_key(door),
        )
        try:
            body = await request.body()
        except GatewayError as refusal:
            return self._response(self._trouble(visit, refusal), visit, request, door)
        visit = Visit(**{**visit.__dict__, "form": _once(body.decode("utf-8", "replace"))})
        reply = await run_in_threadpool(self._answer, request, visit)
        return self._response(reply, visit, request, door)

    def _stream(self, session: Session | None, since: str) -> Response:
        headers = {**_HEADERS, "Cache-Control": "no-store"}
        if session is None:
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers=headers)
        return stream(Stream(self.room(session.practice), session, since), headers)

    def _answer(self, request: Request, visit: Visit) -> Reply:
        found = self._find(request.method, visit.path)
        if found is None:
            return self._views.page(visit, "erreur", HTTPStatus.NOT_FOUND, sentence=visit.texts("error.none"))
        route, parts = found
        visit = Visit(**{**visit.__dict__, "parts": parts})
        if visit.session is None and not route.open:
            return self._to_the_door(visit)
        if request.method == "POST" and not self._is_own_form(request, visit):
            sentence = visit.texts("error.form")
            return self._views.page(visit, "erreur", HTTPStatus.FORBIDDEN, sentence=sentence)
        try:
            visit = Visit(**{**visit.__dict__, "stamp": self._stamp(visit)})
            if request.method == "POST" and visit.session is not None:
                with visit.session.guard:
                    return route.page(visit)
            return route.page(visit)
        except (GatewayError, ReaderError) as refusal:
            return self._trouble(visit, refusal)
        except Exception as mistake:
            self._service.daemon.say(f"the page made a mistake ({type(mistake).__name__}): please report it")
            sentence = visit.texts("error.mistake")
            return self._views.page(visit, "erreur", HTTPStatus.INTERNAL_SERVER_ERROR, sentence=sentence)

    @staticmethod
    def _stamp(visit: Visit) -> str:
        return "" if visit.room_or_none is None else stamp(visit.room)

    def _find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        """The route of a path: as it is written, or with one word in the place of {}."""
        method = "GET" if method == "HEAD" else method
        if (method, path) in self._routes:
            return self._routes[method, path], ()
        words = path.split("/")
        for at, word in enumerate(words):
            shape = "/".join((*words[:at], "{}", *words[at + 1 :]))
            if word and (method, shape) in self._routes:
                return self._routes[method, shape], (word,)
        return None

    def _to_the_door(self, visit: Visit) -> Reply:
        if visit.path.startswith("/morceau/"):
            return Reply(status=HTTPStatus.UNAUTHORIZED)
        return go("/connexion")

    def _trouble(self, visit: Visit, refusal: GatewayError | ReaderError) -> Reply:
        status = problem_of(refusal).status
        return self._views.page(visit, "erreur", status, sentence=say(visit.texts, refusal).text)

    def _is_own_form(self, request: Request, visit: Visit) -> bool:
        """A form of ours carries the key of its visitor, and a browser says that it comes from here."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return False
        if site is not None and site not in ("same-origin", "none"):
            return False
        given = visit.form.get("cle", "")
        if visit.session is not None:
            return visit.session.owns_form(given)
        return bool(request.cookies.get(DOOR_COOKIE)) and same(visit.door_key, given)

    def _is_ours(self, host: str) -> bool:
        if host == "localhost" or host in self._hosts:
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    def _texts(self, request: Request) -> Texts:
        asked = (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE), self._language)
        return TEXTS[next(one for one in asked if one in LANGUAGES)]

    def _door_key(self, door: str) -> str:
        return hmac.digest(self._secret, door.encode(), hashlib.sha256).hex()

    def _response(self, reply: Reply, visit: Visit, request: Request, door: str) -> Response:
        response = Response(reply.body, reply.status, media_type=reply.media, headers=dict(_HEADERS))
        response.headers["Cache-Control"] = "no-store"
        if reply.location:
            response.headers["Location"] = reply.location
        if reply.filename:
            response.headers["Content-Disposition"] = f'attachment; filename="{reply.filename}"'
        is_far = not self._is_near(request)
        if reply.session is not None:
            _set(response, COOKIE, reply.session.token, secure=is_far)
        elif reply.leaves:
            response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        if visit.session is None and request.cookies.get(DOOR_COOKIE) != door:
            _set(response, DOOR_COOKIE, door, secure=is_far)
        if request.query_params.get("lang") in LANGUAGES:
            _set(response, LANGUAGE_COOKIE, visit.texts.language, secure=is_far, seconds=_YEAR)
        return response

    def _is_near(self, request: Request) -> bool:
        """Whether the browser is on this machine: elsewhere there is a TLS proxy before us."""
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        return host not in self._hosts or host == "localhost"


def _set(response: Response, name: str, value: str, *, secure: bool, seconds: int | None = None) -> None:
    response.set_cookie(
        name, value, max_age=seconds, httponly=True, samesite="strict", path="/", secure=secure
    )


def _once(text: str) -> Mapping[str, str]:
    """Names and values of a form or a query; the last one of a name stands."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        return {}

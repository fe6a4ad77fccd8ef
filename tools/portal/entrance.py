"""Signing in with an access code, and out. Who is in sees the own pages first."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from gateway.brake import Brake
from tools.portal.register import Register
from tools.portal.sessions import Sessions
from tools.portal.views import Views
from tools.portal.visit import INSURED, STAFF, Reply, Route, Visit

HOMES = {INSURED: "/remboursements", STAFF: "/controle"}
_WRONG = "Ce code n'ouvre aucun compte. Les codes sont affichés par le banc d'essai."
_WAIT = "Trop d'essais : attendez une minute, puis recommencez."


class Entrance:
    """The pages for everybody."""

    def __init__(self, register: Register, sessions: Sessions, brake: Brake, views: Views) -> None:
        self._register, self._sessions, self._brake, self._views = register, sessions, brake, views

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Method and path → page."""
        return {
            ("GET", "/"): Route("", self.door),
            ("POST", "/connexion"): Route("", self.enter),
            ("POST", "/deconnexion"): Route("", self.leave),
        }

    def door(self, visit: Visit) -> Reply:
        """The form, or the first page of who is in."""
        if visit.session.role:
            return Reply(status=303, location=HOMES[visit.session.role])
        return self._views.page(visit, "entree", wrong="")

    def enter(self, visit: Visit) -> Reply:
        """A code: a new session for its owner. Five wrong ones in a minute close the door for all."""
        code = visit.form.get("code", "")
        if self._brake.is_on:
            return self._views.page(visit, "entree", HTTPStatus.TOO_MANY_REQUESTS, wrong=_WAIT)
        family = self._register.enter(code)
        role = INSURED if family is not None else STAFF if self._register.is_controller(code) else ""
        if not role:
            self._brake.wrong()
            return self._views.page(visit, "entree", HTTPStatus.FORBIDDEN, wrong=_WRONG)
        self._sessions.end(visit.session)
        return Reply(status=303, location=HOMES[role], session=self._sessions.begin(role, family))

    def leave(self, visit: Visit) -> Reply:
        """Out: the session is forgotten."""
        self._sessions.end(visit.session)
        return Reply(status=303, location="/", session=self._sessions.begin())

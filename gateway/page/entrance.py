"""Signing in with the access code of a practice, or by a one-time link, and out."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.brake import Brake
from gateway.page.codes import Codes
from gateway.page.sessions import Sessions
from gateway.page.views import Views
from gateway.page.visit import Reply, Route, Routes, Visit, go

FORBIDDEN, TOO_MANY = 403, 429


@dataclass(frozen=True)
class Entrance:
    """The pages for everybody."""

    views: Views
    codes: Codes
    sessions: Sessions
    brake: Brake

    def routes(self) -> Routes:
        """Method and path → page."""
        return {
            ("GET", "/connexion"): Route(self.door, open=True),
            ("POST", "/connexion"): Route(self.enter, open=True),
            ("GET", "/entrer/{}"): Route(self.follow, open=True),
            ("POST", "/deconnexion"): Route(self.leave, open=True),
        }

    def door(self, visit: Visit) -> Reply:
        """The form, or the desk for who is in."""
        return go("/") if visit.session is not None else self.views.page(visit, "connexion", wrong="")

    def enter(self, visit: Visit) -> Reply:
        """A code: a new session for its practice. Five wrong ones in a minute close the door for all."""
        if self.brake.is_on:
            wrong, status = visit.texts("door.wait"), TOO_MANY
            return self.views.page(visit, "connexion", status, wrong=wrong)
        practice = self.codes.practice_of(visit.form.get("code", "")[:80])
        if not practice:
            self.brake.wrong()
            wrong = visit.texts("door.wrong")
            return self.views.page(visit, "connexion", FORBIDDEN, wrong=wrong)
        return Reply(status=303, location="/", session=self.sessions.begin(practice))

    def follow(self, visit: Visit) -> Reply:
        """A one-time link. Its page goes on by itself: a strict cookie is not sent where a link redirects."""
        session = self.sessions.follow(visit.parts[0][:80])
        if session is None:
            wrong = visit.texts("door.link")
            return self.views.page(visit, "connexion", FORBIDDEN, wrong=wrong)
        reply = self.views.page(visit, "entrer")
        return Reply(reply.body, session=session)

    def leave(self, visit: Visit) -> Reply:
        """Out: the session is forgotten. The CPS stays as it is: its own button closes it."""
        if visit.session is not None:
            self.sessions.end(visit.session)
        return Reply(status=303, location="/connexion", leaves=True)

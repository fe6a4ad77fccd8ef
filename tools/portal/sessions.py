"""Who is signed in: sessions in memory, one form key each, and a brake on guessing access codes."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass, field

from gateway.clock import Clock, Rng
from tools.portal.register import Family

IDLE_SECONDS = 15 * 60
MAX_SESSIONS = 1000


@dataclass
class Session:
    """One browser. `family` is None for the controller, and before signing in (`role` is then "")."""

    token: str = field(repr=False)
    form_key: str = field(repr=False)
    role: str = ""
    family: Family | None = field(default=None, repr=False)
    notice: str = field(default="", repr=False)
    seen: float = 0.0

    def owns_form(self, given: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(self.form_key.encode(), given.encode("utf-8", "replace"))

    def take_notice(self) -> str:
        """What the last action has to say, once."""
        notice, self.notice = self.notice, ""
        return notice


class Sessions:
    """Every session that is alive. Thread-safe."""

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock, self._rng = clock, rng
        self._alive: dict[str, Session] = {}
        self._guard = threading.Lock()

    def find(self, token: str) -> Session | None:
        """The session of this cookie, unless it was idle for a quarter of an hour."""
        now = self._clock.monotonic()
        with self._guard:
            session = self._alive.get(token)
            if session is None or now - session.seen > IDLE_SECONDS:
                self._alive.pop(token, None)
                return None
            session.seen = now
            return session

    def begin(self, role: str = "", family: Family | None = None) -> Session:
        """A fresh session: signing in never keeps the cookie of before (session fixation)."""
        session = Session(self._rng(32).hex(), self._rng(32).hex(), role, family)
        session.seen = self._clock.monotonic()
        with self._guard:
            while len(self._alive) >= MAX_SESSIONS:
                self._alive.pop(next(iter(self._alive)))
            self._alive[session.token] = session
        return session

    def end(self, session: Session) -> None:
        """Forget it."""
        with self._guard:
            self._alive.pop(session.token, None)

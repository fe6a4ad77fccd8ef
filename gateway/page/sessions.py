"""Who is signed in: sessions in memory, one form key each, one-time links, and a brake on guessing codes."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass, field

from gateway.clock import Clock, Rng

IDLE_SECONDS, LONGEST_SECONDS = 2 * 3600.0, 12 * 3600.0
"""A browser that is left alone, and any browser at all, signs in again after so long."""

MAX_SESSIONS = 200
LINK_SECONDS = 3600.0


@dataclass
class Session:
    """One browser of one practice. `habits`: what it chose last, such as the third-party payment.

    `guard` is held by a form at work: a second click on the same button waits and finds it done.
    """

    token: str = field(repr=False)
    form_key: str = field(repr=False)
    practice: str
    began: float
    seen: float
    notice: str = field(default="", repr=False)
    habits: dict[str, str] = field(default_factory=dict, repr=False)
    streams: int = 0
    ended: bool = False
    guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def owns_form(self, given: str) -> bool:
        """Whether a form was made for this session."""
        return same(self.form_key, given)

    def take_notice(self) -> str:
        """What the last action has to say, once."""
        notice, self.notice = self.notice, ""
        return notice


def same(kept: str, given: str) -> bool:
    """Constant-time comparison of two texts."""
    return hmac.compare_digest(kept.encode(), given.encode("utf-8", "replace"))


class Sessions:
    """Every session that is alive. Thread-safe; only who showed a code or a link has one."""

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock, self._rng = clock, rng
        self._alive: dict[str, Session] = {}
        self._links: dict[str, tuple[str, float]] = {}
        self._guard = threading.Lock()

    def find(self, token: str) -> Session | None:
        """The session of this cookie, unless it was idle or open for too long."""
        now = self._clock.monotonic()
        with self._guard:
            session = self._alive.get(token)
            if session is None:
                return None
            if now - session.seen > IDLE_SECONDS or now - session.began > LONGEST_SECONDS:
                self._drop(token)
                return None
            session.seen = now
            return session

    def begin(self, practice: str) -> Session:
        """A fresh session: signing in never keeps a cookie of before (session fixation)."""
        now = self._clock.monotonic()
        session = Session(self._rng(32).hex(), self._rng(32).hex(), practice, now, now)
        with self._guard:
            while len(self._alive) >= MAX_SESSIONS:
                self._drop(min(self._alive, key=lambda token: self._alive[token].seen))
            self._alive[session.token] = session
        return session

    def end(self, session: Session) -> None:
        """Forget it; its event streams end too."""
        with self._guard:
            self._drop(session.token)

    def link(self, practice: str) -> str:
        """A word that signs in once, within an hour."""
        word = self._rng(24).hex()
        with self._guard:
            self._links[word] = practice, self._clock.monotonic()
        return word

    def follow(self, word: str) -> Session | None:
        """The session of a one-time link; None for one that was used, is too old, or never was."""
        with self._guard:
            practice, made = self._links.pop(word, ("", 0.0))
        if not practice or self._clock.monotonic() - made > LINK_SECONDS:
            return None
        return self.begin(practice)

    def _drop(self, token: str) -> None:
        session = self._alive.pop(token, None)
        if session is not None:
            session.ended = True

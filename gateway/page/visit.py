"""One request for a page as the pages see it, and what they answer: no framework in either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.page.texts import Texts

if TYPE_CHECKING:
    from gateway.page.room import Room
    from gateway.page.sessions import Session

HTML, CSS, JS = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"
CSV, TEXT, SVG = "text/csv; charset=utf-8", "text/plain; charset=utf-8", "image/svg+xml"
SEE_OTHER = 303


@dataclass(frozen=True)
class Visit:
    """Who asks for what. `query` and `form` hold each name once; `room` is the practice that is signed in.

    `door_key`: the form key of a browser that is not signed in; `stamp`: what the practice was like when the
    visit began, so that no later change is missed.
    """

    texts: Texts
    path: str
    session: Session | None = field(default=None, repr=False)
    room_or_none: Room | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    parts: tuple[str, ...] = ()
    door_key: str = field(default="", repr=False)
    stamp: str = ""

    @property
    def room(self) -> Room:
        """The practice; only pages for who is signed in ask."""
        assert self.room_or_none is not None  # noqa: S101 - the door let nobody else in
        return self.room_or_none

    @property
    def who(self) -> Session:
        """The session; only pages for who is signed in ask."""
        assert self.session is not None  # noqa: S101 - the door let nobody else in
        return self.session

    @property
    def form_key(self) -> str:
        """What every form of this visitor carries."""
        return self.door_key if self.session is None else self.session.form_key


@dataclass(frozen=True)
class Reply:
    """A page, a file to keep (`filename`), or, with `location`, where to go next.

    `session`: the one that begins with this answer; `leaves`: the one of the visitor ends with it.
    """

    body: bytes = field(default=b"", repr=False)
    status: int = 200
    media: str = HTML
    location: str = ""
    filename: str = ""
    session: Session | None = field(default=None, repr=False)
    leaves: bool = False
    may_be_kept: bool = False


Page = Callable[[Visit], Reply]
Routes = Mapping[tuple[str, str], "Route"]
"""Method and path → page; a part of a path written as {} takes any word, and the page gets it in `parts`."""


@dataclass(frozen=True)
class Route:
    """A page, and whether it is for everybody (`open`) or for a practice that is signed in."""

    page: Page
    open: bool = False


def go(path: str, visit: Visit | None = None, notice: str = "") -> Reply:
    """After a form: say what was done on the next page (303, so that reloading asks nothing again)."""
    if visit is not None and visit.session is not None and notice:
        visit.session.notice = notice
    return Reply(status=SEE_OTHER, location=path)

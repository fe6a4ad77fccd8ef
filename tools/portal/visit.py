"""One request for a page as the pages see it, and what they answer: no framework in either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tools.portal.register import Family
from tools.portal.sessions import Session

HTML, PDF, CSS = "text/html; charset=utf-8", "application/pdf", "text/css; charset=utf-8"
INSURED, STAFF = "insured", "controller"


@dataclass(frozen=True)
class Visit:
    """Who asks for what. `query` and `form` hold each name once."""

    session: Session = field(repr=False)
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def family(self) -> Family:
        """The family that is signed in; only pages for the insured ask."""
        assert self.session.family is not None
        return self.session.family


@dataclass(frozen=True)
class Reply:
    """A page, a file to keep (`filename`), or, with `location`, where to go next."""

    body: bytes = field(default=b"", repr=False)
    status: int = 200
    media: str = HTML
    location: str = ""
    filename: str = ""
    session: Session | None = field(default=None, repr=False)


Page = Callable[[Visit], Reply]


@dataclass(frozen=True)
class Route:
    """A page and who may see it: INSURED, STAFF, or "" for everybody."""

    role: str
    page: Page


def go(visit: Visit, path: str, notice: str = "") -> Reply:
    """After a form: say what was done on the next page (303, so that reloading asks nothing again)."""
    visit.session.notice = notice
    return Reply(status=303, location=path)

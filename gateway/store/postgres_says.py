"""What a PostgreSQL server says when it refuses something, each in one sentence of ours."""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from gateway.errors import StoreError

_UNREACHED = "cannot be reached, and nothing of this step was kept ({said}): start it, or correct its address"


class _Said(NamedTuple):
    """What we say of an SQLSTATE that begins so."""

    state: str
    words: str
    code: str

    def about(self, place: str, said: str) -> StoreError:
        """The refusal, about the store at this place."""
        return StoreError(f"the store {place} {self.words.format(said=said)}", code=self.code)


_SENTENCES = (
    _Said("08", _UNREACHED, code="unreachable"),
    _Said("57P", _UNREACHED, code="unreachable"),
    _Said("25P03", _UNREACHED, code="unreachable"),
    _Said("28", "does not let this user in: correct user and password in its address", code="open"),
    _Said("3D000", "is not there: make the database first, with the encoding UTF8", code="open"),
    _Said(
        "42501",
        "does not let this user do that: give it the rights on the database and its schema",
        code="open",
    ),
    _Said(
        "53100",
        "has a full disk: nothing was lost and nothing was accepted; free some space and try again",
        code="no-space",
    ),
    _Said("53", "has no room for one more ({said}): try again, or let it take more connections", code="busy"),
    _Said(
        "25006", "may only be read here: work with the main server, or let this user write", code="read-only"
    ),
    _Said(
        "40", "was kept busy by another gateway: nothing of this step was kept, try again", code="conflict"
    ),
    _Said(
        "23505",
        "has this already from another gateway: nothing of this step was kept, try again",
        code="conflict",
    ),
    _Said("55P03", "is held by another program: close that program and try again", code="busy"),
    _Said(
        "57014",
        "took too long for this step and kept nothing of it: look at what else it does, and try again",
        code="busy",
    ),
    _Said("XX001", "is damaged: restore the last backup; nothing was changed", code="damaged"),
    _Said("XX002", "is damaged: restore the last backup; nothing was changed", code="damaged"),
    _Said("58", "has a disk that fails ({said}): check it, then start the gateway again", code="broken"),
)


_REFUSED = {
    "database": next(one for one in _SENTENCES if one.state == "3D000"),
    "authentication": next(one for one in _SENTENCES if one.state == "28"),
    "role": next(one for one in _SENTENCES if one.state == "28"),
    "pg_hba.conf": next(one for one in _SENTENCES if one.state == "28"),
    "too many": next(one for one in _SENTENCES if one.state == "53"),
}
"""Words of a server that answers and lets nobody in: a connection that was not made has no SQLSTATE."""


def sentence_of(place: str, problem: BaseException | None) -> StoreError:
    """Our refusal for what the server or its driver said about the store at `place`."""
    state = str(getattr(problem, "sqlstate", None) or "")
    said = _first_line(problem)
    for known in _SENTENCES:
        if state.startswith(known.state):
            return known.about(place, said)
    if isinstance(problem, psycopg.OperationalError):  # no connection was made: only words tell why
        for sign, known in _REFUSED.items():
            if sign in said:
                return known.about(place, said)
        return _SENTENCES[0].about(place, said)
    return StoreError(f"the store {place} refused this step and kept nothing of it: {said}")


def _first_line(problem: BaseException | None) -> str:
    diagnosis = getattr(problem, "diag", None)
    said = ((diagnosis.message_primary if diagnosis else None) or str(problem)).strip()
    first = said.splitlines()[0] if said else "no reason given"
    return first.rpartition(" failed: ")[2]

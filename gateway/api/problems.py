"""Every refusal as problem+json (RFC 9457): one clear sentence, a stable code, never personal data.

`code` is that of the error (README of `gateway` and `gateway/store`) or one of those below; the status
follows from the code, or from the kind of error when the code has no line of its own.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from gateway.errors import CardRefusal, ExchangeError, GatewayError, InputError, StoreError, TrustError
from gateway.metrics import REFUSALS
from gateway.redact import redact
from reader.console import plain
from reader.errors import ReaderError

MEDIA_TYPE = "application/problem+json"

CODES: Mapping[str, tuple[int, str]] = {
    "no-token": (401, "No usable token"),
    "other-practice": (403, "Not a practice of this gateway"),
    "practitioner-unknown": (403, "The holder of the CPS does not bill here"),
    "wrong-pin": (403, "The PIN is wrong"),
    "pin-blocked": (403, "The PIN is blocked"),
    "unknown": (404, "There is no such thing"),
    "not-found": (404, "There is no such address"),
    "method": (405, "This address has no such method"),
    "slow": (408, "The request came too slowly"),
    "no-reader": (409, "The practice has no reader here"),
    "last-try": (409, "Only one try is left for the PIN"),
    "key-busy": (409, "The same request is still under way"),
    "too-large": (413, "The request is too large"),
    "media-type": (415, "The request is not JSON"),
    "not-http": (400, "This is not HTTP"),
    "idempotency-key": (400, "The idempotency key is missing or not usable"),
    "key-reused": (422, "The idempotency key was used for another request"),
    "pin-format": (422, "The PIN is not one"),
    "input": (422, "The request is not usable as given"),
    "paper-only": (422, "The act has a paper sheet only"),
    "too-many": (429, "Too much at once"),
    "internal": (500, "A mistake of the gateway"),
    "card-mute": (502, "The card does not answer"),
    "card-protocol": (502, "The card does not speak as a card should"),
    "crowded": (503, "Too many connections"),
    "slot-busy": (503, "The slot is in use"),
}
"""Code → status and title. What is not here has the status of its kind (`KINDS`)."""

KINDS: Sequence[tuple[type[Exception], int, str]] = (
    (InputError, 422, "The request is not usable as given"),
    (CardRefusal, 409, "A card stops the work"),
    (ReaderError, 409, "The reader or a card is not ready"),
    (TrustError, 409, "A certificate or a card is not to be trusted"),
    (ExchangeError, 502, "The exchange with the receiver failed"),
    (StoreError, 503, "The store cannot keep this now"),
    (GatewayError, 409, "The work is refused"),
)

_OF_STATE = frozenset({"state", "number", "count", "mixed", "batch", "share-open", "no-act"})
"""Codes of the store that tell of a state, not of a store that is unwell."""

_HTTP = {404: "not-found", 405: "method", 413: "too-large", 415: "media-type"}
_SENTENCES = {
    "not-found": "there is nothing at this address: the addresses are in /v1/openapi.json",
    "method": "this address does not take this method: see /v1/openapi.json",
}


class Problem(BaseModel):
    """RFC 9457. `detail` is one sentence for a person, `code` a stable word for programs."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(examples=["/v1/problems#no-card"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str = Field(pattern=r"^[a-z0-9-]+$")


class Refusal(GatewayError):
    """A refusal that only the API knows; `code` is a key of CODES."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence, code=code)


def problem_of(error: GatewayError | ReaderError) -> Problem:
    """The problem that says this error."""
    kind = next(((status, title) for of, status, title in KINDS if isinstance(error, of)), (409, "Refused"))
    if isinstance(error, StoreError) and error.code in _OF_STATE:
        kind = (409, "The state does not allow this")
    status, title = CODES.get(error.code, kind)
    return _problem(error.code, status, title, str(error))


def refused(code: str, sentence: str) -> Problem:
    """The problem with a code of CODES."""
    status, title = CODES[code]
    return _problem(code, status, title, sentence)


def response(problem: Problem) -> Response:
    """The answer that carries a problem."""
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
    if problem.status in (429, 503):
        headers["Retry-After"] = "1"
    if problem.status in (408, 413, 500):
        headers["Connection"] = "close"  # what else comes on it is not waited for
    return Response(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)


def raw_body(problem: Problem) -> bytes:
    """The JSON of a problem, for answers that are written below the framework."""
    return json.dumps(problem.model_dump()).encode()


def install(app: FastAPI) -> None:
    """Every error of an application leaves it as a problem."""
    app.add_exception_handler(GatewayError, _on_refusal)
    app.add_exception_handler(ReaderError, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_mistake)


def _problem(code: str, status: int, title: str, sentence: str) -> Problem:
    return Problem(
        type=f"/v1/problems#{code}", title=title, status=status, detail=plain(redact(sentence)), code=code
    )


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError | ReaderError)  # noqa: S101 - as installed
    request.app.state.service.daemon.metrics.count(REFUSALS, "api", error.code)
    return response(problem_of(error))


async def _on_validation(_request: Request, error: Exception) -> Response:
    """The first thing that is wrong. What was given is not repeated: it may be anything, a NIR too."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as installed
    first: dict[str, Any] = error.errors()[0]
    place, *names = map(str, first["loc"])
    if names and names[0] == "Idempotency-Key":
        return response(
            refused("idempotency-key", f"{names[0]}: {_wanted(first)}; give a new word for each new request")
        )
    return response(refused("input", f"{place} {'.'.join(names[:1])}: {_wanted(first)}; correct it"))


def _wanted(first: Mapping[str, Any]) -> str:
    """What the framework says is wrong, without the value."""
    said = str(first["msg"])
    return said[0].lower() + said[1:]


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as installed
    code = _HTTP.get(error.status_code, "input")
    answer = response(refused(code, _SENTENCES.get(code, "the request cannot be read: correct it")))
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """Every method that the address of this request takes, by any of its routes."""
    routes: Mapping[str, Mapping[str, object]] = request.app.openapi()["paths"]
    if (named := routes.get(request.scope["path"])) is not None:
        return {method.upper() for method in named}
    shape = request.scope["path"].split("/")
    found = [operations for path, operations in routes.items() if _fits(path.split("/"), shape)]
    return {method.upper() for operations in found for method in operations}


def _fits(path: Sequence[str], asked: Sequence[str]) -> bool:
    pairs = zip(path, asked, strict=False)
    return len(path) == len(asked) and all(mine in ("{number}", "{lot_id}", its) for mine, its in pairs)


async def _on_mistake(request: Request, error: Exception) -> Response:
    """Where it happened is said, nothing that was being worked on."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {frame.name}, line {frame.lineno}"
    request.app.state.say(f"the API made a mistake ({where}): please report it")
    return response(refused("internal", "the gateway made a mistake here: nothing is known to be done"))

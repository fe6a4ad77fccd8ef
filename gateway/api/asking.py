"""What every request brings: who asks, the idempotency key of a write, a JSON body."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.api.problems import Refusal
from gateway.api.service import JSON, Service, Write
from gateway.api.tokens import Caller
from gateway.errors import InputError

KEY_PATTERN = r'^("[A-Za-z0-9._:-]{1,100}"|[A-Za-z0-9._:-]{1,100})$'

_bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="One token per practice software: `token new`."
)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def service_of(request: Request) -> Service:
    """The gateway behind this application."""
    return _service(request)


async def caller_of(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """Who asks; Refusal no-token for nobody."""
    caller = None if given is None else _service(request).tokens.caller(given.credentials)
    if caller is None:
        raise Refusal("no-token", "a token is needed here: send Authorization: Bearer and the token")
    return caller


async def only_known(request: Request) -> None:
    """Refuse a query parameter that the address does not have: a word written wrong is not passed over."""
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    if set(request.query_params) - known:
        names = ", ".join(sorted(known)) or "none"
        raise InputError(f"query: an unknown parameter; those of this address: {names}.")


async def body_of(request: Request, _: Annotated[Caller, Depends(caller_of)]) -> bytes:
    """The whole body, which says that it is JSON. Nobody without a token has it read."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Refusal("media-type", f"the body is not {JSON}: send it so, with that Content-Type")
    return await request.body()


async def key_of(
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            pattern=KEY_PATTERN,
            description="A word of the caller's own, new for each new request, the same when it is repeated.",
        ),
    ],
) -> str:
    """The idempotency key."""
    return key.strip('"')


async def write_of(
    request: Request, caller: Annotated[Caller, Depends(caller_of)], key: Annotated[str, Depends(key_of)]
) -> Write:
    """A write without a body."""
    digest = _service(request).digest(request.method, request.url.path, b"")
    return Write(caller, key, digest)


async def write_with_body(
    request: Request, write: Annotated[Write, Depends(write_of)], body: Annotated[bytes, Depends(body_of)]
) -> tuple[Write, bytes]:
    """A write and its body."""
    digest = _service(request).digest(request.method, request.url.path, body)
    return Write(write.caller, write.key, digest), body


async def write_maybe(request: Request, write: Annotated[Write, Depends(write_of)]) -> tuple[Write, bytes]:
    """A write whose body may be left out: b"" then."""
    length, chunked = request.headers.get("content-length", "0"), "transfer-encoding" in request.headers
    body = await body_of(request, write.caller) if chunked or length != "0" else b""
    return Write(
        write.caller, write.key, _service(request).digest(request.method, request.url.path, body)
    ), body


Gateway = Annotated[Service, Depends(service_of)]
Asks = Annotated[Caller, Depends(caller_of)]
Body = Annotated[bytes, Depends(body_of)]
Writes = Annotated[Write, Depends(write_of)]
WritesBody = Annotated[tuple[Write, bytes], Depends(write_with_body)]
WritesMaybe = Annotated[tuple[Write, bytes], Depends(write_maybe)]


def request_body(name: str, *, required: bool = True) -> dict[str, Any]:
    """The OpenAPI part for a body that is read by the parser of inbox and command line."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"requestBody": {"required": required, "content": {JSON: {"schema": schema}}}}

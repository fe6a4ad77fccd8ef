"""The OpenAPI document is true: schemathesis makes requests from it, good and bad, and judges the answers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig

from gateway.api.app import make_app
from gateway.billing.request import CareRequest
from gateway.care import CareAct
from gateway.errors import InputError
from tests.gateway.api.conftest import PIN, Rig, open_rig
from tests.gateway.api.test_api_work import REQUEST
from tools.bench import Bench

EXAMPLES = 12
"""Requests per operation and phase: about half a minute in all."""

PUBLIC = "/v1/problems"

CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            # A sheet may have the right form and still not be billable: 422 says why, 409 what a card lacks.
            "positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422, "5xx"]},
            "missing_required_header": {"expected-statuses": [400, 401]},
        }
    }
)


@pytest.fixture(scope="module")
def shared(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One gateway for all generated requests, its CPS unlocked."""
    root = tmp_path_factory.mktemp("shared") / "bench"
    shutil.copytree(world, root)
    with ExitStack() as stack:
        rig = open_rig(Bench(root), stack)
        rig.client().open_session(PIN)
        Token.known = rig.token
        yield rig


def written() -> dict[str, Any]:
    """The document as the application makes it; no gateway is needed for that."""
    nobody: Any = SimpleNamespace(daemon=SimpleNamespace(say=print))
    return make_app(nobody).openapi()


schema = schemathesis.openapi.from_dict(written(), config=CONFIG)


@schema.auth()
class Token:
    """The token of the practice's software, once there is a gateway."""

    known = ""

    def get(self, _case: Any, _context: Any) -> str:
        """The token."""
        return Token.known

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Show it."""
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_every_answer_is_as_documented(case: Any, shared: Rig) -> None:
    """Whatever is asked, the answer has a documented status, type and form; nothing is a mistake (500)."""
    _tame(case)
    case.call_and_validate(base_url=f"http://127.0.0.1:{shared.port}", timeout=20)


def _tame(case: Any) -> None:
    """What would wait or block for real: streams end at once, and a PIN is the right one."""
    if case.path == "/v1/events" and isinstance(case.query, dict):
        case.query["seconds"] = 0
    if case.path == "/v1/session" and isinstance(case.body, dict):
        given = case.body.get("pin")
        if isinstance(given, str) and re.fullmatch("[0-9]{4}", given):
            case.body["pin"] = PIN


def document(rig: Rig) -> dict[str, Any]:
    """The OpenAPI document as the gateway serves it."""
    with urlopen(f"http://127.0.0.1:{rig.port}/v1/openapi.json") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_the_document_served_is_the_one_judged(shared: Rig) -> None:
    """What the gateway serves at its address is what the requests above were made from."""
    assert document(shared) == json.loads(json.dumps(written()))


def test_every_operation_asks_for_a_token_and_every_write_for_a_key(shared: Rig) -> None:
    """Only the table of problems is public; what changes something takes an idempotency key."""
    for path, operations in document(shared)["paths"].items():
        for method, operation in operations.items():
            assert ("security" in operation) == (path != PUBLIC), path
            asked = {parameter["name"] for parameter in operation.get("parameters", ())}
            writes = method != "get" and path not in ("/v1/price", "/v1/fse/price")
            assert ("Idempotency-Key" in asked) == writes, path


def test_every_reference_of_the_document_leads_somewhere(shared: Rig) -> None:
    """No schema is named that is not there."""
    found = document(shared)

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (value for name, value in node.items() if name == "$ref")
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    named = {reference.rpartition("/")[2] for reference in references(found)}
    assert named <= set(found["components"]["schemas"])
    assert {"CareActIn", "CareRequestIn", "SessionIn", "Problem"} <= named


def fields_of(schema_: dict[str, Any], name: str) -> dict[str, Any]:
    """The properties of one body."""
    properties: dict[str, Any] = schema_["components"]["schemas"][name]["properties"]
    return properties


@pytest.mark.parametrize(
    ("name", "parse"), [("CareActIn", CareAct.from_json), ("CareRequestIn", CareRequest.from_json)]
)
def test_the_document_names_the_fields_that_are_read(
    shared: Rig, name: str, parse: Callable[[dict[str, Any]], object]
) -> None:
    """A field of the document is known to the parser; one that is not named there is refused by it."""
    good = REQUEST if name == "CareRequestIn" else {"date": REQUEST["date"], "acts": REQUEST["acts"]}
    assert parse(dict(good))
    for field in fields_of(document(shared), name):
        try:
            parse({**good, field: object()})
        except InputError as wrong:
            assert "unknown field" not in str(wrong), field
    with pytest.raises(InputError, match="unknown field; ") as refused:
        parse({**good, "nonsense": 1})
    for field in str(refused.value).partition("; ")[2].rstrip(".").replace(", ", " ").split()[-6:]:
        assert field in fields_of(document(shared), name), field

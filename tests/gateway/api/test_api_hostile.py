"""Who has no token, another practice's token, or bad manners gets a problem, and nothing else."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest

from gateway.api import limits
from gateway.api.client import ApiProblem, Client
from gateway.care import MAX_ACT
from gateway.errors import InputError
from tests.gateway.api.conftest import PIN, Rig

READS = (
    "/readers",
    "/session",
    "/vitale/rights",
    "/fse",
    "/fse/1",
    "/lots",
    "/payments",
    "/refusals",
    "/audit",
)
NIR = "185057800608491"


def raw(rig: Rig, request: bytes) -> bytes:
    """What is answered to these bytes until the connection ends."""
    with socket.create_connection(("127.0.0.1", rig.port), timeout=20) as peer:
        peer.sendall(request)
        return b"".join(iter(lambda: peer.recv(65536), b""))


def ask(rig: Rig, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a request without a body, with the software's token."""
    connection = HTTPConnection("127.0.0.1", rig.port, timeout=20)
    connection.request(method, path, headers={"Authorization": f"Bearer {rig.token}", **headers})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(body)


@pytest.mark.parametrize("token", ["", "vgt_wrong", "é"])
def test_nobody_is_told_nothing(rig: Rig, token: str) -> None:
    """Without a token, or with one that is not known, every resource is 401 and says how to ask."""
    authorization = f"Bearer {token}".encode() if token else b"Basic YTpi"
    request = b"GET /v1%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: %s\r\n\r\n"
    for path in READS:
        answer = raw(rig, request % (path.encode(), authorization))
        assert answer.startswith(b"HTTP/1.1 401"), path
        assert b"www-authenticate: bearer" in answer.lower()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "no-token"


def test_a_token_taken_back_is_nobody(rig: Rig) -> None:
    """The token works; taken back, its next request is 401."""
    client = rig.client()
    assert client.readers()
    rig.service.tokens.revoke("soft")
    with pytest.raises(ApiProblem) as refused:
        client.readers()
    assert refused.value.status == 401


def test_another_practice_sees_nothing_of_this_one(rig: Rig, client: Client) -> None:
    """Its token gives no desk (403), empty lists, and 404 for a number and a lot that exist here."""
    number = client.bill(rig.act())["number"]
    lot = client.close_lots()[0]["id"]
    stranger = rig.client(rig.stranger)
    desk: list[Callable[[], object]] = [
        stranger.readers, stranger.session, lambda: stranger.open_session(PIN), stranger.close_session,
        stranger.rights, stranger.attestation, lambda: stranger.bill(rig.act()), stranger.close_lots,
        stranger.send_lots,
    ]  # fmt: skip
    for ask_desk in desk:
        with pytest.raises(ApiProblem) as refused:
            ask_desk()
        assert (refused.value.status, refused.value.code) == (403, "other-practice")
    for look in (lambda: stranger.sheet(number), lambda: stranger.lot(lot), lambda: stranger.release(lot)):
        with pytest.raises(ApiProblem) as refused:
            look()
        assert (refused.value.status, refused.value.code) == (404, "unknown")
    pages = (stranger.sheets(), stranger.lots(), stranger.payments(), stranger.refusals(), stranger.audit())
    assert [page["items"] for page in pages] == [[]] * 5
    assert [event for event in stranger.events(0, last="0") if event.name in ("card", "fse", "lot")] == []
    assert client.session()["state"] == "open"
    assert client.sheet(number)["number"] == number


def test_a_key_is_of_its_program(rig: Rig, client: Client) -> None:
    """The same key of another program of the practice is another request: nobody reads others' answers."""
    first = client.bill(rig.act(), key="same")
    service = rig.service
    token = service.tokens.new("second", rig.practice.id, rig.practice.clock, rig.practice.rng)
    assert rig.client(token).bill(rig.act(), key="same")["number"] == first["number"] + 1


def test_too_large_is_refused(rig: Rig, client: Client) -> None:
    """A body over the limit is 413, said by its length or found while it comes; one below it is read."""
    with pytest.raises(ApiProblem) as refused:
        client.bill(rig.act(nature="x" * MAX_ACT))
    assert (refused.value.status, refused.value.code) == (413, "too-large")
    head = b"POST /v1/fse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k\r\n"
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    assert raw(rig, head % rig.token.encode() + 3 * chunk).startswith(b"HTTP/1.1 413")
    claim = head.replace(b"Transfer-Encoding: chunked", b"Content-Length: 99999999999999999999")
    assert raw(rig, claim % rig.token.encode()).startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
    with pytest.raises(ApiProblem, match="nature") as read:
        client.bill(rig.act(nature="x" * 60_000))
    assert read.value.status == 422


def test_a_head_without_end_is_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent, or a byte now and then: the connection ends after the time for a head; others are served."""
    monkeypatch.setattr(limits.PatientProtocol, "head_seconds", 0.3)
    with socket.create_connection(("127.0.0.1", rig.port), timeout=20) as slow:
        slow.sendall(b"GET /v1/readers HTTP/1.1\r\nHost: x\r\n")
        assert rig.client().readers()
        assert slow.recv(1) == b""


def test_a_head_after_an_answer_is_cut_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request of a connection has no more time than the first."""
    monkeypatch.setattr(limits.PatientProtocol, "head_seconds", 0.3)
    with socket.create_connection(("127.0.0.1", rig.port), timeout=20) as slow:
        slow.sendall(b"GET /v1/problems HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /v1/pro")
        assert b"".join(iter(lambda: slow.recv(65536), b"")).count(b"HTTP/1.1") == 0


def test_a_body_without_end_is_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is 408 and the connection ends; nothing is billed."""
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    head = b"POST /v1/fse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    answer = raw(rig, head % rig.token.encode())
    assert answer.startswith(b"HTTP/1.1 408")
    assert rig.practice.store.fse_list() == []


def test_a_head_too_long_is_refused(rig: Rig) -> None:
    """A head of 100 KB is not read to its end."""
    answer = raw(rig, b"GET /v1/readers HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000)
    assert answer.startswith(b"HTTP/1.1 4")


PATHS = (
    "/v1/../etc/passwd", "/v1/fse/../../x", "/v1/fse/%2e%2e%2f1", "/v1/lots/..%2f..%2fx", "//v1/fse",
    "/v1/fse/1%00", "/v1/fse/1;x=1", "/v1/fse/%0d%0aX-Evil:1", "/v1/lots/%3Cscript%3E", "/V1/fse",
    "/v1/fse/", "/v1/lots/'%20OR%201=1--", "/docs", "/redoc", "/v1/fse/99999999999999999999",
)  # fmt: skip


def test_what_is_not_http_gets_a_problem(rig: Rig) -> None:
    """Bytes of another protocol, a line without a version, headers with odd bytes: 400 as a problem."""
    for request in (
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET /v1/fse\r\n\r\n",
        b"GET / HTTP/1.1\r\nA\x00b: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n X-Folded\r\nB C: 1\r\n\r\n",
    ):
        head, _, body = raw(rig, request).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400"), request
        assert json.loads(body)["code"] == "not-http"
    assert ask(rig, "GET", "/v1/fse")[0] == 200


def test_path_tricks_lead_nowhere(rig: Rig) -> None:
    """No trick with a path finds a file, another resource or a redirect; the path is not repeated."""
    for path in PATHS:
        status, headers, body = ask(rig, "GET", path)
        assert status in (404, 422), path
        assert headers["content-type"] == "application/problem+json"
        assert not {"location", "x-evil"} & set(headers)
        assert "script" not in json.dumps(body)
    assert ask(rig, "GET", "/v1/fse")[0] == 200


def test_keys_are_plain_words(rig: Rig) -> None:
    """A key that is not a plain word is 400 with one sentence, and is not repeated."""
    for key in ("", "a b", "é", "x" * 101, "a\tb", "../x", "<script>"):
        encoded = key.encode("utf-8").decode("latin-1")
        status, _, body = ask(rig, "POST", "/v1/send", **{"Idempotency-Key": encoded})
        assert (status, body["code"]) == (400, "idempotency-key"), key
        assert "script" not in body["detail"]
    assert ask(rig, "POST", "/v1/send", **{"Idempotency-Key": "a-b.c:1"})[0] == 200


def test_a_key_is_needed(rig: Rig) -> None:
    """A write without a key is 400, and nothing is done."""
    status, _, body = ask(rig, "POST", "/v1/lots")
    assert (status, body["code"]) == (400, "idempotency-key")


def test_html_stays_text(rig: Rig, client: Client) -> None:
    """HTML in a request is never markup in an answer: JSON, nosniff, no script may run."""
    with pytest.raises(ApiProblem):
        client.bill(rig.act(acts=[{"code": "<script>alert(1)</script>"}]))
    status, headers, _ = ask(rig, "GET", "/v1/fse")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_names_of_tokens_are_plain_words(rig: Rig) -> None:
    """A name that could be markup, a path or two lines is refused; a plain one is taken."""
    for name in ("", "a b", "<b>", "../x", "x\r\ny", "é", "-x", "x" * 41):
        with pytest.raises(InputError, match="name has 1 to 40"):
            rig.service.tokens.new(name, "demo", rig.practice.clock, rig.practice.rng)
    assert rig.service.tokens.new("x.y_z-1", "demo", rig.practice.clock, rig.practice.rng)


def test_what_is_wrong_is_said_without_a_nir(rig: Rig, client: Client) -> None:
    """A NIR in a field, a name of a field, a path, a query or a key comes back in no answer and no line."""
    answers = []
    for act in (rig.act(pathway=NIR), rig.act(**{NIR: 1}), {"date": NIR}, rig.act(beneficiary=NIR)):
        with pytest.raises(ApiProblem) as refused:
            client.bill(act)
        answers.append(str(refused.value))
    for path in (
        f"/v1/{NIR}",
        f"/v1/fse/{NIR}",
        f"/v1/lots/{NIR}",
        f"/v1/fse?limit={NIR}",
        f"/v1/fse?x={NIR}",
    ):
        answers.append(json.dumps(ask(rig, "GET", path)[2]))
    answers.append(json.dumps(ask(rig, "POST", "/v1/send", **{"Idempotency-Key": f"<{NIR}>"})[2]))
    assert not re.findall(NIR[:13], "\n".join(answers + rig.said))


def test_other_media_types_are_refused(rig: Rig, client: Client) -> None:
    """A form, or nothing, is 415: no web page can post a sheet by itself."""
    for content_type in ("application/x-www-form-urlencoded", "text/plain", ""):
        connection = HTTPConnection("127.0.0.1", rig.port, timeout=20)
        headers = {
            "Authorization": f"Bearer {rig.token}",
            "Idempotency-Key": "k",
            "Content-Type": content_type,
        }
        connection.request("POST", "/v1/fse", json.dumps(rig.act()), headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (415, "media-type")
        connection.close()
    assert client.bill(rig.act())["accepted"]


NO_OBJECTS = (b"", b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"[" * 60_000, b'{"date": NaN}')


def test_what_is_not_a_json_object_is_refused(rig: Rig) -> None:
    """Bytes that are no JSON object are 422 with one sentence."""
    headers = {"Authorization": f"Bearer {rig.token}", "Content-Type": "application/json"}
    connection = HTTPConnection("127.0.0.1", rig.port, timeout=20)
    for body in NO_OBJECTS:
        connection.request("POST", "/v1/price", body, headers)
        answer = connection.getresponse()
        problem = json.loads(answer.read())
        assert (answer.status, problem["code"]) == (422, "input"), body[:20]
        assert "\n" not in problem["detail"]
    connection.close()


def test_a_mistake_of_the_gateway_is_said_without_its_matter(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error nobody foresaw is 500 with a sentence; neither answer nor line holds what was being done."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError(NIR)

    monkeypatch.setattr(type(rig.practice.store), "payments", broken)
    with pytest.raises(ApiProblem) as refused:
        client.payments()
    assert (refused.value.status, refused.value.code) == (500, "internal")
    assert "ZeroDivisionError" in rig.said[-1]
    assert NIR not in rig.said[-1] + str(refused.value)
    assert client.readers()


def test_many_connections_leave_room_again(rig: Rig) -> None:
    """Two hundred idle connections: beyond the limit 503, and when they go it works as before."""
    idle = [socket.create_connection(("127.0.0.1", rig.port), timeout=20) for _ in range(200)]
    answer = raw(rig, b"GET /v1/problems HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "crowded"
    for peer in idle:
        peer.close()
    while not raw(rig, b"GET /v1/problems HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 200"
    ):
        time.sleep(0.05)


def test_who_does_not_read_is_let_go(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests without end whose answers nobody takes: the connection ends; others are served."""
    monkeypatch.setattr(limits.PatientProtocol, "read_seconds", 0.3)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(30)
        deaf.connect(("127.0.0.1", rig.port))
        with pytest.raises(ConnectionError):  # noqa: PT012 - the connection ends somewhere in there
            while True:
                deaf.sendall(b"GET /v1/problems HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert rig.client().readers()


def test_who_read_rights_is_in_the_trail(rig: Rig, client: Client) -> None:
    """Reading rights and making an attestation is noted with the program's name, without the patient's."""
    rights = client.rights()
    client.attestation()
    trail = client.audit(limit=200)["items"]
    read = [item["who"] for item in trail if item["what"] in ("rights read", "attestation made")]
    assert read == ["soft", "soft"]
    text = json.dumps(trail)
    for person in rights["persons"]:
        assert person["name"] not in text
    assert rights["nir"] not in text

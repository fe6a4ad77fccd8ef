"""What the receiver publishes: the opposition list in signed steps, the directory, revocation lists."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.cms.policy import policy_named
from gateway.cms.signed import verify
from gateway.lots.sealing import seal
from gateway.pki import OppositionList, Purpose
from gateway.pki.certificate import Certificate
from gateway.pki.opposition import Opposition, encode_base
from tools.portal.server import portal_office
from tools.receiver.api import Actions, Api, Controls
from tools.receiver.config import ReceiverConfig
from tools.receiver.population import known_contracts, known_insured
from tools.receiver.public import NUMBER_HEADER
from tools.receiver.service import opposition_publisher

if TYPE_CHECKING:
    from conftest import Bench, Practice

SERIAL = "80250000019900000077"


@dataclass
class Public:
    """A receiver's API as somebody without a token reaches it."""

    bench: Bench
    port: int
    file: Path

    def get(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """One request without a token."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            link.request("GET", path)
            answer = link.getresponse()
            return answer.status, answer.read(), dict(answer.headers.items())
        finally:
            link.close()

    def opened(self, path: str) -> bytes:
        """A published list, its signature verified."""
        status, body, headers = self.get(path)
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "application/pkcs7-mime")
        trust, now = self.bench.practice.authority.trust(), self.bench.clock.now()
        return verify(body, trust, now, purpose=Purpose.RECEIVER_SIGNATURE).content

    def code(self, path: str) -> tuple[int, str]:
        """Status and word of a call that is not done."""
        status, body, _ = self.get(path)
        return status, json.loads(body)["code"]


@pytest.fixture
def public(build: Callable[..., Bench], tmp_path: Path, practice: Practice) -> Iterator[Public]:
    """A receiver with an opposition list of version 1 that is fresh."""
    file = tmp_path / "opposition.txt"
    OppositionList.parse(encode_base(1, practice.now, [])).save(file)
    bench = build(opposition=file)
    parts = bench.parts
    controls = Controls(parts.ledger, parts.faults, lambda _: 0, lambda: 0.0, lambda: None)
    api = Api(Actions(controls, parts.publications(bench.clock)), tmp_path, bytes, "127.0.0.1", 0)
    try:
        yield Public(bench, api.port, file)
    finally:
        api.close()


def declare(public: Public, *serials: str) -> None:
    """Cards that the caisse has put onto the list."""
    publisher = public.bench.parts.publisher
    assert publisher is not None
    day = public.bench.clock.now().date()
    publisher.declared = lambda: [Opposition(serial, day, "V") for serial in serials]
    publisher.publish()


def test_a_gateway_follows_the_list_from_update_to_update(public: Public) -> None:
    """From version 1 two signed updates lead to the list that the receiver itself checks by; then 204."""
    held = OppositionList.parse(public.opened("/opposition"))
    assert public.get("/opposition?after=1")[0] == 204
    declare(public, SERIAL)
    declare(public, SERIAL, SERIAL[:-1] + "8")
    for number in (1, 2):
        held = held.apply(public.opened(f"/opposition?after={number}"))
    assert held.number == 3
    assert held.lookup(SERIAL) is not None
    assert (
        public.bench.parts.receiver.opposition == held == OppositionList.parse(public.opened("/opposition"))
    )
    status, body, headers = public.get("/opposition?after=3")
    assert (status, body, headers[NUMBER_HEADER]) == (204, b"", "3")


def test_a_day_without_a_card_has_its_update(public: Public) -> None:
    """A list of an hour ago is left as it is; the next day an empty update keeps it fresh."""
    publisher = public.bench.parts.publisher
    assert publisher is not None
    public.bench.clock.advance(timedelta(hours=1))
    publisher.keep()
    assert public.get("/opposition?after=1")[0] == 204
    held = OppositionList.parse(public.opened("/opposition"))
    public.bench.clock.advance(timedelta(hours=23))
    publisher.keep()
    after = held.apply(public.opened("/opposition?after=1"))
    after.check_fresh(public.bench.clock.now())
    assert len(after) == 0


def test_where_no_update_leads_on_the_complete_list_does(public: Public) -> None:
    """A version that is not kept, one to come, a list written anew: one word, then GET /opposition."""
    declare(public, SERIAL)
    fresh = encode_base(9, public.bench.clock.now() + timedelta(minutes=1), [])
    OppositionList.parse(fresh).save(public.file)
    public.bench.parts.publisher.keep()  # type: ignore[union-attr]
    assert public.code("/opposition?after=2") == (404, "complete-list")
    assert public.code("/opposition?after=99") == (404, "complete-list")
    assert public.code("/opposition?after=0") == (400, "input")
    assert OppositionList.parse(public.opened("/opposition")).lookup(SERIAL) is not None
    assert public.opened("/opposition?after=9").startswith(b"OPPOSITION 1 UPDATE 10 ")


def test_lists_and_directory_need_no_token_and_nothing_else_is_open(public: Public) -> None:
    """Certificates and revocation lists are public; the controls of the receiver are not."""
    status, body, _ = public.get("/crls/cps")
    assert status == 200
    assert body == (public.bench.practice.authority.trust_directory / "crls" / "cps.crl").read_bytes()
    assert json.loads(public.get("/crls")[1])["crls"] == ["cps", "facturation", "root"]
    assert public.code("/crls/nobody") == (404, "unknown")
    for path in ("/status", "/faults", "/arl/1", "/opposition/x", "/crls/cps/x"):
        assert public.code(path)[0] in (401, 404), path
        assert public.code(path)[1] == "token", path


def test_without_a_list_there_is_nothing_to_follow(build: Callable[..., Bench], tmp_path: Path) -> None:
    """A receiver that was started without a list says so, and how to have one."""
    bench = build()
    parts = bench.parts
    controls = Controls(parts.ledger, parts.faults, lambda _: 0, lambda: 0.0, lambda: None)
    api = Api(Actions(controls, parts.publications(bench.clock)), tmp_path, bytes, "127.0.0.1", 0)
    try:
        status, body, _ = Public(bench, api.port, tmp_path).get("/opposition")
        assert status == 404
        assert b"--opposition" in body
    finally:
        api.close()


# Each party with its own certificate


@pytest.fixture(scope="module")
def everybody():  # type: ignore[no-untyped-def]
    """The shipped people and contracts."""
    return known_insured(), known_contracts()


def test_the_directory_names_every_party(build: Callable[..., Bench], everybody) -> None:  # type: ignore[no-untyped-def]
    """Caisses and insurers have a certificate each, all different; one address gives its own alone."""
    people, insurers = everybody
    bench = build(people=people, insurers=insurers, parties=True)
    published = bench.parts.publications(bench.clock)
    rows = published.certificates()["certificates"]
    assert {"01349@349.01.rss.fr", "02349@349.02.rss.fr"} < {row["address"] for row in rows}
    assert any(row["number"].startswith("1000") for row in rows)
    assert len({row["certificate"] for row in rows}) == len(rows) >= 4
    [one] = published.certificates("02349@349.02.rss.fr")["certificates"]
    der = base64.b64decode(one["certificate"])
    trust = bench.practice.authority.trust()
    assert trust.validate(der, bench.clock.now(), Purpose.RECEIVER_ENCRYPTION).common_name == one["address"]
    assert published.certificates("nobody@nowhere.test")["certificates"] == []


@pytest.mark.parametrize("policy", ["modern", "sesam"])
def test_a_lot_sealed_to_another_party_cannot_be_opened(  # type: ignore[no-untyped-def]
    build: Callable[..., Bench], everybody, policy: str
) -> None:
    """Sealed to the caisse it is for, a lot is accepted; to another caisse or insurer it is E 1000."""
    bench = build(insurers=everybody[1], parties=True, policy=policy)
    practice, authority = bench.practice, bench.practice.authority
    lot = practice.lot(practice.fse(1))

    def sealed(certificate: bytes) -> bytes:
        return seal(
            lot, sender="cabinet@practice.test", recipient=lot.header.destination.address,
            recipient_certificate=certificate, policy=policy_named(policy),
            signer=practice.cps if policy == "modern" else None, rng=bytes, now=practice.now,
        ).message  # fmt: skip

    insurer = next(one for one in bench.parts.parties if one.number.startswith("1000"))
    refused = bench.handle(sealed(insurer.key.certificate))
    assert (refused.positive, refused.error_class, refused.code) == (False, "E", "1000")
    assert "another organism" in refused.reason
    assert Certificate.parse(insurer.key.certificate).common_name == insurer.address
    shared = build(policy=policy)
    assert shared.handle(sealed(authority.receiver_keys().decryption.certificate)).positive


def test_an_insurer_reads_its_own_demands(build: Callable[..., Bench], everybody) -> None:  # type: ignore[no-untyped-def]
    """A DRE sealed to its insurer is accepted; the caisse's certificate does not open it for the insurer."""
    people, insurers = everybody
    bench = build(people=people, insurers=insurers, parties=True)
    practice = bench.practice
    insurer = next(one for one in bench.parts.parties if one.number.startswith("1000"))
    lot = practice.lot(practice.dre(1, complementary=insurer.number[4:]))
    own = next(one for one in bench.parts.parties if one.address == "01349@349.01.rss.fr")

    def sent(certificate: bytes) -> bool:
        message = seal(
            lot, sender="cabinet@practice.test", recipient=insurer.address,
            recipient_certificate=certificate, policy=policy_named("modern"), signer=practice.cps,
            rng=bytes, now=practice.now,
        ).message  # fmt: skip
        return bool(bench.handle(message).positive)

    assert not sent(own.key.certificate)
    assert sent(insurer.key.certificate)


def test_a_stolen_card_of_the_bench_is_shown_as_opposed(build: Callable[..., Bench], tmp_path: Path) -> None:
    """The portal's desk says of a card that its publisher opposed why and since when; of another, nothing."""
    file = tmp_path / "opposition.txt"
    bench = build()
    day = bench.clock.now().date()
    OppositionList.parse(encode_base(1, bench.clock.now(), [Opposition(SERIAL, day, "V")])).save(file)
    config = ReceiverConfig(
        bench.practice.authority.directory, tmp_path / "state0", tmp_path / "mail", clock=bench.clock,
        opposition=file,
    )  # fmt: skip
    bench.parts = replace(bench.parts, publisher=opposition_publisher(config, bench.parts.receiver))
    office = portal_office(config, bench.parts)
    assert office.opposition_of(SERIAL) == Opposition(SERIAL, day, "V")
    assert office.opposition_of(SERIAL[:-1] + "9") is None
    assert office.opposition_of("") is None

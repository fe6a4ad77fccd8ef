"""The receiver's checks in their order: each one refuses what it is for, and lets the twin through."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.cms.enveloped import encrypt
from gateway.cms.policy import MODERN
from gateway.cms.signed import SoftwareSigner
from gateway.lots.fse import Fse
from gateway.pki.opposition import Opposition, OppositionList, encode_base
from gateway.records import security
from gateway.records.arl import Arl, parse_arl
from tools.receiver.answers import Answer

if TYPE_CHECKING:
    from conftest import Bench

NOW_CODE = "1000"


def arl_of(answer: Answer) -> Arl:
    """The ARL of an answer, read by its own codec."""
    return parse_arl(answer.arl)


def refused(bench: Bench, raw: bytes) -> str:
    """Class and code of a refusal that left no claim behind."""
    answer = bench.handle(raw)
    assert not answer.positive
    assert bench.rows("SELECT count(*) FROM claim") == [(0,)]
    return str(answer.error_class + answer.code)


def test_a_conform_lot_gets_a_positive_arl(bench: Bench) -> None:
    """The twin of every refusal here: an untouched lot is accepted, and its ARL names its own file."""
    lot = bench.practice.lot(bench.practice.fse(1), bench.practice.fse(2))
    arl = arl_of(bench.handle(bench.practice.seal(lot).message))
    assert (arl.positive, arl.invoices, arl.rejects) == (True, 2, ())
    assert arl.digest == hashlib.sha256(lot.file).digest()
    assert (arl.file_id, arl.compostage) == (lot.header.numbers.file_id, lot.header.numbers.compostage)
    assert (arl.lot_number, arl.lot_date) == (lot.header.numbers.lot_number, lot.header.numbers.lot_date)


def test_the_arl_is_sealed_to_the_practice_and_signed(bench: Bench) -> None:
    """What lies in the mailbox opens with the practice's key, signed by the receiver, same ARL."""
    answer = bench.handle(bench.practice.message(1))
    [raw] = bench.deliver()
    assert raw == answer.message
    opened = bench.open(raw)
    assert opened.payload == answer.arl
    assert opened.signer is not None
    assert opened.envelope.description == "SESAM/ARL/Z"


def test_profile_sesam(build: Callable[..., Bench]) -> None:
    """The same exchange under the public transport's profile: enveloped only, ARL in the mailbox."""
    bench = build(policy="sesam")
    answer = bench.handle(bench.practice.message(1))
    [raw] = bench.deliver()
    opened = bench.open(raw)
    assert answer.positive
    assert (opened.payload, opened.signer) == (answer.arl, None)


def broken_messages(bench: Bench) -> dict[str, bytes]:
    """Messages that fail before the signer is known, each from a good one by one edit."""
    good = bench.practice.message(1)
    head, _, body = good.partition(b"\r\n\r\n")
    lines = body.split(b"\r\n")
    middle = len(lines) // 2
    lines[middle] = lines[middle][::-1]
    outer = encrypt(
        b"not a signed message",
        bench.practice.authority.receiver_keys().decryption.certificate,
        MODERN,
        os.urandom,
    )
    return {
        "damaged": head + b"\r\n\r\n" + b"\r\n".join(lines),
        "truncated": good[: len(good) // 2],
        "empty body": head + b"\r\n\r\n",
        "other content": bench.wrap(b"", description="SESAM/ARL/Z"),
        "bomb": bench.wrap(bytes(20_000_000)),
        "unsigned": head + b"\r\n\r\n" + _base64_lines(outer),
    }


def _base64_lines(data: bytes) -> bytes:
    text = base64.b64encode(data)
    return b"\r\n".join(text[i : i + 64] for i in range(0, len(text), 64)) + b"\r\n"


def test_one_answer_before_the_signer_is_known(bench: Bench) -> None:
    """Whatever fails before the signer is known is one class, one code, one text (promise A9)."""
    seen = set()
    for name, raw in broken_messages(bench).items():
        answer = bench.handle(raw)
        assert not answer.positive, name
        arl = arl_of(answer)
        assert arl.digest == hashlib.sha256(raw).digest()
        rejects = tuple(replace(reject) for reject in arl.rejects)
        seen.add((arl.error_class, arl.error_code, arl.file_id, arl.lot_number, arl.lot_date, rejects))
        assert answer.reason, "the reason stays in the local log"
    assert len(seen) == 1
    assert next(iter(seen))[:2] == ("E", NOW_CODE)
    assert bench.handle(bench.practice.message(2)).positive


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"Subject: x\r\n\r\nx", os.urandom(2000), b"\x00" * 5000])
def test_no_bytes_raise(bench: Bench, raw: bytes) -> None:
    """Bytes without a usable outside are refused without an ARL: nobody can be answered."""
    answer = bench.handle(raw)
    assert (answer.positive, answer.error_class, answer.arl, answer.message) == (False, "E", b"", b"")
    assert bench.deliver() == []


def test_records_and_counters(bench: Bench) -> None:
    """A file with half a record is refused as F, a wrong counter as L; the whole file is accepted."""
    practice = bench.practice
    lot = practice.lot(practice.fse(1))
    assert refused(bench, practice.seal(replace(lot, file=lot.file[:-64])).message) == "F2001"
    counter = bytearray(lot.file)
    counter[-128 + 62] ^= 1
    assert refused(bench, practice.seal(replace(lot, file=bytes(counter))).message)[0] == "L"
    assert bench.handle(practice.seal(lot).message).positive


def test_certificate_chain(bench: Bench) -> None:
    """A practitioner whose certificate was not issued by the trusted authority is nobody: class E."""
    from tools.pki import Authority

    practice = bench.practice
    stranger = Authority.create(bench.maildir.parent / "other", practice.lot(practice.fse(1)).header.created)
    other = replace(
        practice, cps=stranger.software_cps("810009999996", practice.lot(practice.fse(1)).header.created)
    )
    assert refused(bench, other.message(1)) == "E1000"
    assert bench.handle(practice.message(1)).positive


def stranger(bench: Bench) -> SoftwareSigner:
    """Another card of the same professional: a valid certificate, another key."""
    return bench.practice.authority.software_cps("810009999996", bench.practice.now)


@pytest.mark.parametrize("policy", ["modern", "sesam"])
def test_signatures_of_an_invoice(build: Callable[..., Bench], policy: str) -> None:
    """Wrong card signatures inside a well-signed lot: precise codes and places, in both profiles."""
    bench = build(policy=policy)
    practice, good = bench.practice, bench.practice.fse(8)
    invoice = good.invoice
    cps = good.records.replace(*_swap(invoice.signature, stranger(bench).sign_digest(invoice.digest), "P"))
    seal = good.records.replace(*_swap(invoice.seal, bytes(256), "V"))
    for records, code in ((cps, "S5003"), (seal, "S5004")):
        lot = practice.lot(practice.fse(7), Fse.parse(records))
        arl = arl_of(bench.handle(practice.seal(lot).message))
        assert arl.error_class + arl.error_code == code
        [reject] = arl.rejects
        assert (reject.invoice, reject.record > 3) == (8, True)
    assert bench.rows("SELECT count(*) FROM claim") == [(0,)]
    assert bench.handle(practice.seal(practice.lot(practice.fse(7), good)).message).positive


def _swap(old: bytes, new: bytes, letter: str) -> tuple[bytes, bytes]:
    """The records that hold one signature, and those that hold another."""
    return security.split(old, letter), security.split(new, letter)


@pytest.mark.parametrize(("policy", "code"), [("modern", "S5001"), ("sesam", "E1000")])
def test_signature_of_the_lot(build: Callable[..., Bench], policy: str, code: str) -> None:
    """A wrong lot signature: in `sesam` nobody is known before it stands: the uniform answer."""
    bench = build(policy=policy)
    lot = bench.practice.lot(bench.practice.fse(1))
    signature = bench.practice.cps.sign_digest(lot.digest)
    wrong = replace(lot, file=lot.file.replace(*_swap(signature, bytes(255) + b"1", "S")))
    assert refused(bench, bench.practice.seal(wrong).message) == code
    assert bench.handle(bench.practice.seal(lot).message).positive


@pytest.mark.parametrize("policy", ["modern", "sesam"])
def test_flipped_bits_have_one_answer(build: Callable[..., Bench], policy: str) -> None:
    """Wherever the envelope is touched, the answer is the same (CBC included: it dies at the signature)."""
    bench = build(policy=policy)
    good = bench.practice.message(1)
    head, _, body = good.partition(b"\r\n\r\n")
    data = bytearray(base64.b64decode(body))
    codes = set()
    for at in range(0, len(data), len(data) // 40):
        data[at] ^= 0x10
        codes.add(refused(bench, head + b"\r\n\r\n" + _base64_lines(bytes(data))))
        data[at] ^= 0x10
    assert codes == {"E1000"}
    assert bench.handle(head + b"\r\n\r\n" + _base64_lines(bytes(data))).positive


def test_another_professional_cannot_send_for_this_one(bench: Bench) -> None:
    """A valid CPS that signs around somebody else's lot is refused as S; the owner's is accepted."""
    practice = bench.practice
    lot = practice.lot(practice.fse(1))
    other = replace(practice, cps=practice.authority.software_cps("810009999988", lot.header.created))
    assert refused(bench, other.seal(lot).message) == "S5006"
    assert bench.handle(practice.seal(lot).message).positive


def test_the_outside_must_agree_with_the_inside(bench: Bench) -> None:
    """Nobody signed the outside: another sender, compostage or count than inside refuses this mail alone."""
    practice = bench.practice
    lot = practice.lot(practice.fse(1))
    right = {"compostage": lot.header.numbers.compostage}
    assert refused(bench, bench.wrap(lot.file, **right | {"compostage": "2026112009300099999"})) == "E1000"
    assert refused(bench, bench.wrap(lot.file, **right | {"sender_number": "00000991000017"})) == "E1000"
    mail = bench.wrap(lot.file, **right | {"count": 7})
    arl = arl_of(bench.handle(mail))
    assert (arl.error_class, arl.error_code, arl.digest) == ("E", "1000", hashlib.sha256(mail).digest())
    assert bench.handle(bench.wrap(lot.file, **right)).positive


def test_opposition(build: Callable[..., Bench], tmp_path: Path) -> None:
    """A Vitale card on the list makes the lot negative, naming the invoice; without the list it passes."""
    free = build()
    fse = free.practice.fse(5)
    created = free.practice.lot(fse).header.created
    serial = fse.view().vitale_serial
    path = tmp_path / "opposition"
    OppositionList.parse(encode_base(1, created, [Opposition(serial, created.date(), "V")])).save(path)
    listed = build(opposition=path)
    arl = arl_of(listed.handle(listed.practice.message(5)))
    assert (arl.positive, arl.error_class, arl.error_code) == (False, "V", "6001")
    assert [(reject.invoice, reject.record, reject.position) for reject in arl.rejects] == [(5, 7, 58)]
    assert listed.rows("SELECT count(*) FROM claim") == [(0,)]
    assert free.handle(free.practice.message(5)).positive


def test_a_refused_lot_can_be_sent_again_in_a_new_lot(build: Callable[..., Bench]) -> None:
    """A negative ARL consumes no invoice number: the same invoices are accepted in another lot."""
    bench = build(faults=("negative-arl:1",))
    fse = bench.practice.fse(9)
    first = bench.handle(bench.practice.seal(bench.practice.lot(fse)).message)
    second = bench.handle(bench.practice.seal(bench.practice.lot(fse)).message)
    assert (first.positive, second.positive) == (False, True)
    assert bench.rows("SELECT number, decision FROM claim") == [(9, "P")]


def test_no_person_in_the_ledger(bench: Bench) -> None:
    """The ledger's files hold no NIR and no name in clear; the sealed details do give them back."""
    bench.handle(bench.practice.message(1, 2))
    view = bench.practice.fse(1).view()
    state = next(Path(bench.maildir.parent).glob("state*"))
    everything = b"".join(path.read_bytes() for path in state.iterdir())
    assert view.nir.encode() not in everything
    assert b"ANNE" not in everything
    assert {path.stat().st_mode & 0o077 for path in state.iterdir()} == {0}

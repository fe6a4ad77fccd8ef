"""Files and mails of other software: records written position by position, mails as exporters make them."""

from __future__ import annotations

import base64
import gzip
import shutil
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms, core
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from card.layout.nir import nir_key
from gateway.cms.enveloped import encrypt
from gateway.cms.policy import policy_named
from gateway.lots.refusal import LotRefusal
from gateway.lots.verify import parse_file
from gateway.records.arl import parse_arl
from gateway.records.noemie_file import parse_noemie
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.outside import in_our_shape

if TYPE_CHECKING:
    from conftest import Bench

Build = Callable[..., "Bench"]
NIR = "2801962643002"
PS, STAMP = "991000009", "2026112009300012345"
PERSON = Insured(NIR, "800301", ((date(2020, 1, 1), date(2030, 12, 31)),), name="TEST", first_name="ANNE")


def record(**places: str) -> str:
    """128 characters from positions (`p17="349"` begins at 17) as the tables of the norm print them."""
    line = [" "] * 128
    for place, text in places.items():
        at = int(place[1:]) - 1
        line[at : at + len(text)] = text
    assert len(line) == 128
    return "".join(line)


def head(kind: str, number: int) -> dict[str, str]:
    """Positions 1 to 38 of a record of an invoice."""
    return {
        "p1": kind, "p2": PS, "p12": NIR, "p25": f"{nir_key(NIR):02d}", "p27": "000", "p30": f"{number:09d}",
    }  # fmt: skip


def fee_invoice(number: int) -> list[str]:
    """A consultation: 2, 4, 5; what other software writes where no public table says anything included."""
    start = record(
        **head("2", number), p39="1", p40="000000042", p49="01", p51="349", p54="0349", p58="3", p59="261119",
        p65="000000", p71="349", p74="000", p77="10", p79="0", p80="261119", p86="000000000", p96="800301",
        p102="1", p103="261119", p109="261119", p115="01", p117="00",
    )  # fmt: skip
    act = record(
        **head("4", number), p39="07", p41="000", p68="01", p70="261119", p76="G    ", p81="01", p83="000100",
        p89="01", p91="0003000", p98="0003000", p105="070", p108="0002100", p115="0003000", p123="000000",
    )  # fmt: skip
    end = record(
        **head("5", number), p39="001", p42="00000000", p50="00000000", p58="00003000", p66="00002100",
        p74="00000900", p82="00000000", p90="00000000", p115="00003000",
    )  # fmt: skip
    return [start, act, end]


def hospital_invoice(number: int) -> list[str]:
    """A session of an establishment: 2, two records 3, 5."""
    start = record(
        **head("2", number), p39="1", p40="000000042", p49="01", p51="349", p54="0000", p58="3", p59="261119",
        p65="000000", p71="349", p74="000", p77="10", p79="3", p80="261119", p86="000000000", p96="800301",
        p102="1", p103="261119", p109="261119", p115="01", p117="00",
    )  # fmt: skip
    lines = [
        record(
            **head("3", number), p39="19", p41="320", p44=day, p50=day, p56="SNS  ", p61="001", p65="00100",
            p71="00000", p76="0012000", p83="00012000", p91="100", p94="00012000", p102="00012000",
            p110="0000", p114="000", p122="0000000",
        )
        for day in ("261118", "261119")
    ]  # fmt: skip
    end = record(
        **head("5", number), p39="002", p42="00024000", p50="00024000", p58="00000000", p66="00000000",
        p74="00000000", p82="00000000", p90="00000000", p115="00024000",
    )  # fmt: skip
    return [start, *lines, end]


def b2_file(*invoices: list[str], acts: int, charged: int, amo: int, sender_type: str = "TE") -> bytes:
    """000, one lot, 999: its counters 18-21 and 22-24 are the invoices twice, as one exporter counts."""
    frame = {
        "p4": sender_type, "p6": f"00000{PS}", "p26": "CT", "p28": "00000001000349",
        "p48": "TR", "p50": "A1B2C3",
    }  # fmt: skip
    records = [
        record(p1="000", **frame, p56="261120", p62="CP  ", p66="B2", p83="128", p92="EDITEUR 01 LOGICIEL"),
        record(
            p1="1", p2=PS, p17="349", p20="007", p23="189", p26="60", p28="05", p30="CMPP DU TEST",
            p70="B2", p72="261120", p79="CP", p82="032012", p88="U",
        ),
        *(one for invoice in invoices for one in invoice),
        record(
            p1="6", p2=PS, p11=f"{len(invoices):03d}", p14=f"{acts:04d}", p18=f"{len(invoices):04d}",
            p22=f"{len(invoices):03d}", p25=f"{charged:09d}", p34=f"{amo:09d}", p43="000000000", p52="007",
        ),
    ]  # fmt: skip
    records.append(record(p1="999", **frame, p56=f"{len(records) + 1:08d}", p83="001"))
    return "".join(records).encode("ascii")


FEES = b2_file(fee_invoice(1), fee_invoice(2), acts=2, charged=6000, amo=4200)


def inner(content: bytes, end: str = "\n", description: str = "IRIS/B2/Z") -> bytes:
    """The EDI part as an exporter writes it."""
    packed = gzip.compress(content) if description.endswith("/Z") else content
    body = base64.encodebytes(packed).decode().replace("\n", end)
    head = f"Content-Type: application/EDI-consent{end}Content-Transfer-Encoding: base64{end}"
    return f"{head}Content-Description: {description}{end}{end}{body}".encode("ascii")


def certificate(bench: Bench) -> bytes:
    """The receiver's."""
    return bench.practice.authority.receiver_keys().decryption.certificate


def sealed(bench: Bench, content: bytes) -> bytes:
    """AES-128-CBC, DER."""
    return encrypt(content, certificate(bench), policy_named("sesam"), bytes)


def whole(body: bytes, count: int = 2, kind: str = "IR") -> bytes:
    """The S/MIME entity as the whole message, every header of the entity beside one of the content."""
    lines = base64.b64encode(body).decode()
    text = "\r\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
    return (
        "From: cabinet@practice.test\r\n"
        f"Subject: {kind}/00000{PS}/{STAMP}/{count:05d}\r\n"
        "Content-Description: IRIS/B2/Z\r\nContent-Type: Application/EDI-consent\r\n"
        "Content-Transfer-Encoding: base64\r\nX-SV_CHIFFREMENT: TEST#Autre#1.40#A#2\r\n"
        "Message-ID: <1.abc@practice.test>\r\nMIME-Version: 1.0\r\nDate: Fri, 20 Nov 2026 09:30:00 GMT\r\n"
        "To: 01349@349.01.rss.fr\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment; name=smime.p7m\r\n"
        f"Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name=smime.p7m\r\n\r\n{text}"
    ).encode("ascii")


def in_multipart(entity: bytes, count: int = 2) -> bytes:
    """The S/MIME entity as the only part of a multipart, lines ended by LF, no Date."""
    return (
        f"From: cabinet@practice.test\nSubject: IR100500/00000{PS}/{STAMP}/{count:05d}\n"
        'Mime-Version: 1.0\nContent-Type: multipart/mixed; boundary="_B2-1"\n'
        "To: 01349@349.01.rss.fr\nMessage-ID: <1@practice.test>\n\n--_B2-1\n"
    ).encode() + entity + b"--_B2-1--\n"  # fmt: skip


def in_pieces(der: bytes) -> bytes:
    """The same envelope with its content as a constructed string (BER), as one library writes it."""
    info = cms.ContentInfo.load(der)
    encrypted = info["content"]["encrypted_content_info"]["encrypted_content"].native
    plain = b"\x80" + _length(len(encrypted)) + encrypted
    octets = core.OctetString(encrypted).dump()
    grown = b"\xa0" + _length(len(octets)) + octets
    assert der.endswith(plain)
    return _regrown(der[: -len(plain)], grown, len(grown) - len(plain))


def _length(size: int) -> bytes:
    return bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])


def _regrown(front: bytes, tail: bytes, more: int) -> bytes:
    """Every enclosing length of two bytes made larger: ContentInfo, [0], EnvelopedData, the content info."""
    whole, at = bytearray(front), 0
    last = front.rindex(b"\x30\x82")
    for place in (0, 4 + 11, 4 + 11 + 4, last):
        at = place + 2
        size = int.from_bytes(whole[at : at + 2], "big") + more
        whole[at : at + 2] = size.to_bytes(2, "big")
    return bytes(whole) + tail


@pytest.fixture
def bench(build: Build) -> Bench:
    """A receiver under the profile `sesam` that knows this person."""
    return build(policy="sesam", people=InsuredBase([PERSON]))


# Records


def test_a_file_written_from_the_tables_is_read() -> None:
    """Each value stands where the tables put it, whatever stands where they are silent."""
    shaped = in_our_shape(FEES)
    file = parse_file(shaped)
    [lot] = file.lots
    view = lot.fses[0].view()
    [line] = view.lines
    assert (file.sender, file.file_id, lot.lot_number, lot.name) == (
        f"00000{PS}",
        "A1B2C3",
        7,
        "CMPP DU TEST",
    )
    assert (view.nir, view.nir_key, view.number, view.regime, view.caisse) == (
        NIR,
        "02"[:0] + view.nir_key,
        1,
        "01",
        "349",
    )
    assert (view.care_date, view.birth_date, view.nature, view.exemption) == ("261119", "800301", "10", "0")
    assert (line.code, line.quantity, line.base_cents, line.rate, line.amo_cents) == ("G", 1, 3000, 70, 2100)
    assert (view.third_party, view.complementary_number, lot.fses[0].mode) == ("amo", "", 5)


def test_what_is_ours_is_left_as_it_is() -> None:
    """A file in our shape is the same after as before, byte for byte."""
    shaped = in_our_shape(FEES)
    assert shaped != FEES
    assert in_our_shape(shaped) == shaped
    assert in_our_shape(b"short") == b"short"


@pytest.mark.parametrize(
    ("place", "character", "code"),
    [(30, "?", "2003"), (2, "8", "2004"), (25, "9", "2004"), (49, "?", "2003"), (80, "?", "2003")],
)
def test_what_the_tables_ask_for_is_asked_for(place: int, character: str, code: str) -> None:
    """A wrong value in a field that matters is refused; the file itself is read."""
    at = 2 * 128 + place - 1
    assert chr(FEES[at]) != character
    broken = in_our_shape(FEES[:at] + character.encode() + FEES[at + 1 :])
    with pytest.raises(LotRefusal) as refused:
        parse_file(broken)
    assert refused.value.error_code == code
    assert parse_file(in_our_shape(FEES)).lots


def test_totals_are_worked_out_again() -> None:
    """A total of the lot that is one cent off is refused; counters that nobody defines are not."""
    wrong = b2_file(fee_invoice(1), acts=1, charged=3001, amo=2100)
    with pytest.raises(LotRefusal) as refused:
        parse_file(in_our_shape(wrong))
    assert refused.value.error_code == "4006"
    assert parse_file(in_our_shape(b2_file(fee_invoice(1), acts=1, charged=3000, amo=2100))).lots


# Mails


def paid(bench: Bench) -> list[tuple[int, str, int]]:
    """What the return says of each invoice, days later."""
    bench.clock.advance(timedelta(days=5))
    bench.parts.paymaster.pay_due()
    files = [bench.open(raw).payload for raw in bench.deliver()]
    [answer] = [parse_noemie(file) for file in files if file[47:49] == b"NO"]
    return [(one.invoice, one.invoice_type, one.paid_cents) for one in answer.payments]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("description", ["IRIS/B2/Z", "IRISTEST/B2"])
def test_a_whole_message_of_another_software(bench: Bench, end: str, description: str) -> None:
    """Headers twice, GMT, no last line end: accepted, answered with a positive ARL, paid as degraded."""
    answer = bench.handle(whole(sealed(bench, inner(FEES, end, description))))
    assert answer.positive, answer.reason
    [arl] = [parse_arl(bench.open(raw).payload) for raw in bench.deliver()]
    assert (arl.positive, arl.file_id, arl.lot_number, arl.invoices) == (True, "A1B2C3", 7, 2)
    assert paid(bench) == [(1, "B", 2100), (2, "B", 2100)]


def test_an_envelope_in_pieces(bench: Bench) -> None:
    """Encrypted content as a constructed string is taken; damaged it is refused as everything else is."""
    good = in_pieces(sealed(bench, inner(FEES)))
    assert bench.handle(whole(good)).positive
    refused = bench.handle(whole(good[:-1] + bytes([good[-1] ^ 1])))
    assert (refused.positive, refused.code) == (False, "1000")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
@pytest.mark.parametrize("cipher", ["-des3", "-aes-128-cbc"])
def test_a_multipart_made_with_openssl(bench: Bench, tmp_path: Path, cipher: str) -> None:
    """What `openssl smime` seals, part of a multipart with LF lines and no Date, is accepted and paid."""
    pem = tmp_path / "receiver.pem"
    pem.write_bytes(x509.load_der_x509_certificate(certificate(bench)).public_bytes(Encoding.PEM))
    made = subprocess.run(
        ["openssl", "smime", "-encrypt", cipher, str(pem)], input=inner(FEES), capture_output=True, check=True
    )
    answer = bench.handle(in_multipart(made.stdout))
    assert answer.positive, answer.reason
    assert paid(bench) == [(1, "B", 2100), (2, "B", 2100)]


def test_sessions_of_an_establishment(bench: Bench) -> None:
    """Records 3 are read to the position and their totals checked; acts without a tariff here are refused."""
    content = b2_file(hospital_invoice(5), acts=2, charged=24000, amo=24000)
    assert bench.handle(whole(sealed(bench, inner(content)), 1)).positive
    assert bench.rows("SELECT number, decision FROM claim") == [(5, "R")]


def test_only_b2_comes_from_outside(build: Build, bench: Bench) -> None:
    """A SESAM subject, a profile that signs, another content, a count that lies: E 1000, no word more."""
    good = sealed(bench, inner(FEES))
    for wrong in (
        whole(good, kind="SV"), whole(good, 3), whole(sealed(bench, inner(FEES, description="NOEMIE/1/Z"))),
        whole(b"\x30\x03\x02\x01\x00"), in_multipart(b"Content-Type: text/plain\n\nhello\n"),
    ):  # fmt: skip
        refused = bench.handle(wrong)
        assert (refused.positive, refused.error_class, refused.code) == (False, "E", "1000")
    modern = build(policy="modern", people=InsuredBase([PERSON]))
    assert modern.handle(whole(good)).code == "1000"
    bench.practice.policy_name = "sesam"
    assert bench.handle(whole(good)).positive

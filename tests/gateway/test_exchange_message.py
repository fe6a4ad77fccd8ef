"""The mail of a lot: exact form, exact round trip, nothing smuggled in, nothing unbounded."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email
import gzip
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, InputError, TrustError
from gateway.exchange.message import (
    AUTH_ENVELOPED,
    EDI,
    ENVELOPED,
    InnerPart,
    OutgoingMessage,
    Subject,
    build,
    inner_part,
    organism_address,
    pack,
    parse,
    parse_inner,
    unpack,
)

SUBJECT = "SV010000/00000000099100/2026112210203000001/00050"
MAIL = OutgoingMessage(
    sender="01996@996.01.rss.fr",
    recipient="01349@349.01.rss.fr",
    subject=SUBJECT,
    message_id="2026112210203000001@996.01.rss.fr",
    date=datetime(2026, 11, 22, 10, 20, 30, tzinfo=UTC),
    description="SESAM/FSE/Z",
    payload=bytes(range(100)),
)

names = st.text("abcXYZ0189._-", min_size=1, max_size=30)
hosts = st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,4}", fullmatch=True)
addresses = st.builds("{}@{}".format, names, hosts)
mails = st.builds(
    OutgoingMessage,
    sender=addresses,
    recipient=addresses,
    subject=st.from_regex(r"[!-~]([ -~]{0,80}[!-~])?", fullmatch=True),
    message_id=addresses,
    date=st.integers(0, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    description=st.sampled_from(("", "SESAM/FSE/Z", "SESAM/ARL/Z", "NOEMIE/580/Z", "IRISTEST/B2")),
    payload=st.binary(max_size=10_000),
    content_type=st.sampled_from((ENVELOPED, AUTH_ENVELOPED, EDI)),
)


def fields_of(message: object) -> dict[str, object]:
    return {name: getattr(message, name) for name in OutgoingMessage.__dataclass_fields__}


@settings(max_examples=300, deadline=None)
@given(mails)
def test_what_is_built_is_read_back(mail: OutgoingMessage) -> None:
    """parse(build(m)) gives every field of m, for any payload."""
    assert fields_of(parse(build(mail))) == fields_of(mail)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 46, 47, 48, 49, 95, 96, 3071, 3072, 3073, 6144, 60_000])
def test_sizes_around_lines_and_blocks(size: int) -> None:
    """Round trip at every edge of a base64 line and of a block of lines; a stranger reads it too."""
    mail = dataclasses.replace(MAIL, payload=bytes(index * 7 % 256 for index in range(size)))
    raw = build(mail)
    assert parse(raw).payload == mail.payload
    assert email.message_from_bytes(raw).get_payload(decode=True) == mail.payload
    assert all(len(line) <= 64 for line in raw.split(b"\r\n\r\n", 1)[1].split(b"\r\n"))


def test_exact_headers() -> None:
    """The headers are those of the transport note, in this order and spelling."""
    assert build(MAIL).split(b"\r\n\r\n")[0].decode().split("\r\n") == [
        "From: 01996@996.01.rss.fr",
        "To: 01349@349.01.rss.fr",
        f"Subject: {SUBJECT}",
        "Message-ID: <2026112210203000001@996.01.rss.fr>",
        "Date: Sun, 22 Nov 2026 10:20:30 +0000",
        "MIME-Version: 1.0",
        "X-SV_CHIFFREMENT: TEST#vitale-gateway#1.40#A#2",
        "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
        "Content-Transfer-Encoding: base64",
        "Content-Description: SESAM/FSE/Z",
    ]


def test_same_message_same_bytes() -> None:
    """Building twice gives identical bytes: a retry is the same mail."""
    assert build(MAIL) == build(dataclasses.replace(MAIL))


INJECTED = ["\r\nBcc: a@b.fr", "\nX: y", "\r", "\n", "\0", "é", "\x7f", " ", ""]


@pytest.mark.parametrize("piece", INJECTED, ids=[repr(piece) for piece in INJECTED])
@pytest.mark.parametrize("name", ["sender", "recipient", "subject", "message_id", "description"])
def test_no_header_can_be_injected(name: str, piece: str) -> None:
    """CR, LF, NUL, controls and non-ASCII in any field are refused by name; the clean twin passes."""
    bad = getattr(MAIL, name) + piece if piece else ""
    if name == "description" and not piece:
        bad = "/"
    with pytest.raises(InputError, match=rf"^{name}:"):
        build(dataclasses.replace(MAIL, **{name: bad}))
    assert build(MAIL)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["sender", "recipient", "subject", "message_id", "description"]))
def test_any_text_is_refused_or_kept_in_its_header(text: str, name: str) -> None:
    """Whatever text a field holds, either it is refused or it comes back as that field and nothing else."""
    mail = dataclasses.replace(MAIL, **{name: text})
    try:
        raw = build(mail)
    except InputError:
        return
    assert fields_of(parse(raw)) == fields_of(mail)


def test_date_without_zone_and_unknown_type_are_refused() -> None:
    """A naive date or a foreign content type is refused in words."""
    with pytest.raises(InputError, match=r"^date:"):
        build(dataclasses.replace(MAIL, date=datetime(2026, 11, 22)))  # noqa: DTZ001
    with pytest.raises(InputError, match=r"^content_type:"):
        build(dataclasses.replace(MAIL, content_type="text/plain"))


def test_date_of_another_zone_is_the_same_moment() -> None:
    """A moment given in Paris time is written in UTC and read as the same moment."""
    paris = datetime(2026, 7, 1, 0, 30, 0, tzinfo=timezone(timedelta(hours=2)))
    raw = build(dataclasses.replace(MAIL, date=paris))
    assert b"Date: Tue, 30 Jun 2026 22:30:00 +0000" in raw
    assert parse(raw).date == paris


RAW = build(MAIL)
HEAD, BODY = RAW.split(b"\r\n\r\n", 1)
TAKEN = {
    "trace headers of a relay": b"Received: from a by b;\r\n\tSun, 22 Nov 2026\r\nReturn-Path: <>\r\n" + RAW,
    "letter case of names": RAW.replace(b"Subject:", b"SUBJECT:").replace(b"From:", b"from:"),
    "folded header": RAW.replace(b"; smime-type", b";\r\n smime-type"),
    "quoted parameters, another order": RAW.replace(
        b"smime-type=enveloped-data; name=smime.p7m", b'name="smime.p7m"; smime-type="enveloped-data"'
    ),
    "lines of 76": HEAD + b"\r\n\r\n" + b"\r\n".join(
        BODY.replace(b"\r\n", b"")[at : at + 76] for at in range(0, 136, 76)
    ) + b"\r\n",
    "date in Paris time": RAW.replace(b"10:20:30 +0000", b"11:20:30 +0100"),
}  # fmt: skip


@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN)
def test_honest_variants_are_read(raw: bytes) -> None:
    """What another correct mail program may do to the message changes nothing of what is read."""
    assert fields_of(parse(raw)) == fields_of(MAIL)


REFUSED = {
    "no header end": HEAD,
    "header without name": b"nothing here\r\n" + RAW,
    "continuation first": b" x\r\n" + RAW,
    "two subjects": RAW.replace(b"Subject:", b"Subject: other\r\nSubject:"),
    "two recipients headers": b"To: x@y.fr\r\n" + RAW,
    "no sender": RAW.replace(b"From: 01996@996.01.rss.fr\r\n", b""),
    "two addresses in To": RAW.replace(b"To: ", b"To: x@y.fr, "),
    "bare LF in a header": RAW.replace(b"SESAM/FSE/Z", b"SESAM\nX: y"),
    "bare CR in a header": RAW.replace(b"SESAM/FSE/Z", b"SESAM\rX: y"),
    "NUL in a header": RAW.replace(b"SESAM/FSE/Z", b"SESAM\0"),
    "non-ASCII header": RAW.replace(b"SESAM/FSE/Z", b"SESAM/\xe9"),
    "endless header": b"X: " + b"x" * 20_000 + b"\r\n" + RAW,
    "too many headers": b"X: y\r\n" * 200 + RAW,
    "LF lines": RAW.replace(b"\r\n", b"\n"),
    "LF body": HEAD + b"\r\n\r\n" + BODY.replace(b"\r\n", b"\n"),
    "no last CRLF": RAW[:-2],
    "empty line in the body": RAW + b"\r\n",
    "text after the body": RAW + b"hello!!\r\n",
    "space in the body": RAW.replace(BODY[:10], BODY[:9] + b" "),
    "padding in the middle": HEAD + b"\r\n\r\nAAA=AAAA\r\n",
    "one character missing": RAW[:-3] + b"\r\n",
    "stray bits at the end": HEAD + b"\r\n\r\nAB==\r\n",
    "transfer encoding 7bit": RAW.replace(b"Encoding: base64", b"Encoding: 7bit"),
    "multipart": RAW.replace(ENVELOPED.encode(), b"multipart/mixed; boundary=x"),
    "unknown smime-type": RAW.replace(b"enveloped-data", b"signed-data"),
    "two smime-types": RAW.replace(b"; name", b"; smime-type=enveloped-data; name"),
    "date that does not exist": RAW.replace(b"22 Nov", b"31 Nov"),
    "date with an unknown month": RAW.replace(b"22 Nov", b"22 Foo"),
    "date with a wild zone": RAW.replace(b"+0000", b"+9900"),
    "message id without brackets": RAW.replace(b"<2026112210203000001@996.01.rss.fr>", b"2026@996.fr"),
    "empty": b"",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_crooked_mail_is_refused(raw: bytes) -> None:
    """Anything that is not exactly one mail of this exchange is refused in one sentence."""
    with pytest.raises(InputError) as refusal:
        parse(raw)
    assert "\n" not in str(refusal.value)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RAW) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_damaged_mail_raises_only_our_refusal(at: int, put: bytes, cut: int) -> None:
    """Any damage either parses or raises InputError, never anything else."""
    with contextlib.suppress(InputError):
        parse(RAW[:at] + put + RAW[at + cut :])


def test_one_payload_has_one_encoding() -> None:
    """Every single change of a character of the body changes the payload or is refused."""
    for at in range(len(HEAD) + 4, len(RAW) - 2):
        if RAW[at : at + 1] in b"\r\n":
            continue
        other = RAW[:at] + (b"A" if RAW[at : at + 1] != b"A" else b"B") + RAW[at + 1 :]
        with contextlib.suppress(InputError):
            assert parse(other).payload != MAIL.payload


def test_every_octet_of_a_body_counts() -> None:
    """Any octet put at any place of a body is refused, or part of what the payload read is encoded as."""
    head, body = build(dataclasses.replace(MAIL, payload=bytes(range(70)))).split(b"\r\n\r\n")
    for place in range(len(body)):
        for put in b"Az09+/=-_ \r\n\t\0\x80\xff":
            changed = body[:place] + bytes([put]) + body[place + 1 :]
            with contextlib.suppress(InputError):
                payload = parse(head + b"\r\n\r\n" + changed).payload
                assert base64.b64encode(payload) == changed.replace(b"\r\n", b"")


def test_size_limit() -> None:
    """One octet above the limit is refused before anything is read; the limit itself is accepted."""
    assert parse(RAW, limit=len(RAW)).payload == MAIL.payload
    with pytest.raises(InputError, match="more than the limit"):
        parse(RAW, limit=len(RAW) - 1)


def test_subject_forms() -> None:
    """IR with and without version and SV are read and written back as they were."""
    for text in (
        SUBJECT,
        "IR100500/00000000099100/2026112210203000001/00001",
        "IR/00000000099100/2026112210203000001/99999",
    ):
        assert Subject.parse(text).format() == text
    assert Subject.parse(SUBJECT) == Subject("010000", "00000000099100", "2026112210203000001", 50)


@pytest.mark.parametrize(
    "text",
    [
        "SV010000/00000000099100/2026112210203000001/00000",
        "SV010000/00000000099100/2026132210203000001/00001",
        "SV010000/00000000099100/202611221020300001/00001",
        "XX010000/00000000099100/2026112210203000001/00001",
        "SV01000/00000000099100/2026112210203000001/00001",
        "SV010000/0000000009910/2026112210203000001/00001",
        "SV010000/00000000099100/2026112210203000001/1",
        SUBJECT + " ",
        "",
    ],
)
def test_crooked_subjects_are_refused(text: str) -> None:
    """A subject with a wrong count, moment, length or prefix is refused."""
    with pytest.raises(InputError, match=r"^subject:"):
        Subject.parse(text)


@pytest.mark.parametrize(
    "subject",
    [
        Subject("010000", "00000000099100", "2026112210203000001", 0),
        Subject("010000", "00000000099100", "2026112210203000001", 100_000),
        Subject("1", "00000000099100", "2026112210203000001", 1),
        Subject("010000", "99100", "2026112210203000001", 1),
        Subject("010000", "00000000099100", "2026112210203000001", 1, kind="\r\n"),
    ],
)
def test_crooked_subject_parts_are_not_written(subject: Subject) -> None:
    """Parts that do not fit their places are refused when written; the fitting twin is written."""
    with pytest.raises(InputError):
        subject.format()
    assert Subject.parse(SUBJECT).format() == SUBJECT


def test_organism_address() -> None:
    """RROOO@OOO.RR.rss.fr, as 01422@422.01.rss.fr; other digits are refused."""
    assert organism_address("01", "422") == "01422@422.01.rss.fr"
    for regime, organism in (("1", "422"), ("01", "42"), ("01", "4222"), ("0A", "422"), ("01", "42\n")):
        with pytest.raises(InputError, match=r"^recipient:"):
            organism_address(regime, organism)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=5000))
def test_inner_part_round_trip(payload: bytes) -> None:
    """The inner entity gives back description and payload."""
    assert parse_inner(inner_part("SESAM/FSE/Z", payload)) == InnerPart("SESAM/FSE/Z", payload)


def test_inner_part_is_strict() -> None:
    """An inner entity without description, or of another type, is refused; the plain twin is read."""
    part = inner_part("SESAM/FSE/Z", b"x")
    assert part.startswith(b"Content-Type: Application/EDI-consent\r\n")
    for bad in (
        part.replace(b"Content-Description: SESAM/FSE/Z\r\n", b""),
        part.replace(b"Application/EDI-consent", b"text/plain"),
        part.replace(b"Application/EDI-consent", ENVELOPED.encode()),
    ):
        with pytest.raises(InputError):
            parse_inner(bad)
    for description in ("", "A B", "A\r\nB: c"):
        with pytest.raises(InputError, match=r"^description:"):
            inner_part(description, b"x")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=5000))
def test_pack_round_trip(text: bytes) -> None:
    """gzip out, gunzip back, the same bytes each time, readable by a stranger."""
    packed = pack(text)
    assert unpack(packed, limit=len(text)) == text
    assert packed == pack(text)
    assert gzip.decompress(packed) == text
    assert packed[4:8] == bytes(4)  # RFC 1952: no time


def test_gzip_bomb_is_refused_in_little_memory() -> None:
    """100 MB of zeros in 100 KB are refused at the limit without being unfolded."""
    bomb = pack(bytes(100_000_000), level=9)
    tracemalloc.start()
    with pytest.raises(TrustError, match="more than 1000000 octets"):
        unpack(bomb, limit=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
    assert unpack(pack(bytes(1_000_000)), limit=1_000_000) == bytes(1_000_000)


@pytest.mark.parametrize("spoil", ["truncated", "flipped", "trailing", "twice", "empty", "plain"])
def test_unsound_gzip_is_refused(spoil: str) -> None:
    """Truncated, altered, doubled or foreign content is refused; the sound twin is read."""
    good = pack(b"records of a lot " * 20)
    bad = {
        "truncated": good[:-1],
        "flipped": good[:-6] + bytes((good[-6] ^ 1,)) + good[-5:],
        "trailing": good + b"\0",
        "twice": good + good,
        "empty": b"",
        "plain": b"records of a lot",
    }[spoil]
    with pytest.raises(TrustError):
        unpack(bad)
    assert unpack(good)


def test_no_payload_in_any_text() -> None:
    """Neither repr nor a refusal shows the payload."""
    mail = dataclasses.replace(MAIL, payload=b"CANARY")
    assert "CANARY" not in repr(mail) + repr(parse(build(mail))) + repr(InnerPart("A", b"CANARY"))
    assert issubclass(InputError, GatewayError)

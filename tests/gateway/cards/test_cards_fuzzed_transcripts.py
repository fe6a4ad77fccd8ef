"""A card as hostile peer: mutated recordings of a visit, ATR then answers (promise A10; OpenSC fuzzes so).

Whatever the answers are: a session that works or one CardRefusal or ReaderError, after a bounded number of
exchanges, and nothing of anybody in any text.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from gateway.cards.access import read_file
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal, TrustError
from gateway.pki import Certificate
from gateway.secret import Secret
from reader.errors import ReaderError
from reader.slot import Slot
from reader.trace import Trace
from tests.gateway.cards.conftest import Bench
from tests.gateway.cards.transcripts import (
    ENDINGS,
    SPOILS,
    Recorder,
    ReplayCard,
    Spoilt,
    Transcript,
    everything_said,
)

DIGEST = bytes(range(32))
MOST_EXCHANGES = 4000
"""An honest visit needs about a hundred; a liar may draw it out, not for ever."""

SPOILT = st.builds(Spoilt, st.sampled_from(sorted(SPOILS)), st.integers(0, 1 << 16), st.integers(0, 1 << 24))


@dataclass(frozen=True)
class Recording:
    """What both cards said during one honest visit, and the words that must never be repeated."""

    cps: Transcript
    vitale: Transcript
    secrets: tuple[str, ...]


def visit(cps_slot: Slot, vitale_slot: Slot) -> dict[str, object]:
    """Everything the gateway does with two cards: read, PIN, card-to-card, rights, seal, signature."""
    with CpsSession.open(cps_slot.connect()) as cps:
        cps.verify_pin(Secret("1234"))
        with VitaleSession.open(vitale_slot.connect()) as vitale:
            vitale.authenticate(cps)
            rights = vitale.read_rights()
            return {
                "serials": (cps.serial, vitale.serial),
                "holder": cps.holder,
                "situations": cps.situations,
                "rights": rights,
                "seal": vitale.seal(DIGEST),
                "signature": cps.sign_digest(DIGEST),
                "certificates": (cps.signature_certificate, cps.authentication_certificate),
            }


@pytest.fixture(scope="session")
def recording(new_image) -> Recording:
    """One honest visit, as the wire saw it."""
    bench, recorder = (
        Bench({"Vitale": new_image("vitale-family"), "CPS": new_image("cps-gp-sector1")}),
        Recorder(),
    )
    bench.reader.observe(recorder)
    seen = visit(bench.reader.slot("CPS"), bench.reader.slot("Vitale"))
    people = [seen["holder"], *seen["rights"].beneficiaries]
    names = {person.name for person in people} | {person.first_name for person in people}
    nirs = {person.own_nir for person in seen["rights"].beneficiaries} | {seen["rights"].insured_nir}
    secrets = (*sorted(word for word in names | nirs if len(word) > 3), "31323334")
    return Recording(recorder.transcript("CPS"), recorder.transcript("Vitale"), secrets)


def slot_with(name: str, card: ReplayCard, trace: Trace) -> Slot:
    slot = Slot(name)
    slot.observe(trace)
    slot.insert(card)
    return slot


def replay(
    recording: Recording, cps: Transcript, vitale: Transcript, ending: bytes = b""
) -> dict[str, object] | None:
    """A visit with two replaying cards: what it gave, or None when it was refused properly."""
    cards, trace = (ReplayCard(cps, ending), ReplayCard(vitale, ending)), Trace()
    slots = (slot_with("CPS", cards[0], trace), slot_with("Vitale", cards[1], trace))
    seen, said = None, ""
    try:
        seen = visit(*slots)
    except (CardRefusal, ReaderError) as refusal:
        said = everything_said(refusal)
        assert "slot" in str(refusal)
    said += "\n".join(trace.lines()) + repr(slots)
    assert not [secret for secret in recording.secrets if secret in said.replace(" ", "")]
    for card in cards:
        assert card.exchanges <= MOST_EXCHANGES
        assert card.given <= 1 << 20
    return seen


def test_the_unmutated_transcript_works(recording):
    """Twin: cards that say what the real ones said give the same visit, names and rights whole."""
    seen = replay(recording, recording.cps, recording.vitale)
    assert seen is not None
    assert len(seen["seal"]) == len(seen["signature"]) == 256
    assert len(seen["rights"].beneficiaries) > 1
    assert Certificate.parse(seen["certificates"][0]).national_id == seen["holder"].national_id
    assert len(recording.secrets) > 6


@settings(max_examples=600, deadline=None)
@given(
    card=st.sampled_from(["cps", "vitale"]),
    spoilt=st.lists(SPOILT, min_size=1, max_size=5),
    ending=st.sampled_from(ENDINGS),
)
def test_mutated_transcripts(recording, card, spoilt, ending):
    """Flipped, cut, lengthened, reordered, repeated, lies in statuses and lengths: a visit or a refusal."""
    said = {"cps": list(recording.cps), "vitale": list(recording.vitale)}
    for spoil in spoilt:
        spoil(said[card])
    seen = replay(recording, tuple(said["cps"]), tuple(said["vitale"]), ending)
    for certificate in seen["certificates"] if seen else ():
        try:
            Certificate.parse(certificate)
        except TrustError as refusal:
            assert not [secret for secret in recording.secrets if secret in everything_said(refusal)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=30), st.sampled_from(ENDINGS))
def test_transcripts_of_noise(recording, answers, ending):
    """An answer to reset and answers of any bytes at all, on either card."""
    assert replay(recording, tuple(answers), recording.vitale, ending) is None
    replay(recording, recording.cps, tuple(answers), ending)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda data: data + b"\x90\x00"), max_size=30))
def test_noise_that_always_succeeds(recording, answers):
    """Short noise behind 9000: the first refusal must come from what the bytes mean, not from a status."""
    replay(recording, (recording.cps[0], *answers), recording.vitale, b"\x90\x00")
    replay(recording, recording.cps, (recording.vitale[0], *answers), b"\x90\x00")


@pytest.mark.parametrize("slot", ["cps", "vitale"])
def test_every_answer_cut_away_and_doubled(recording, slot):
    """Each single answer missing, empty, doubled, or the last one the card ever gives."""
    whole = getattr(recording, slot)
    for at in range(len(whole)):
        for changed in (
            whole[:at] + whole[at + 1 :],
            (*whole[:at], b"", *whole[at + 1 :]),
            (*whole[:at], whole[at], *whole[at:]),
            whole[:at],
        ):
            other = {"cps": recording.cps, "vitale": recording.vitale} | {slot: changed}
            replay(recording, other["cps"], other["vitale"])


class SlowLiar:
    """Announces files of 32 KiB and gives them in crumbs: one byte an answer, or behind each 61xx."""

    def __init__(self, *, waiting: bool) -> None:
        self.waiting, self.exchanges = waiting, 0

    def power_on(self) -> bytes:
        return bytes.fromhex("3B00")

    def power_off(self) -> None:
        pass

    def transmit(self, apdu: bytes) -> bytes:
        self.exchanges += 1
        if apdu[1] == 0xA4:
            return bytes.fromhex("620480027FFF9000") if apdu[2] == 2 else b"\x90\x00"
        return b"\x5a\x61\x01" if self.waiting else b"\x5a\x90\x00"


@pytest.mark.parametrize("waiting", [False, True])
def test_a_card_that_gives_crumbs_is_sent_away(waiting):
    """B5: a file in 32,767 answers of a byte would hold the slot for minutes: refused within 50."""
    card = SlowLiar(waiting=waiting)
    slot = Slot("Vitale")
    slot.insert(card)
    with pytest.raises(ReaderError, match="Vitale slot"):
        read_file(slot.connect(), 0x2F02)
    assert card.exchanges <= 50


@pytest.mark.parametrize("step", [32, 128, 239, 255])
def test_a_card_with_a_small_buffer_is_not(step):
    """Twin: a card that never gives more than 32 bytes at a time is slow but honest, and is read whole."""

    class Small(SlowLiar):
        def transmit(self, apdu: bytes) -> bytes:
            self.exchanges += 1
            if apdu[1] == 0xA4:
                return bytes.fromhex("6204800207D09000")
            at = apdu[2] << 8 | apdu[3]
            return (bytes(range(256)) * 8)[at : at + min(step, apdu[4] or 256)] + b"\x90\x00"

    card = Small(waiting=False)
    slot = Slot("Vitale")
    slot.insert(card)
    assert read_file(slot.connect(), 0x2F02) == (bytes(range(256)) * 8)[:2000]


def test_a_thousand_hostile_visits_leave_nothing_in_memory(recording):
    """Refused visits keep nothing: after a thousand the process holds less than a megabyte more."""
    spoils = [Spoilt(how, at * 7919, at * 104729) for at, how in enumerate(sorted(SPOILS) * 10)]

    def round_of_visits() -> None:
        for spoil in spoils:
            said = list(recording.vitale)
            spoil(said)
            replay(recording, recording.cps, tuple(said))

    round_of_visits()
    tracemalloc.start()
    round_of_visits()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(3):
        round_of_visits()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1_000_000


def test_a_certificate_file_that_claims_a_gigabyte(recording):
    """The length 84 40000000 in a certificate is refused before anything of that size is made."""
    lie = bytes.fromhex("308440000000")
    said = [lie + answer[6:] if answer[:2] == b"\x30\x82" else answer for answer in recording.cps]
    assert said != list(recording.cps)
    tracemalloc.start()
    assert replay(recording, tuple(said), recording.vitale) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_wrong_length_in_get_response_is_refused(recording):
    """CVE-2025-49010: an answer longer than the GET RESPONSE asked for is refused."""
    slot = Slot("CPS")
    slot.insert(ReplayCard((recording.cps[0], b"\x61\x04", bytes(200) + b"\x90\x00")))
    with pytest.raises(ReaderError, match="longer than what was asked"):
        slot.connect().transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4))

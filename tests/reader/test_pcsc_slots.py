"""Which reader is which slot, what codes mean, what a PIN pad says: pure functions, no service needed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.errors import CardMute, CardProtocolError, CardRemoved, NoCard, ReaderError, SlotTaken
from reader.pcsc_errors import CardInUse, ReaderGone, ServiceStopped, failure
from reader.pcsc_features import PinPad, parse_features, pin_pad
from reader.pcsc_slots import MUTE, PRESENT, UNAVAILABLE, ReaderState, assign, kind_of, matching
from tests.reader.fake_scard import ATR_CPS, ATR_VITALE

SLOTS = ("Vitale", "CPS")
FIRST, SECOND = "Gemalto PC Twin Reader (C0D1) 00 00", "Gemalto PC Twin Reader (C0D1) 00 01"


def present(name, atr=ATR_CPS, count=1):
    return ReaderState(name, count << 16 | PRESENT, atr)


def absent(name):
    return ReaderState(name, 0x10)


def verdict(patterns, states, held=None):
    return assign(patterns, SLOTS, states, held or {})


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("(C0D1) 00 01", [SECOND]),  # a name is rarely a regular expression, and means itself
        ("gemalto.*00 00$", [FIRST]),
        ("GEMALTO", [FIRST, SECOND]),
        (FIRST, [FIRST]),
        ("0[01]$", [FIRST, SECOND]),
        ("OMNIKEY", []),
        ("(", [FIRST, SECOND]),
        ("[", []),
    ],
)
def test_patterns(pattern, found):
    """A pattern is a whole name, else a part of one, else a regular expression, whatever the case."""
    assert matching(pattern, [FIRST, SECOND]) == found


def test_a_whole_name_wins():
    """A name that is also the beginning of another one still means its reader."""
    assert matching("R 0", ["R 0", "R 00"]) == ["R 0"]


def test_one_pattern_for_each_slot():
    """The reader of that name is the slot, whatever card is in it; an empty one is an empty slot."""
    found = verdict([FIRST, SECOND], [present(FIRST, b"\x3b\x00"), absent(SECOND)])
    assert found["Vitale"] == present(FIRST, b"\x3b\x00")
    assert isinstance(found["CPS"], NoCard)


def test_one_pattern_for_both_slots():
    """The cards decide, in whichever slot they are; what is neither a Vitale nor a CPS stays out."""
    for states in (
        [present(FIRST, ATR_CPS), present(SECOND, ATR_VITALE)],
        [present(FIRST, ATR_VITALE), present(SECOND, ATR_CPS)],
    ):
        found = verdict(["Gemalto"], states)
        assert [kind_of(found[slot].atr) for slot in SLOTS] == ["Vitale", "CPS"]
    found = verdict(["Gemalto"], [present(FIRST, b"\x3b\x00"), present(SECOND, ATR_CPS)])
    assert isinstance(found["Vitale"], NoCard)
    assert found["CPS"].name == SECOND


REFUSED = [
    (["Gemalto"], [], "No card reader is connected: plug in the reader of the CPS slot"),
    (["Omnikey"], [absent(FIRST)], "No reader is called Omnikey: plug in .* or choose among Gemalto PC"),
    ([FIRST, "Gemalto"], [absent(FIRST), absent(SECOND)], "Several readers are called Gemalto"),
    ([FIRST, "00 00"], [absent(FIRST), absent(SECOND)], "is the Vitale slot already: give the CPS slot"),
    (["Gemalto"], [present(FIRST), present(SECOND)], "several cards for the CPS slot .*take out all but one"),
]


@pytest.mark.parametrize(("patterns", "states", "sentence"), REFUSED)
def test_nothing_is_guessed(patterns, states, sentence):
    """No reader, another name, several readers, the same reader twice, two cards: each has its sentence."""
    found = verdict(patterns, states)["CPS"]
    assert isinstance(found, ReaderError)
    assert found.slot == "CPS"
    with pytest.raises(ReaderError, match=sentence):
        raise found


def test_the_card_in_use_stays():
    """A second CPS put into another reader does not end the session with the first."""
    states = [present(FIRST), present(SECOND)]
    assert verdict(["Gemalto"], states, {"CPS": SECOND})["CPS"].name == SECOND


def test_a_mute_card_is_said():
    """A card that gives no answer to reset cannot be told apart, but the person hears of it."""
    mute = ReaderState(FIRST, 1 << 16 | PRESENT | MUTE)
    assert isinstance(verdict(["Gemalto"], [mute, absent(SECOND)])["CPS"], CardMute)
    assert verdict([FIRST, SECOND], [mute, absent(SECOND)])["Vitale"] == mute


def test_a_reader_that_is_leaving_has_no_card():
    """Present and unavailable at once is no card."""
    assert not ReaderState(FIRST, PRESENT | UNAVAILABLE, ATR_CPS).has_card


@settings(max_examples=300, deadline=None)
@given(
    patterns=st.lists(st.text(max_size=6), min_size=1, max_size=2),
    readers=st.lists(
        st.builds(
            ReaderState,
            name=st.text(max_size=6),
            state=st.integers(0, 0xFFFFFFFF),
            atr=st.sampled_from([b"", ATR_CPS, ATR_VITALE, b"\x3b\x00"]),
        ),
        max_size=5,
        unique_by=lambda state: state.name,
    ),
    held=st.dictionaries(st.sampled_from(SLOTS), st.text(max_size=6)),
)
def test_every_slot_has_a_verdict(patterns, readers, held):
    """Whatever readers say, each slot gets one card or one sentence, and no card is in two slots."""
    found = assign(patterns, SLOTS, readers, held)
    assert set(found) == set(SLOTS)
    cards = [said for said in found.values() if isinstance(said, ReaderState)]
    assert all(card.has_card for card in cards)
    assert len({card.name for card in cards}) == len(cards)
    assert all(str(said).endswith(".") for said in found.values() if isinstance(said, ReaderError))


CODES = {
    0x80100069: CardRemoved,
    0x8010000C: CardRemoved,
    0x80100068: SlotTaken,
    0x8010000B: CardInUse,
    0x80100066: OSError,
    0x80100067: OSError,
    0x80100016: OSError,
    0x8010001D: ServiceStopped,
    0x8010001E: ServiceStopped,
    0x80100013: ServiceStopped,
    0x80100003: ServiceStopped,
    0x80100009: ReaderGone,
    0x80100017: ReaderGone,
    0x8010002E: ReaderGone,
    0x8010000F: CardProtocolError,
    0x80100008: CardProtocolError,
}


@pytest.mark.parametrize("code", CODES)
def test_known_codes(code):
    """What PC/SC says often has an error of its own."""
    assert type(failure(code, "CPS")) is CODES[code]


@pytest.mark.parametrize("code", [*range(0x80100001, 0x80100070), 0, 1, 0xFFFFFFFF])
def test_every_code_has_a_sentence(code):
    """Any code becomes a silent link or one sentence that says what to do."""
    said = failure(code, "CPS")
    if isinstance(said, ReaderError):
        assert str(said).endswith(".")
        assert ": " in str(said)


def test_a_pin_pad_as_a_reader_describes_it():
    """Features, display and PIN sizes in the encodings of part 10."""
    features = parse_features(bytes.fromhex("0604423300060704423300070A0442330000120442330012"))
    assert features == {6: 0x42330006, 7: 0x42330007, 0x0A: 0x42330000, 0x12: 0x42330012}
    pad = pin_pad(features, bytes.fromhex("10020700"), bytes.fromhex("060104070108010210020B02E608"))
    assert pad == PinPad(0x42330006, 0x42330007, display=(2, 16), digits=(4, 8))


def test_a_reader_without_features_has_no_pad():
    """Nothing said, nothing there."""
    assert pin_pad(parse_features(b"")) == PinPad()
    assert parse_features(bytes.fromhex("060442330006070442")) == {6: 0x42330006}
    assert parse_features(bytes.fromhex("06034233000704")) == {}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.binary(max_size=8), st.binary(max_size=40))
def test_no_answer_of_a_reader_hurts(features, properties, more):
    """Any bytes give a description, never an exception."""
    assert isinstance(pin_pad(parse_features(features), properties, more), PinPad)

"""PIN entry: both encodings, every way to place digits, and digits that never show."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.pinpad import CANCELLED, TIMED_OUT, Digits, Entered, PinEntry, PinError

PADDED = bytes.fromhex("0020000108") + b"\xff" * 8
CCID_VERIFY = bytes.fromhex("00 1E 82 08 00 04 04 02 01 00 00 00 00 00 00") + PADDED


def test_the_cps_entry_is_what_a_host_sends():
    """VERIFY of the CPS is the structure real hosts send, and comes back the same."""
    assert PinEntry.for_cps().to_ccid() == CCID_VERIFY
    assert PinEntry.parse_ccid(CCID_VERIFY) == PinEntry.for_cps()
    assert PinEntry.parse_ccid(CCID_VERIFY, all_messages=True) == PinEntry.for_cps()


def test_part_10_has_a_second_time_out_and_a_length():
    """PIN_VERIFY_STRUCTURE: the same fields, plus bTimerOut2 and ulDataLength."""
    assert PinEntry.for_cps().to_part10() == (
        bytes.fromhex("1E 00 82 08 00 04 04 02 01 00 00 00 00 00 00 0D 00 00 00") + PADDED
    )


def test_a_modification_in_both_encodings():
    """PIN_MODIFY_STRUCTURE always has three indices; CCID as many as bNumberMessage says."""
    template = bytes.fromhex("0024000110") + b"\xff" * 16
    entry = PinEntry("modify", template, block_string=8, maximum=4, new_offset=8, messages=(0, 1))
    assert entry.to_part10() == (
        bytes.fromhex("1E 00 82 08 00 00 08 04 04 03 02 01 0000 00 01 00 000000 15000000") + template
    )
    assert (
        entry.to_ccid() == bytes.fromhex("01 1E 82 08 00 00 08 04 04 03 02 01 0000 00 01 000000") + template
    )
    assert PinEntry.parse_ccid(entry.to_ccid()) == entry


@pytest.mark.parametrize(("count", "indices"), [(0, 1), (1, 2), (2, 2), (3, 3), (255, 3)])
def test_message_indices_follow_their_count(count, indices):
    """bMsgIndex2 is there from one message, bMsgIndex3 from three; a GemPC Pinpad is sent all three."""
    entry = PinEntry("modify", PADDED, message_count=count, messages=tuple(range(indices)))
    assert PinEntry.parse_ccid(entry.to_ccid()).messages == entry.messages
    whole = PinEntry("modify", PADDED, message_count=count, messages=(7, 8, 9))
    assert PinEntry.parse_ccid(whole.to_ccid(all_messages=True), all_messages=True) == whole
    verify = PinEntry("verify", PADDED, message_count=count)
    assert PinEntry.parse_ccid(verify.to_ccid(), all_messages=True) == verify, "a verification has one"


PLACES = [  # format, block, length format, template data, digits -> data
    (0x82, 0x08, 0x00, "FF" * 8, "1234", "31323334FFFFFFFF"),
    (0x86, 0x08, 0x00, "00" * 8, "1234", "0000000031323334"),
    (0x81, 0x04, 0x00, "FF" * 4, "1234", "1234FFFF"),
    (0x81, 0x04, 0x00, "FF" * 4, "12345", "12345FFF"),
    (0x85, 0x04, 0x00, "00" * 4, "1234", "00001234"),
    (0x80, 0x08, 0x00, "FF" * 8, "1234", "01020304FFFFFFFF"),
    (0x89, 0x47, 0x04, "20" + "FF" * 7, "1234", "241234FFFFFFFFFF"),
    (0x21, 0x04, 0x00, "FF" * 5, "1234", "F1234FFFFF"),
    (0x8A, 0x88, 0x10, "00" + "FF" * 8, "12345", "053132333435FFFFFF"),
    (0x82, 0x00, 0x00, "", "1234", "31323334"),
]


@pytest.mark.parametrize(("form", "block", "length", "data", "digits", "filled"), PLACES)
def test_digits_go_where_the_host_says(form, block, length, data, digits, filled):
    """ASCII, BCD and binary, left and right, with and without their number, in bytes and in bits."""
    data, filled = bytes.fromhex(data), bytes.fromhex(filled)
    entry = PinEntry(
        "verify",
        bytes((0, 0x20, 0, 1, len(data))) + data,
        format_string=form,
        block_string=block,
        length_format=length,
    )
    assert entry.fill(Digits(digits)) == bytes((0, 0x20, 0, 1, len(filled))) + filled


def test_a_modification_places_both_pins():
    """Old and new PIN each at its offset; without bit 1 of bConfirmPIN only the new one."""
    template = bytes.fromhex("0024000110") + b"\xff" * 16
    entry = PinEntry("modify", template, block_string=8, maximum=4, new_offset=8)
    filled = entry.fill(Digits("1234"), Digits("5678"))
    assert filled == bytes.fromhex("0024000110 31323334FFFFFFFF 35363738FFFFFFFF")
    alone = PinEntry("modify", PADDED, block_string=8, maximum=4, confirm=0x01)
    assert alone.prompts == ("new PIN", "new PIN again")
    typed = alone.collected([Digits("5678"), Digits("5678")])
    assert alone.objection(typed) is None
    assert alone.fill(typed.digits, typed.new) == PADDED[:5] + b"5678\xff\xff\xff\xff"
    with pytest.raises(ValueError):
        entry.fill(Digits("1234"))


def test_the_reader_objects_before_the_card_sees_anything():
    """Too few, too many digits are 6403; two different new PINs 6402; the right ones pass."""
    verify = PinEntry.for_cps()
    assert verify.objection(Entered(Digits("123"))) == b"\x64\x03"
    assert verify.objection(Entered(Digits("12345"))) == b"\x64\x03"
    assert verify.objection(Entered(Digits("1234"))) is None
    change = PinEntry("modify", bytes.fromhex("0024000110") + b"\xff" * 16, block_string=8, maximum=4)
    old, new, other = Digits("1234"), Digits("5678"), Digits("5679")
    assert change.objection(Entered(old, new, other)) == b"\x64\x02"
    assert change.objection(Entered(old, new, Digits("56789"))) == b"\x64\x02"
    assert change.objection(Entered(old, Digits("567"), Digits("567"))) == b"\x64\x03"
    assert change.objection(Entered(old)) == b"\x64\x03"
    assert change.objection(Entered(old, new, Digits("5678"))) is None
    assert (CANCELLED.status, TIMED_OUT.status) == (b"\x64\x01", b"\x64\x00")


def test_digits_never_show():
    """Neither repr, str, format, a dataclass, comparison nor pickle shows digits; wiped ones are gone."""
    digits = Digits("4711")
    shown = f"{digits} {digits!r} {Entered(digits)} {[digits]}"
    assert "4711" not in shown
    for forbidden in (lambda: digits == digits, lambda: hash(digits), lambda: pickle.dumps(digits)):
        with pytest.raises(TypeError):
            forbidden()
    assert digits.matches(Digits(b"4711"))
    assert not digits.matches(Digits("4712"))
    digits.wipe()
    assert digits.reveal() == bytes(4)


@pytest.mark.parametrize("typed", ["", "12a4", "1 34", "١٢٣٤", "1" * 17])
def test_only_digits_are_digits(typed):
    """Anything but 1 to 16 ASCII digits is refused without repeating it."""
    assert len(Digits("0" * 16)) == 16
    with pytest.raises(ValueError) as refusal:
        Digits(typed)
    assert not typed or typed not in str(refusal.value)


BROKEN = [
    (b"", 10),
    (b"\x02" + CCID_VERIFY[1:], 10),
    (CCID_VERIFY[:9], 1),
    (b"\x01" + CCID_VERIFY[1:12], 1),
    (CCID_VERIFY[:2] + b"\x83" + CCID_VERIFY[3:], 12),
    (CCID_VERIFY[:-1], 25),
    (CCID_VERIFY + b"\0\0", 25),
    (CCID_VERIFY[:15], 25),
    (CCID_VERIFY.replace(b"\x00\x20\x00\x01", b"\x00\xd6\x00\x00"), 25),
    (CCID_VERIFY[:3] + b"\x03" + CCID_VERIFY[4:], 15),
]


@pytest.mark.parametrize(("data", "offset"), BROKEN)
def test_what_is_wrong_is_named_by_its_offset(data, offset):
    """What cannot be carried out is refused with the offset bError reports; the twin is read."""
    assert PinEntry.parse_ccid(CCID_VERIFY)
    with pytest.raises(PinError) as refusal:
        PinEntry.parse_ccid(data)
    assert refusal.value.offset == offset


@given(
    data=st.binary(max_size=60), tail=st.integers(0, 20), digits=st.from_regex(r"[0-9]{1,16}", fullmatch=True)
)
@settings(max_examples=400, deadline=None)
def test_any_description_is_refused_or_filled(data, tail, digits):
    """Any bytes give PinError or an entry whose filled command is a short APDU with the template's header."""
    for start in (b"\x00", b"\x01", b""):
        try:
            entry = PinEntry.parse_ccid(start + data + bytes(tail))
        except PinError:
            continue
        typed = entry.collected([Digits(digits)] * len(entry.prompts))
        if entry.objection(typed) is None:
            command = entry.fill(typed.digits, typed.new)
            assert command[:4] == entry.apdu_template[:4]
            assert len(command) == 5 + command[4]
        else:
            assert entry.objection(typed) in (b"\x64\x02", b"\x64\x03")


def test_a_missing_line_is_said():
    """Fewer lines than prompts are refused; as many are taken."""
    with pytest.raises(ValueError, match="1 lines"):
        PinEntry.for_cps().collected([])
    assert len(PinEntry.for_cps().collected([Digits("1234")]).digits) == 4

"""K1: an empty VERIFY taken for a proof. CVE-2023-40660 (OpenSC took 9000 to the question for a login).

ISO 7816-4:2005, 7.5.6: VERIFY without data asks whether a verification is still needed. It proves nothing,
costs nothing, and what it answers never opens a file or a key.
"""

import pytest

from tests.card.bench import PIN_1234, PIN_9999, cps_items, powered

FORMS = ["00200001", "0020000100", "00200001000000"]


def protected(card):
    """The status of everything that wants the PIN: a file, a signature, a proof, a decipherment."""
    card.contact()
    card.ok("00A4020C02D120")
    read = card.sw("00B0000000")
    card.ok("002241B606800142840181")
    signed = card.sw("002A9E9A20", bytes(32), "00")
    card.ok("002241A406800102840182")
    proved = card.sw("0088000020", bytes(32), "00")
    card.ok("002241B80680011A840182")
    return [read, signed, proved, card.chained("002A8086", b"\x81" + bytes(256))[1]]


@pytest.mark.parametrize("empty", FORMS)
def test_k01_an_empty_verify_proves_nothing(empty):
    """The question in every form opens neither file nor key; the right PIN does (twin)."""
    card = powered(cps_items()).contact()
    for _ in range(10):
        assert card.sw(empty) in (0x63C3, 0x6700)
    assert protected(card) == [0x6982] * 4
    assert card.verify() == 0x9000
    assert protected(card)[:3] == [0x9000] * 3


@pytest.mark.parametrize("empty", FORMS[:2])
def test_k01_the_question_costs_no_try_and_tells_the_truth(empty):
    """63C3, then 63C2 after one wrong PIN, 9000 after the right one, 6983 once blocked."""
    card = powered(cps_items())
    assert card.sw(empty) == 0x63C3
    card.verify(PIN_9999)
    assert [card.sw(empty) for _ in range(5)] == [0x63C2] * 5
    card.verify()
    assert card.sw(empty) == 0x9000
    assert [card.verify(PIN_9999) for _ in range(3)] == [0x63C2, 0x63C1, 0x63C0]
    assert card.sw(empty) == 0x6983
    assert card.verify() == 0x6983


def test_k01_the_question_does_not_renew_a_lost_status():
    """After a wrong PIN the former 9000 is gone: asking does not bring it back."""
    card = powered(cps_items())
    assert card.verify() == 0x9000
    assert card.verify(PIN_9999) == 0x63C2
    assert card.sw("00200001") == 0x63C2
    assert protected(card) == [0x6982] * 4
    assert card.verify(PIN_1234) == 0x9000


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, bytes(8), b"1234", b"1234" + bytes(4), b"87654321"])
@pytest.mark.parametrize("reference", ["00", "02", "03", "81"])
def test_k01_nothing_that_looks_like_nothing_is_a_pin(data, reference):
    """Padding alone, zeros, short codes, other references: no proof, and the tries of the PIN stay."""
    card = powered(cps_items())
    head = "002000" + reference
    sw = card.sw(head + f"{len(data):02X}", data) if data else card.sw(head)
    assert sw != 0x9000
    for other in ("00200001" + f"{len(data):02X}", "00200101" + f"{len(data):02X}"):
        if data:
            assert card.sw(other, data) in (0x6700, 0x6A80, 0x6A86)
    assert card.sw("00200001") == 0x63C3
    assert protected(card) == [0x6982] * 4
    assert card.verify() == 0x9000

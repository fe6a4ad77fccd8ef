"""K10: broken, mixed and endless command chains. ISO 7816-4:2005, 5.1.1.1 (CLA b5), status 6883 and 6884.

A chain belongs to one header, ends with any other command, and has an end: no link survives in the memory of
the card, neither RAM nor image.
"""

import sys

import pytest

from card.kernel.os import CHAIN_LIMIT
from tests.card.bench import cps_items, powered, vitale_items


@pytest.fixture
def card():
    return powered(cps_items()).contact()


def ready(card):
    card.verify()
    card.ok("002241B606800142840181")
    return card


def test_k10_a_broken_chain_is_forgotten(card):
    """Another plain command ends the chain and is carried out; nothing of the chain is left."""
    ready(card)
    card.ok("102A9E9A10", bytes(16))
    card.ok("00B0870001")
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700
    card.ok("102A9E9A10", bytes(16))
    card.ok("002A9E9A10", bytes(16), "00")


@pytest.mark.parametrize(
    "between",
    ["00B0870001", "00C0000000", "80000000", "FF", "00", "0CB0870001", "01B0870001", "A0B0000001", "200000"],
)
def test_k10_no_command_in_between(card, between):
    """Whatever comes between two links, understood or not: the second half stands alone."""
    ready(card)
    card.ok("102A9E9A10", bytes(16))
    card.send(between)
    if between[:2] == "A0":  # the other face was entered
        ready(card.contact())
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700


@pytest.mark.parametrize("header", ["102A808610", "102A90A010", "10DB3FFF10"])
def test_k10_links_of_another_command_are_refused(card, header):
    """A link with another header gives 6883 and drops the chain; an instruction that knows none 6884."""
    ready(card)
    card.ok("102A9E9A10", bytes(16))
    assert card.sw(header, bytes(16)) == 0x6883
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700
    assert card.sw("10200001", "0431323334") == 0x6884
    assert card.sw("00200001") == 0x9000
    card.ok("00B0870001")


@pytest.mark.parametrize("ins", [ins for ins in range(256) if ins not in (0x2A, 0xDB)])
def test_k10_only_two_instructions_chain(card, ins):
    """A PIN in links would escape the checks made on one command: every other instruction is 6884."""
    assert card.sw("10", bytes((ins, 0, 1, 4)), b"1234") == 0x6884
    assert card.sw("00200001") == 0x63C3


@pytest.mark.parametrize("size", [1, 16, 255])
def test_k10_an_endless_chain_ends(card, size):
    """Beyond 4 KiB 6700, again and again; what the card holds never grows past that; it goes on."""
    limit = CHAIN_LIMIT // size
    answers, largest = [], 0
    for _ in range(3 * limit + 3):
        answers.append(card.sw("102A8086", bytes((size,)), bytes(size)))
        held = card.card._chain
        largest = max(largest, sys.getsizeof(held.data) if held else 0)
    assert answers[:limit] == [0x9000] * limit
    assert answers[limit] == 0x6700
    assert answers.count(0x6700) == 3
    assert largest <= CHAIN_LIMIT + 64
    card.ok("00B0870001")


def test_k10_endless_extended_links_end_too(card):
    """Links of 2,048 bytes: the third one is 6700; links without data stay without weight."""
    link = bytes.fromhex("102A8086000800") + bytes(2048)
    assert [card.sw(link) for _ in range(6)] == [0x9000, 0x9000, 0x6700] * 2
    for _ in range(5000):
        assert card.sw("102A8086") == 0x9000
    assert card.card._chain.data == b""


def test_k10_an_endless_chain_leaves_the_image_alone():
    """Ten thousand links on either card write nothing: the image is the same, byte for byte."""
    for items, header in ((cps_items(), "102A8086FF"), (vitale_items(), "10820000FF")):
        card = powered(items)
        before = card.card.memory._storage.read()
        for _ in range(10_000):
            card.send(header, bytes(255))
        assert card.card.memory._storage.read() == before


def test_k10_a_malformed_command_ends_the_chain(card):
    """Bytes that are no APDU drop the chain as well."""
    ready(card)
    card.ok("102A9E9A10", bytes(16))
    assert card.sw("00B0") == 0x6700
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700


def test_k10_a_chain_never_crosses_reset_or_application(card):
    """Reset and SELECT end a chain; the whole chain in one application works (twin)."""
    ready(card)
    card.ok("102A9E9A10", bytes(16))
    card.card.power_on()
    ready(card.contact())
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700
    card.ok("102A9E9A10", bytes(16))
    ready(card.contact())
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700
    assert card.chained("002A9E9A", bytes(32), size=1)[1] == 0x9000

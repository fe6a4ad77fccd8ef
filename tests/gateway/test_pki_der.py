"""The strict DER walker: what it writes it reads, what is not DER it refuses."""

from __future__ import annotations

import pytest
from asn1crypto import core
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pki import der


@given(st.binary(max_size=300), st.sampled_from([0x02, 0x04, 0x30, 0x31, 0x80, 0xA0]))
def test_wrapped_is_read_back(value: bytes, tag: int) -> None:
    """Tag and value survive; the element fills exactly its bytes."""
    element = der.wrap(tag, value)
    found, start, stop = der.read(element, 0, len(element))
    assert (found, element[start:stop], stop) == (tag, value, len(element))
    assert der.enter(element, 0, len(element), tag) == start


@given(st.integers(0, 2**32 - 1))
def test_lengths_are_minimal(size: int) -> None:
    """Length octets are the shortest ones, as asn1crypto writes them for the sizes it can hold here."""
    octets = der.length_of(size)
    assert octets == bytes((size,)) if size < 128 else int.from_bytes(octets[1:], "big") == size
    assert size < 128 or octets[1] != 0


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=12))
def test_object_identifiers(arcs: list[int]) -> None:
    """OBJECT IDENTIFIERs are encoded as asn1crypto encodes them."""
    dotted = ".".join(map(str, (1, 2, *arcs)))
    assert der.oid(dotted) == core.ObjectIdentifier(dotted).dump()


@given(st.binary(max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but DerError comes out, and what is read lies inside the bytes (promise A10)."""
    try:
        _tag, start, stop = der.read(data, 0, len(data))
        list(der.elements(data, start, stop))
    except der.DerError:
        return
    assert 2 <= start <= stop <= len(data)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "30",
        "3001",
        "308000",
        "30810100",
        "3082008000",
        "3085000000000100",
        "1F0100",
        "3F8100",
        "30827FFF00",
    ],
)
def test_what_is_not_der(encoded: str) -> None:
    """Cut short, indefinite, not minimal, several tag octets, beyond the container."""
    data = bytes.fromhex(encoded)
    with pytest.raises(der.DerError):
        der.read(data, 0, len(data))
    assert der.read(bytes.fromhex("3000"), 0, 2) == (0x30, 2, 2)


def test_sets_are_in_order() -> None:
    """A SET OF is read only in strictly ascending order and within its limit."""
    one, two = der.wrap(der.SEQUENCE, b"\x05\x00"), der.wrap(der.SEQUENCE, b"\x05\x00\x05\x00")
    assert der.set_of(one + two, 0, len(one + two), limit=2) == [one, two]
    for wrong, limit in ((two + one, 2), (one + one, 2), (one + two, 1), (one + b"\x05\x00", 2)):
        with pytest.raises(der.DerError):
            der.set_of(wrong, 0, len(wrong), limit=limit)

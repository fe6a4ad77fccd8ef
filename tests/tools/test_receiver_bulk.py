"""Reading a message in bulk: where it ends, what it holds, what is too large, however the octets arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.receiver.bulk import TooLong, TooMuch, read_message

LIMIT = 200


def read(chunks: Sequence[bytes], limit: int = LIMIT) -> tuple[bytes, bytes]:
    """Feed these chunks one after the other; the message, and what is left for the next command."""

    async def dialogue() -> tuple[bytes, bytes]:
        reader = asyncio.StreamReader(limit=1001)
        task = asyncio.ensure_future(read_message(reader, limit))
        for chunk in chunks:
            reader.feed_data(chunk)
            await asyncio.sleep(0)
        reader.feed_eof()
        message = await task
        return message, await reader.read()

    return asyncio.run(dialogue())


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """The stream in pieces."""
    ends = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(ends)]


LINES = st.lists(st.text("ab.\r\n", max_size=6).map(str.encode), max_size=6)


@settings(max_examples=200, deadline=None)
@given(lines=LINES, places=st.lists(st.integers(0, 500), max_size=6))
def test_any_message_in_any_pieces(lines: list[bytes], places: list[int]) -> None:
    """What was stuffed is read back octet for octet, however it is cut; the next command is left alone."""
    message = b"".join(line + b"\r\n" for line in lines)
    stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    assert read(cut(stuffed + b".\r\nNOOP\r\n", places)) == (message, b"NOOP\r\n")


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n"])
def test_no_other_end_ends_a_message(end: bytes) -> None:
    """The known smuggling ends end nothing: all octets up to CR LF . CR LF are one message."""
    message, rest = read([b"one" + end + b"MAIL FROM:<a@b.test>\r\n.\r\n"])
    assert (message.startswith(b"one"), b"MAIL FROM" in message, rest) == (True, True, b"")


def test_an_empty_message() -> None:
    """A lone dot at once is a message without octets."""
    assert read([b".\r\n"]) == (b"", b"")


def test_the_limit() -> None:
    """A message of exactly the limit is read; one octet more is dropped, and the next command is left."""
    line = b"x" * 48 + b"\r\n"
    assert read([line * 4 + b".\r\n"])[0] == line * 4
    with pytest.raises(TooMuch):
        read([line * 4, b"y\r\n", b".\r\n"])


def test_a_flood_is_dropped_as_it_comes() -> None:
    """Far above the limit the message is read to its end, without being kept."""
    with pytest.raises(TooMuch):
        read([b"x" * 70 + b"\r\n"] * 100 + [b".\r", b"\n"])


def test_a_line_of_a_thousand() -> None:
    """998 octets and CR LF pass; 999 do not (RFC 5321 section 4.5.3.1.6)."""
    assert len(read([b"x" * 998 + b"\r\n.\r\n"], 5000)[0]) == 1000
    with pytest.raises(TooLong):
        read([b"x" * 999 + b"\r\n.\r\n"], 5000)


def test_a_peer_that_ends_in_the_middle() -> None:
    """Half a message is no message."""
    with pytest.raises(ConnectionResetError):
        read([b"half"])

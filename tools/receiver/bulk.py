"""The octets after DATA, read in bulk: aiosmtpd's line by line costs more than opening the message.

Only CR LF . CR LF ends a message (RFC 5321 section 4.1.1.4). A bare CR or LF ends nothing and stays in the
message, where the parser of mails refuses it: what one side takes for two messages cannot be smuggled.
"""

from __future__ import annotations

import asyncio

MAX_LINE = 1000
"""Octets of one line with its CR LF (RFC 5321 section 4.5.3.1.6)."""

_END = b"\r\n.\r\n"
_ALL = 2**31
"""More than a reader holds: every chunk empties it."""


class TooMuch(Exception):
    """The message is larger than the limit; it was read to its end and dropped."""


class TooLong(Exception):
    """One of its lines is."""


async def read_message(reader: asyncio.StreamReader, limit: int) -> bytes:
    """One message of at most `limit` octets, without its dots of transparency; what follows stays to be read.

    Raises TooMuch, TooLong, or ConnectionResetError when the peer ends in the middle.
    """
    data, seen, dropped = bytearray(b"\r\n"), 0, False  # a lone dot may be the very first line
    while (end := data.find(_END, seen)) < 0:
        if len(data) > limit + len(_END):
            dropped = True
            del data[: 1 - len(_END)]
        seen = max(0, len(data) - len(_END) + 1)
        data += await _more(reader)
    reader.feed_data(bytes(data[end + len(_END) :]))
    if dropped or end > limit:
        raise TooMuch
    message = bytes(data[: end + 2])
    if max(map(len, message.split(b"\r\n"))) > MAX_LINE - 2:
        raise TooLong
    return message.replace(b"\r\n.", b"\r\n")[2:]


async def _more(reader: asyncio.StreamReader) -> bytes:
    chunk = await reader.read(_ALL)
    if not chunk:
        raise ConnectionResetError("the peer ended in the middle of a message")
    return chunk

"""What goes out instead of the truth while a fault is set. The true mail is always kept beside it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from gateway.records import noemie
from gateway.records.arl import Arl
from tools.receiver.faults import Faults
from tools.receiver.reply import Secretary

_SIZE = 128


def wrong_arl(arl: Arl, faults: Faults, secretary: Secretary) -> bytes:
    """The mail of a false or badly signed ARL, b"" when the true one may go."""
    if faults.take("arl-wrong-digest"):
        return secretary.arl(replace(arl, digest=hashlib.sha256(arl.digest).digest())).message
    if faults.take("arl-other-lot"):
        return secretary.arl(replace(arl, lot_number=arl.lot_number % 999 + 1)).message
    if faults.take("stale-certificate"):
        return secretary.arl(arl, stale=True).message
    return b""


def wrong_total(payload: bytes) -> bytes:
    """A return whose 999 announces one cent more than it pays."""
    end = noemie.ReturnEnd.decode(payload[-_SIZE:])
    return payload[:-_SIZE] + noemie.ReturnEnd.encode(**{**end, "total": end["total"] + 1})

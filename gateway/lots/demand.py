"""A DRE: the demand to a complementary insurer, made from the records of its FSE.

The same records under the same number, with the complementary amounts only, for the insurer instead of the
organism (billing facts 10.9). Only the CPS signs it. 109.4 says whether the insurer takes one (facts 1.6).
"""

from __future__ import annotations

from hashlib import sha256

from gateway.errors import InputError
from gateway.lots.fse import FseDraft
from gateway.lots.invoice import SIZE, kinds_of
from gateway.lots.modes import DEMAND
from gateway.lots.organism import Complementary
from gateway.records import b2, security
from gateway.records.fields import Record

_IN_THIRD_PARTY = frozenset({"22", "23", "32", "33", "62", "63", "72", "73"})
_OUTSIDE_THIRD_PARTY = frozenset({"12", "13", "32", "33"})

_KINDS: dict[bytes, type[Record]] = {
    b"2 ": b2.InvoiceStart, b"3 ": b2.HospitalLine, b"4 ": b2.FeeLine, b"5 ": b2.InvoiceEnd,
    b"7H": security.SecurityStart,
}  # fmt: skip


def is_allowed(indicator: str, third_party: str) -> bool:
    """Whether the indicator (109.4) allows a DRE for this third-party payment: none, amo or full.

    00 and 60 allow none; 12/13 outside third-party payment, 22/23 in it, 32/33 both; 62/63 and 72/73 with
    (or on leaving) a solidarity cover, which is always third-party payment.
    """
    return indicator in (_IN_THIRD_PARTY if third_party == "full" else _OUTSIDE_THIRD_PARTY)


def demand_of(records: bytes, insurer: Complementary) -> FseDraft:
    """The draft of the DRE that goes with an FSE, whose records (signed or not) are given.

    InputError when the FSE names another insurer in record 2.
    """
    kinds = kinds_of(records)
    count = kinds.index(b"7H") // 2 + 1
    written = [
        _record(kinds[2 * at : 2 * at + 2], records[at * SIZE : (at + 1) * SIZE], insurer)
        for at in range(count)
    ]
    whole = b"".join(written)
    number = int(b2.InvoiceStart.decode(records[:SIZE])["invoice"])
    return FseDraft(number, DEMAND, whole, sha256(whole).digest())


def _record(kind: bytes, record: bytes, insurer: Complementary) -> bytes:
    """One record of the FSE as it stands in the DRE; what holds no amount and no address stays."""
    if kind not in _KINDS:
        return record
    values = _KINDS[kind].decode(record)
    if kind == b"2 " and values["complementary"] != insurer.b2_number:
        raise InputError("the FSE names another insurer than its DRE: bill again with the card")
    changed: dict[bytes, dict[str, object]] = {
        b"2 ": {},
        b"3 ": {"amo": 0},
        b"4 ": {"amo": 0},
        b"5 ": {"fees_amo": 0, "hospital_amo": 0, "insured_share": _base(values)},
        b"7H": {"mode": DEMAND, "vitale_serial": "", "centre": "", "organism": insurer.organism},
    }
    return _KINDS[kind].encode(**values | changed[kind])


def _base(end: dict[str, object]) -> int:
    """Nothing is paid by AMO here: the share of the insured person is the whole base."""
    return int(str(end.get("fees", 0))) + int(str(end.get("hospital", 0)))

"""ARL: the receiver's acknowledgement of one lot (own layout in NOEMIE syntax)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gateway.records.fields import RecordError, plain, read_date, read_moment, write_date, write_moment
from gateway.records.noemie import Acknowledged, Refused
from gateway.records.stream import Reader, Writer

APPLICATION = "AR"
_LOT, _REASON = "01", "02"
MAX_REJECTS = 999


@dataclass(frozen=True, slots=True)
class ArlReject:
    """One 902 line: the place and the reason. `invoice` 0 means the whole lot. `text`: at most 80."""

    record: int
    invoice: int
    position: int
    error_class: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Arl:
    """One acknowledgement. `digest`: SHA-256 (32 bytes) of the file as received.

    `sender`, `destination`: 14 digits each, of the ARL itself (the caisse sends, the practice receives).
    `sender_type`: B2 000, 4-5, two letters by régime (CT general, MA agricultural, OC an insurer).
    `file_id`, `lot_number`, `lot_date`, `compostage`: of the lot that is answered. `error_class` and
    `error_code` are "" when positive; `rejects` is empty when positive. Moments are UTC, whole seconds.
    """

    sender: str
    destination: str
    created: datetime
    lot_date: date
    lot_number: int
    file_id: str
    compostage: str
    received_at: datetime
    positive: bool
    invoices: int
    digest: bytes
    error_class: str = ""
    error_code: str = ""
    rejects: tuple[ArlReject, ...] = ()
    sender_type: str = "CT"


def write_arl(arl: Arl) -> bytes:
    """000, 901, 902…, 990, 999 as one ASCII text; InputError for an ARL that contradicts itself."""
    _check(arl)
    writer = Writer(
        sender_type=arl.sender_type,
        sender=arl.sender,
        destination_type="TP",
        destination=arl.destination,
        application=APPLICATION,
        file_id=arl.file_id,
        created=write_date(arl.created),
        norm="ARL",
        version="01",
        flow_type="T",
        message=write_moment(arl.created),
    )
    writer.add(Acknowledged, _LOT, **_acknowledged(arl))
    for rank, reject in enumerate(arl.rejects, 1):
        writer.add(Refused, _REASON, rank=rank, **_refused(reject))
    writer.break_(_LOT, f"{arl.lot_number:03d}", len(arl.rejects), 0)
    return writer.close(1, 0)


def parse_arl(data: bytes) -> Arl:
    """Strict reading; InputError says what is wrong."""
    reader = Reader(data, APPLICATION)
    lot = reader.take(Acknowledged, _LOT)
    reasons = reader.all_of(Refused, _REASON)
    reader.close_level(_LOT, f"{lot['lot']:03d}", len(reasons), 0)
    reader.close(1, 0)
    if [reason["rank"] for reason in reasons] != list(range(1, len(reasons) + 1)):
        raise RecordError("entities 902 are not ranked 1, 2, 3…", 6)
    arl = _arl(reader.start, lot, tuple(_reject(reason) for reason in reasons))
    if write_arl(arl) != data:
        raise RecordError("the ARL is not written the one way an ARL is written")
    return arl


def _check(arl: Arl) -> None:
    """Positive without any reason, or negative with a class and a code."""
    if arl.positive and (arl.error_class or arl.error_code or arl.rejects):
        raise RecordError("entity 901: a positive ARL gives no reason", 54)
    if not arl.positive and not (len(arl.error_class) == 1 and len(arl.error_code) == 4):
        raise RecordError("entity 901: a negative ARL gives a class and a code of four digits", 60)
    if len(arl.rejects) > MAX_REJECTS:
        raise RecordError(f"an ARL has at most {MAX_REJECTS} reasons: give the first ones")
    if len(arl.digest) != 32:
        raise RecordError("entity 901: the digest has 32 bytes", 65)


def _acknowledged(arl: Arl) -> dict[str, Any]:
    return {
        "lot_date": write_date(arl.lot_date),
        "lot": arl.lot_number,
        "file_id": arl.file_id,
        "compostage": arl.compostage,
        "received": write_moment(arl.received_at),
        "sign": "+" if arl.positive else "-",
        "invoices": arl.invoices,
        "error_class": arl.error_class,
        "code": arl.error_code,
        "digest": arl.digest.hex().upper(),
    }


def _refused(reject: ArlReject) -> dict[str, Any]:
    return {
        "record": reject.record,
        "invoice": reject.invoice,
        "position": reject.position,
        "error_class": reject.error_class,
        "code": reject.code,
        "text": plain(reject.text, 80),
    }


def _reject(values: dict[str, Any]) -> ArlReject:
    return ArlReject(
        values["record"],
        values["invoice"],
        values["position"],
        values["error_class"],
        values["code"],
        values["text"],
    )


def _arl(start: dict[str, Any], lot: dict[str, Any], rejects: tuple[ArlReject, ...]) -> Arl:
    if lot["sign"] not in ("+", "-"):
        raise RecordError("entity 901: the sign is + or -", 54)
    if start["file_id"] != lot["file_id"]:
        raise RecordError("entity 901 names another file than record 000", 15)
    return Arl(
        sender=start["sender"],
        destination=start["destination"],
        created=read_moment(start["message"]),
        lot_date=read_date(lot["lot_date"]),
        lot_number=lot["lot"],
        file_id=lot["file_id"],
        compostage=lot["compostage"],
        received_at=read_moment(lot["received"]),
        positive=lot["sign"] == "+",
        invoices=lot["invoices"],
        digest=_digest(lot["digest"]),
        error_class=lot["error_class"],
        error_code=lot["code"],
        rejects=rejects,
        sender_type=start["sender_type"],
    )


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if digest.hex().upper() != text:
        raise RecordError("entity 901: the digest is not 64 hexadecimal digits", 65)
    return digest

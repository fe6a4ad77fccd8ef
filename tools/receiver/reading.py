"""An ARL in words for people, and as JSON for programs: the same facts twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.lots.refusal import CLASSES, CODES
from gateway.records.arl import Arl, ArlReject


def arl_lines(arl: Arl) -> Iterator[str]:
    """One line about the lot, one line for each reason."""
    lot = f"lot {arl.lot_number:03d} of {arl.lot_date}, file {arl.file_id}, mail {arl.compostage}"
    when = f"{arl.received_at:%Y-%m-%d %H:%M:%S} UTC"
    if arl.positive:
        yield f"{lot}: accepted, {arl.invoices} invoices, received {when}"
        return
    yield f"{lot}: refused {arl.error_class}{arl.error_code} ({_meaning(arl.error_code)}), received {when}"
    for reject in arl.rejects:
        yield f"  {reject.error_class}{reject.code} {_place(reject)}: {reject.text}"


def _place(reject: ArlReject) -> str:
    """Where the fault is, from the outside in."""
    places = {"invoice": reject.invoice, "record": reject.record, "position": reject.position}
    said = [f"{name} {value}" for name, value in places.items() if value]
    return ", ".join(said) if said else "the whole lot"


def _meaning(code: str) -> str:
    return CODES[code][1] if code in CODES else "a code unknown here"


def arl_json(arl: Arl) -> dict[str, Any]:
    """Every field of the ARL; `record` counts from 1 (000), 0 stands for the whole."""
    return {
        "sender": arl.sender,
        "destination": arl.destination,
        "positive": arl.positive,
        "lot": {"number": arl.lot_number, "date": arl.lot_date.isoformat(), "invoices": arl.invoices},
        "file_id": arl.file_id,
        "compostage": arl.compostage,
        "received_at": arl.received_at.isoformat(),
        "digest": arl.digest.hex(),
        "error": None if arl.positive else _error(arl.error_class, arl.error_code),
        "reasons": [_reason(reject) for reject in arl.rejects],
    }


def _reason(reject: ArlReject) -> dict[str, Any]:
    places = {"invoice": reject.invoice, "record": reject.record, "position": reject.position}
    return {**_error(reject.error_class, reject.code), **places, "text": reject.text}


def _error(error_class: str, code: str) -> dict[str, Any]:
    return {
        "class": error_class,
        "class_means": CLASSES.get(error_class, ""),
        "code": code,
        "means": _meaning(code),
    }

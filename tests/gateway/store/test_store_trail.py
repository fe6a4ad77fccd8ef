"""The trail that the store writes: complete, sealed, redacted, and aware of its clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.errors import StoreError
from tests.gateway.store.line import PRACTICE, Line, raw_of


def test_every_step_is_recorded(line: Line) -> None:
    """Each step of a life leaves a record, in the same transaction; the trail survives closing."""
    sealed = line.lot()
    line.send(sealed)
    arl = line.arl(sealed)
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    what = [record.entry.what for record in line.store.audit_records(PRACTICE)]
    assert what == [
        "FSE numbers reserved", "FSE kept", "lot numbers reserved", "lot kept", "lot SENDING", "lot SENT",
        "message kept: arl", "lot ACKNOWLEDGED",
    ]  # fmt: skip
    line.reopen()
    assert line.store.verify_audit() == len(what) + 1  # the gateway's own chain names this one


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET who = 'nobody' WHERE seq = 3",
        "UPDATE audit SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 1",
        "UPDATE audit_head SET seq = seq - 1",
        "UPDATE audit_head SET seal = digest",
        "DELETE FROM audit_head",
        "DELETE FROM audit",
    ],
)
def test_tampering_in_the_database_is_detected(line: Line, tampering: str) -> None:
    """Whatever is edited with a database tool is detected; the same trail untouched is believed."""
    line.lot(3)
    line.store.verify_audit()
    line.sql(tampering)
    with pytest.raises(StoreError, match="audit trail"):
        line.store.verify_audit()


def test_an_undone_step_leaves_no_record(line: Line) -> None:
    """What was refused is not in the trail, and the trail goes on behind it."""
    with pytest.raises(StoreError):
        line.store.keep_fse(line.fse(7))
    line.keep()
    assert [one.entry.what for one in line.store.audit_records(PRACTICE)][1:] == ["FSE kept"]
    line.store.verify_audit()


def test_a_clock_that_goes_back_is_recorded(line: Line) -> None:
    """When the clock steps back, the trail says so once; forward steps are ordinary."""
    line.keep()
    line.clock.advance(timedelta(hours=-1))
    line.keep()
    line.clock.advance(timedelta(hours=3))
    line.keep()
    assert [record.entry.what for record in line.store.audit_records()].count("clock went back") == 1
    line.store.verify_audit()


def test_no_nir_reaches_the_trail_or_a_reason(line: Line) -> None:
    """A NIR in a peer's answer is removed before it is recorded; the rest of the answer stays."""
    sealed = line.lot()
    nir = "2501962643002" + "68"
    line.store.claim_due(line.clock.now(), 1, timedelta(minutes=1))
    line.store.park(sealed.id, f"550 {nir} unknown")
    line.store.audit("note", "1", f"seen {nir[:13]}")
    shown = repr(line.store.audit_records()) + repr(line.store.lot_list()) + line.store.status()
    shown += repr(line.store.history(1))
    assert nir[:13] not in shown
    assert "550 [removed] unknown" in shown

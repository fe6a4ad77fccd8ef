"""Paper at the caisse's counter: keyed in, decided by its own file, paid after a week, never twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from card.layout.nir import nir_key
from gateway.errors import InputError, StoreError
from gateway.records.noemie_file import NoemieReturn, parse_noemie
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.insurers import Contract, InsurerBase
from tools.receiver.ledger import Ledger
from tools.receiver.listing import lots, status
from tools.receiver.paper import OWN_NUMBERS, PaperSheet
from tools.receiver.schema import BOOKS

if TYPE_CHECKING:
    from conftest import Bench

Build = Callable[..., "Bench"]
NIR, TEMPORARY = "2801962643002", "7801962643002"
INSURER = "0099999996"
PERSON = Insured(NIR, "800301", ((date(2020, 1, 1), date(2030, 12, 31)),), name="TEST", first_name="ANNE")
SHEET = {
    "practitioner": "991000009", "nir": f"{NIR}{nir_key(NIR):02d}", "birth_date": "1980-03-01",
    "date": "2026-11-18", "acts": [{"code": "G", "charged_cents": 3000}], "third_party": "amo",
}  # fmt: skip


def key_in(bench: Bench, **changes: Any) -> Any:
    """One sheet over the counter."""
    return bench.parts.counter.receive(PaperSheet.from_json(SHEET | changes))


def returned(bench: Bench, days: int) -> list[NoemieReturn]:
    """The payment returns in the practice's mailbox after some days."""
    bench.clock.advance(timedelta(days=days))
    bench.parts.paymaster.pay_due()
    files = [bench.open(raw).payload for raw in bench.deliver()]
    return [parse_noemie(file) for file in files if file[47:49] == b"NO"]


def test_paper_is_paid_after_a_week_with_its_own_type(build: Build) -> None:
    """Nothing on the sixth day; on the seventh the return has 081 = 02 and type P, computed by the caisse."""
    bench = build()
    keyed = key_in(bench, number=12)
    assert (keyed.number, keyed.decision, keyed.amo_cents, keyed.twin) == (12, "P", 2100, False)
    assert returned(bench, 6) == []
    [answer] = returned(bench, 1)
    [transfer] = answer.transfers
    [payment] = transfer.payments
    assert (transfer.return_type, payment.invoice_type, payment.invoice) == ("02", "P", 12)
    assert (payment.amo.paid_cents, payment.lot_number) == (2100, 0)


def test_paper_and_mail_are_two_transfers_of_one_return(build: Build) -> None:
    """A card's sheet of two days later falls due with a paper sheet: 01 with F, 02 with P, one total."""
    bench = build()
    key_in(bench, number=12)
    bench.clock.advance(timedelta(days=2))
    assert bench.handle(bench.practice.message(1, third_party="amo")).positive
    [answer] = returned(bench, 5)
    assert [(one.return_type, [p.invoice_type for p in one.payments]) for one in answer.transfers] == [
        ("01", ["F"]),
        ("02", ["P"]),
    ]
    assert answer.total_cents == 4200


def test_a_share_on_paper_goes_to_its_insurer(build: Build) -> None:
    """Full third-party payment on paper: the caisse says D, the insurer returns type C two days later."""
    contract = Contract(INSURER, NIR, "800301", "tm100", "MEMBER1")
    bench = build(people=InsuredBase([PERSON]), insurers=InsurerBase([contract]), paper_days=3)
    keyed = key_in(bench, number=12, third_party="full", complementary=INSURER)
    assert (keyed.amo_cents, keyed.amc_cents) == (2100, 900)
    [caisse] = returned(bench, 4)
    assert [(p.invoice_type, p.amc and p.amc.state) for p in caisse.payments] == [("P", "D")]
    insurer = returned(bench, 1)[-1]
    [payment] = insurer.payments
    assert (payment.invoice_type, payment.amc and payment.amc.paid_cents) == ("C", 900)
    assert [one.return_type for one in insurer.transfers] == ["02"]


def test_no_demand_comes_beside_paper(build: Build) -> None:
    """A contract that takes DRE is linked too: beside paper none can come, so that the caisse hands it on."""
    contract = Contract(INSURER, NIR, "800301", "tm100", "MEMBER1", treatment="22")
    bench = build(people=InsuredBase([PERSON]), insurers=InsurerBase([contract]))
    assert key_in(bench, number=12, third_party="full", complementary=INSURER).amc_cents == 900
    off = build(people=InsuredBase([PERSON]), insurers=InsurerBase([replace(contract, linked=False)]))
    keyed = key_in(off, number=12, third_party="full", complementary=INSURER)
    assert (keyed.decision, keyed.amc_cents) == ("P", 0)
    assert off.rows("SELECT count(*) FROM insurer_claim") == [(0,)]


def test_who_has_paid_is_reimbursed_and_the_professional_hears_nothing(build: Build) -> None:
    """Without third-party payment the professional gets no line; the insured person's day is the seventh."""
    bench = build()
    keyed = key_in(bench, third_party="none")
    assert (keyed.number, keyed.decision) == (OWN_NUMBERS + 1, "N")
    [(due,)] = bench.rows("SELECT insured_due_at FROM claim")
    assert float(str(due)) - bench.clock.now().timestamp() == 7 * 86_400
    assert key_in(bench, third_party="none").number == OWN_NUMBERS + 2
    assert returned(bench, 9) == []


def test_a_temporary_number_is_good_on_paper(build: Build) -> None:
    """A newcomer's temporary number that the caisse gave is paid; one that it did not give is refused."""
    bench = build(people=InsuredBase([replace(PERSON, nir=TEMPORARY)]))
    key = f"{nir_key(TEMPORARY):02d}"
    assert key_in(bench, nir=TEMPORARY + key).decision == "P"
    assert key_in(bench).code == "0250050"


def test_the_twin_of_an_invoice_is_filed_and_not_paid_again(build: Build) -> None:
    """Its invoice came by mail: nothing more is paid. The other way round the mail is what came too late."""
    bench = build()
    assert bench.handle(bench.practice.message(1, third_party="amo")).positive
    twin = key_in(bench, number=1)
    assert (twin.twin, twin.amo_cents) == (True, 2100)
    assert bench.rows("SELECT number FROM paper_twin") == [(1,)]
    assert not key_in(bench, number=2).twin
    assert bench.handle(bench.practice.message(2, third_party="amo")).positive
    assert bench.rows("SELECT number, origin, decision, code FROM claim WHERE number = 2 ORDER BY id") == [
        (2, "P", "P", ""),
        (2, "F", "R", "2900005"),
    ]


def test_only_the_caisses_file_counts_on_paper(build: Build) -> None:
    """A long illness named on the sheet counts at 100 % when it is on file, at 70 % when it is not."""
    known = build(people=InsuredBase([replace(PERSON, exemptions=frozenset({"ald"}))]))
    assert key_in(known, ald=True).amo_cents == 3000
    assert key_in(build(), ald=True).amo_cents == 2100


def test_an_act_without_a_price_is_refused(build: Build) -> None:
    """A code that is in no table is kept and refused; the act beside it alone is paid."""
    bench = build()
    keyed = key_in(bench, acts=[{"code": "ZZZ", "charged_cents": 100}])
    assert (keyed.decision, keyed.code, keyed.amo_cents) == ("R", "0500002", 0)
    assert key_in(bench).decision == "P"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"nir": f"{NIR}00"}, "nir"), ({"nir": "1"}, "nir"), ({"birth_date": "yesterday"}, "birth_date"),
        ({"number": -1}, "number"), ({"number": True}, "number"), ({"practitioner": "1"}, "practitioner"),
        ({"practitioner": "991000017"}, "practitioner"), ({"date": "2030-01-01"}, "date"),
        ({"ald": "yes"}, "ald"), ({"acts": []}, "acts"), ({"third_party": "some"}, "third_party"),
        ({"name": "ANNE"}, "name"),
    ],
)  # fmt: skip
def test_what_cannot_be_keyed_in_is_said(build: Build, changes: dict[str, Any], word: str) -> None:
    """One sentence names the field and never the value; nothing is kept."""
    bench = build()
    with pytest.raises(InputError, match=f"^{word}") as refused:
        key_in(bench, **changes)
    assert NIR not in str(refused.value)
    assert bench.rows("SELECT count(*) FROM claim") == [(0,)]


def test_paper_is_no_lot(build: Build) -> None:
    """Paper is counted apart, and no lot of mail is listed for it."""
    bench = build()
    key_in(bench)
    key_in(bench, number=3)
    said = status(bench.parts.ledger)
    assert (said["lots"], said["invoices_accepted"], said["paper_sheets"]) == (0, 0, 2)
    assert lots(bench.parts.ledger, 10) == []
    [account] = said["accounts"]
    assert account["invoices"] == 2


def test_a_ledger_of_the_release_before_is_taken_over(build: Build) -> None:
    """Its books get the columns that say when insured people are paid, and everything in it stands."""
    bench = build()
    assert bench.handle(bench.practice.message(1, third_party="amo")).positive
    bench.parts.ledger.close()
    [path] = bench.maildir.parent.glob("state*/ledger.db")
    with closing(sqlite3.connect(path)) as old:
        for book in BOOKS:
            old.execute(f"DROP INDEX {book}_insured")
            for column in ("insured_due_at", "insured_paid_at"):
                old.execute(f"ALTER TABLE {book} DROP COLUMN {column}")
        old.execute("DROP TABLE paper_twin")
        old.execute("PRAGMA user_version=2")
        old.commit()
    with Ledger(path) as again:
        assert again.rows("SELECT number, decision, insured_due_at FROM claim") == [(1, "P", None)]
        assert again.advance(86_400) == 1
    with closing(sqlite3.connect(path)) as strange:
        strange.execute("PRAGMA user_version=9")
    with pytest.raises(StoreError, match="version 9 is unknown"):
        Ledger(path)

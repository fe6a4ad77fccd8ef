"""A month in a practice: five ledgers agree to the cent, and a cent too many is found and named."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.billing.request import Practitioner
from gateway.billing.tables import Tables
from gateway.store.rows import Payment
from tools.scenario.__main__ import plant, world, write
from tools.scenario.caisse import PAYS_AFTER, Letter, Office
from tools.scenario.care import Diary
from tools.scenario.ledgers import CAISSE, PARTIES, PATIENT, Ledger, differences, months, open_ledgers
from tools.scenario.outcome import Outcome
from tools.scenario.people import population
from tools.scenario.purse import Purse
from tools.scenario.summary import borne, causes, faults
from tools.scenario.till import Bill, Till
from tools.scenario.workplace import Seen
from tools.scenario.year import START, Year

if TYPE_CHECKING:
    from conftest import Practice

ROOT = Path(__file__).parents[2]
SEED, DAYS, INSURED = 7, 31, 30
SHEET = ("991000009", 1)


def run(days: int = DAYS) -> Outcome:
    """A month with thirty insured people, in this process."""
    with world() as root, ExitStack() as stack:
        year = Year(root, stack, seed=SEED, insured=INSURED, days=days)
        return year.run(lambda _day, _sheets, _lots: None)


@pytest.fixture(scope="module")
def month() -> Outcome:
    """One month, run once."""
    return run()


@pytest.fixture(scope="module")
def folder(month: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its summary and pictures."""
    target = tmp_path_factory.mktemp("summary")
    write(month, target)
    return target


def test_five_ledgers_agree_to_the_cent(month: Outcome) -> None:
    """Every flow of every month is the same in each ledger that has it, and no sheet is left open."""
    assert faults(month) == []
    assert month.sheets > 20
    assert all(month.ledgers[party].cents for party in PARTIES)


def test_refusals_are_mended_and_every_mode_is_lived(month: Outcome) -> None:
    """A lot was refused and its sheets made anew; some were signed later, some by nobody."""
    assert (month.lots_refused, month.rectified > 0) == (1, True)
    assert month.desynchronised
    assert month.degraded


def test_what_care_cost_is_what_somebody_bears(month: Outcome) -> None:
    """Caisse, complementary and patient bear each month's charges exactly, nobody less than nothing."""
    for name, parts in borne(month).items():
        assert sum(parts.values()) == month.charged[name]
        assert min(parts.values()) >= 0


def test_refusals_come_from_more_than_one_hand(month: Outcome) -> None:
    """Cards, caisse or insurers refuse, each with its own cause."""
    found = causes(month)
    assert len({who for who, _, _ in found}) >= 2
    assert len({cause for _, cause, _ in found}) >= 3


def test_lots_whose_receipt_was_lost_go_again(month: Outcome) -> None:
    """Some ARL are lost: the same lots go again after two working days, and nothing doubles."""
    assert month.sent_again >= 2
    assert faults(month) == []


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Other keys, other mails, the same figures: summary.json comes back byte for byte."""
    write(run(), tmp_path / "again")
    for name in ("summary.json", "summary.txt", "payers.svg", "delays.svg", "refusals.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_another_seed_gives_another_year() -> None:
    """People and visits hang on the seed alone."""
    first, second = population(1, INSURED, START, DAYS), population(2, INSURED, START, DAYS)
    assert first == population(1, INSURED, START, DAYS)
    assert first != second
    day = date(2025, 1, 6)
    assert Diary(1, first).visits(day) == Diary(1, first).visits(day)
    assert Diary(1, first).visits(day) != Diary(2, first).visits(day)


@pytest.mark.parametrize("party", PARTIES)
def test_a_planted_cent_is_found_and_named(month: Outcome, party: str) -> None:
    """One cent too many in any of the five ledgers: the first difference names it, with month and flow."""
    planted = deepcopy(month.ledgers)
    plant(planted, party)
    name, flow = min(planted[party].cents)
    found = next(differences(planted))
    assert found.startswith(f"{name}, {flow}: ")
    assert f"the {party} has" in found or f"the {party} " in found
    assert "1 cents" in found


def test_two_parties_that_miss_the_same_are_found_by_a_third(month: Outcome) -> None:
    """A cent that professional and bank both lack is seen by the caisse's own ledger."""
    planted = deepcopy(month.ledgers)
    for party in ("professional", "bank"):
        key = next(key for key in sorted(planted[party].cents) if key[1] == "caisse → professional")
        planted[party].cents[key] -= 1
    assert "caisse → professional" in next(differences(planted))


def test_a_letter_that_is_a_cent_short_is_noticed() -> None:
    """The receipt promises 21.00, the letter pays 19.00 and withholds 1.99: the sheet is named."""
    purse = Purse(open_ledgers()[PATIENT])
    purse.expects(CAISSE, SHEET, 2100)
    purse.reads(START, CAISSE, Letter(SHEET, START, 1900, {"participation": 199}))
    assert len(purse.faults) == 1
    assert "sheet 1 of 991000009" in purse.faults[0]
    purse.expects(CAISSE, SHEET, 2100)
    purse.reads(START, CAISSE, Letter(SHEET, START, 1900, {"participation": 200}))
    assert len(purse.faults) == 1


def test_money_that_never_came_is_noticed() -> None:
    """A receipt that no letter answers and no refusal ends is told at the end of the year."""
    purse = Purse(open_ledgers()[PATIENT])
    purse.expects(CAISSE, SHEET, 2100)
    assert "21.00 EUR" in next(purse.never_came())
    purse.is_refused(CAISSE, SHEET)
    assert list(purse.never_came()) == []


def test_a_payment_that_is_not_posted_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A professional who skips one line of a return: ledger, sheet and gateway's store all tell of it."""
    posted, skipped = Till.posted, []

    def forgetful(till: Till, day: date, said: list[Payment]) -> Iterator[Bill]:
        if not skipped and (paid := [one for one in said if one.amo_cents]):
            skipped.append(paid[0])
            said = [one for one in said if one is not paid[0] and one.number != paid[0].number]
        return posted(till, day, said)

    monkeypatch.setattr(Till, "posted", forgetful)
    found = faults(run(days=8))
    assert skipped
    assert "caisse → professional" in found[0]
    assert any("cents are still open" in one for one in found)
    assert any("the gateway's store has" in one for one in found)


@pytest.fixture
def office() -> Office:
    """The caisse's office for one professional."""
    return Office(Tables.load(), {SHEET[0]: (Practitioner(),)})


def test_a_deduction_waits_for_a_later_reimbursement(office: Office, practice: Practice) -> None:
    """2 EUR that a third-party payment could not bear are taken off the next money that the person gets."""
    office.book(practice.fse(1).view(), "P", START)
    assert [account.total() for account in office.owed.values()] == [200]
    office.book(practice.fse(2, third_party="none").view(), "N", START)
    (letter,) = office.reimburse(START + PAYS_AFTER)
    assert (letter.paid_cents, letter.withheld["participation"]) == (2100 - 400, 400)
    assert [account.total() for account in office.owed.values()] == [0]
    assert office.waiting == 0


def test_a_refused_sheet_costs_the_insured_no_deduction(office: Office, practice: Practice) -> None:
    """What is not reimbursed has no participation either, and no letter follows."""
    office.book(practice.fse(1, third_party="none").view(), "R", START)
    assert list(office.reimburse(START + PAYS_AFTER)) == []
    assert not office.owed


def test_no_more_than_the_cap_of_a_day_is_taken(office: Office, practice: Practice) -> None:
    """Six consultations on one day with one doctor: 8 EUR, not 12."""
    for number in range(1, 7):
        office.book(practice.fse(number).view(), "P", START)
    assert [account.total() for account in office.owed.values()] == [800]


def test_a_share_refused_twice_is_billed_once() -> None:
    """Caisse and insurer may both say no to a share asked by DRE: the insurer's word counts, once."""
    till = Till(Ledger("professional"))
    till.sees(Seen("gp", 1, START, 0, 3000, 0, 900, 0, 0, "full", by_dre=True))
    said = [
        Payment(1, 1, True, 2100, 0, "0250062"),
        Payment(1, 1, False, code="0250060", complementary=True),
        Payment(1, 1, False, code="0250060", complementary=True),
    ]
    bills = [bill for one in said for bill in till.posted(START, [one])]
    assert bills == [Bill(1, 900)]
    till.settled(START, bills[0])
    assert till.open == {1: 0}


def test_a_ledger_takes_only_what_its_party_sees() -> None:
    """No bank sees what is withheld, no caisse sees the desk."""
    with pytest.raises(AssertionError):
        Ledger("bank").post(START, "franchises withheld", 1)
    with pytest.raises(AssertionError):
        Ledger("caisse").post(START, "patient → professional, at the desk", 1)


def test_the_pictures_are_whole_and_nobody_is_named(folder: Path) -> None:
    """SVG that an XML reader takes; no NIR, name or card number in any file."""
    words = "".join(path.read_text("utf-8") for path in folder.iterdir())
    for name in ("payers.svg", "delays.svg", "refusals.svg"):
        drawn = ET.parse(folder / name).getroot()
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert len(drawn.findall(".//{http://www.w3.org/2000/svg}rect")) > 3
    for one in population(SEED, INSURED, START, DAYS):
        for secret in (one.profile.nir[:13], one.profile.serial, one.holder.name):
            assert secret not in words


def test_the_summary_says_each_ledger_by_month(month: Outcome, folder: Path) -> None:
    """summary.txt has a table for each party with each month; summary.json says that they agree."""
    text = (folder / "summary.txt").read_text("utf-8")
    for party in PARTIES:
        assert f"LEDGER OF THE {party.upper()}" in text
    assert all(f"\n{name} " in text for name in months(month.ledgers))
    said = json.loads((folder / "summary.json").read_text("utf-8"))
    assert said["agree"] is True
    assert set(said["ledgers"]) == set(PARTIES)


@pytest.fixture
def command() -> Callable[..., list[str]]:
    """The command line."""
    return lambda *more: [sys.executable, "-m", "tools.scenario", "--insured", "10", *more]


def test_the_command_ends_with_one_json_line_and_1_when_a_cent_is_planted(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Exit code 1, the first difference in words, and the keys of the last line."""
    asked = command("--days", "3", "--json", "--out", str(tmp_path / "out"), "--plant-cent", "bank")
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert {"insured", "sheets", "lots", "seconds", "agree", "ledgers"} <= set(said)
    assert said["agree"] is False
    assert "FIRST DIFFERENCE: 2025-01, " in done.stdout
    assert "2025-01-01" in done.stderr
    assert "\x1b" not in done.stderr


def test_ctrl_c_ends_it_cleanly(command: Callable[..., list[str]], tmp_path: Path) -> None:
    """Interrupted in the middle of the year: 130, one sentence, no summary by halves."""
    out = tmp_path / "out"
    asked = command("--days", "365", "--out", str(out))
    with subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        assert one.stderr is not None
        assert one.stderr.readline().startswith("2025-01-01")
        one.send_signal(signal.SIGINT)
        said, words = one.communicate(timeout=60)
    assert one.returncode == 130
    assert said == ""
    assert words.splitlines()[-1] == "scenario: interrupted; no summary was written."
    assert "Traceback" not in words
    assert not out.exists()

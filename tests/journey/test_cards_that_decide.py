"""Cards that decide the outcome: each goes down the whole line and brings what its profile declares."""

from __future__ import annotations

import json
import re
import shutil
from ast import literal_eval
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from card import cli
from card.personalise import list_outcomes, list_profiles, load_profile
from card.profile import CpsProfile, InsuredProfile, Outcome
from gateway.care import CareAct
from gateway.clock import SimulatedClock
from gateway.errors import GatewayError
from gateway.pipeline import bill
from gateway.records.noemie_file import Payment
from gateway.store.states import FseState
from reader.errors import ReaderError
from tests.flows.flow import DOCTOR, START, Flow, close_flow, open_flow
from tools.bench import Bench

README = Path(__file__).resolve().parents[2] / "README.md"
THIRD_PARTIES = ("none", "amo", "full")
OF_THE_PATIENT = ("ald", "pregnancy_month")
LONG_NUMBER = re.compile(r"\d{13}")
SEVERITY = ("paid", "signalled", "partial", "refused")
MARK = "<!-- deciding cards -->"
OUTCOMES = list_outcomes()


def outcome_of(name: str) -> Outcome:
    """What a profile declares."""
    outcome = load_profile(name).outcome
    assert outcome is not None
    return outcome


TWINS = sorted({outcome_of(name).twin for name in OUTCOMES} - {DOCTOR})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and every card of this file."""
    root = tmp_path_factory.mktemp("deciding")
    Bench(root, SimulatedClock(START)).make_cards([DOCTOR, *TWINS, *OUTCOMES])
    return root


@pytest.fixture
def open_with(world: Path, tmp_path: Path) -> Iterator[Callable[..., Flow]]:
    """Opens a practice and its receiver with copies of these cards, and no set-up besides."""
    opened: list[Flow] = []

    def make(*cards: str) -> Flow:
        shutil.copytree(world, tmp_path, ignore=shutil.ignore_patterns("cards"), dirs_exist_ok=True)
        (tmp_path / "cards").mkdir()
        for card in cards:
            shutil.copy(world / "cards" / f"{card}.card", tmp_path / "cards")
        opened.append(open_flow(tmp_path))
        return opened[-1]

    yield make
    for flow in opened:
        close_flow(flow)


def care(flow: Flow, third_party: str, extra: Mapping[str, object]) -> CareAct:
    """A consultation of today, and what the outcome needs to be said of it."""
    patient = {name: extra[name] for name in OF_THE_PATIENT if name in extra}
    data: dict[str, Any] = {"date": flow.today.isoformat(), "acts": [{"code": "G"}], "beneficiary": patient}
    return CareAct.from_json({**data, "nature": extra.get("nature", "maladie"), "third_party": third_party})


@dataclass(frozen=True)
class Seen:
    """What came of a care act: where it was decided, the code, the result, the words of a refusal."""

    stage: str
    code: str
    result: str
    words: str = ""


def run(flow: Flow, vitale: str, cps: str, third_party: str, extra: Mapping[str, object]) -> Seen:
    """Down the line until something refuses it; else ten days with every answer of the payers."""
    stage = "desk"
    try:
        flow.unlock(cps)
        stage = "gateway"
        with flow.patient(vitale) as session:
            billed = bill(flow.practice, flow.desk.cps, session, care(flow, third_party, extra))
    except (GatewayError, ReaderError) as refusal:
        return Seen(stage, refusal.code, "refused", str(refusal))
    flow.lots()
    receipt = flow.answers[0]
    if not receipt.positive:
        assert flow.row(billed.number).state is FseState.REJECTED
        return Seen("receiver", receipt.code, "refused", receipt.reason)
    seen = said([answer for _ in range(10) for answer in day(flow)])
    final = FseState.PAYMENT_REJECTED if seen.result == "refused" else FseState.PAID
    row = flow.row(billed.number)
    awaits_nothing = row.third_party == "none" and final is FseState.PAID  # the insured person is paid
    assert row.state is (FseState.ACCEPTED if awaits_nothing else final)
    return seen


def day(flow: Flow) -> list[Payment]:
    """One day goes by; what caisses and insurers say."""
    flow.clock.advance(timedelta(days=1))
    returns = flow.parts.paymaster.pay_due()
    flow.collect()
    return [payment for answer in returns for payment in answer.payments]


def said(answers: list[Payment]) -> Seen:
    """The worst that the payers said of an invoice."""
    found = [Seen("", "", "paid")]
    for answer in answers:
        stage = "caisse" if answer.invoice_type == "F" else "insurer"
        for reject in answer.rejects:
            result = "refused" if reject.share == "O" else "partial"
            found.append(Seen(stage, reject.code, result, reject.text))
        found += [Seen(stage, remark.code, "signalled", remark.text) for remark in answer.remarks]
    return max(found, key=lambda seen: SEVERITY.index(seen.result))


def cards_of(name: str, plain: str = "vitale-single") -> tuple[str, str]:
    """The Vitale and the CPS to put in: the one named, and a plain one beside it."""
    return (plain, name) if name.startswith("cps-") else (name, DOCTOR)


@pytest.mark.parametrize("third_party", THIRD_PARTIES)
@pytest.mark.parametrize("name", OUTCOMES)
def test_it_decides(open_with: Callable[..., Flow], name: str, third_party: str) -> None:
    """The card brings its declared result at its declared stage under its code, in words that name nobody."""
    outcome, cards = outcome_of(name), cards_of(name)
    seen = run(open_with(*cards), *cards, third_party, outcome.act)
    assert seen.result == outcome.results[third_party], seen
    if seen.result != "paid":
        assert (seen.stage, seen.code) == (outcome.stage, outcome.code), seen
        assert names_nobody(seen.words, name)


@pytest.mark.parametrize("third_party", THIRD_PARTIES)
@pytest.mark.parametrize(
    ("twin", "act"), sorted({(outcome_of(n).twin, repr(dict(outcome_of(n).act))) for n in OUTCOMES})
)
def test_its_plain_twin_is_paid(
    open_with: Callable[..., Flow], twin: str, act: str, third_party: str
) -> None:
    """The same act with the plain profile beside each of them is paid, with nothing to signal."""
    cards = cards_of(twin)
    assert run(open_with(*cards), *cards, third_party, literal_eval(act)) == Seen("", "", "paid")


def names_nobody(words: str, name: str) -> bool:
    """One clear text without the number and the names of the profile."""
    profile, text = load_profile(name), words.upper()
    if isinstance(profile, CpsProfile):
        hidden = [profile.last_name, profile.rpps]
    else:
        assert isinstance(profile, InsuredProfile)
        hidden = [profile.nir[:13], profile.people[0].name]
    return bool(words) and not any(one in text for one in hidden) and not LONG_NUMBER.search(words)


def test_there_are_enough() -> None:
    """At least 25 of them, some at every stage, with every result; serials and numbers are nobody else's."""
    outcomes = [outcome_of(name) for name in OUTCOMES]
    assert len(outcomes) >= 25
    assert {one.stage for one in outcomes} == {"desk", "gateway", "receiver", "caisse", "insurer"}
    assert {result for one in outcomes for result in one.results.values()} == set(SEVERITY)
    assert {one.twin for one in outcomes} <= set(list_profiles())
    profiles = [load_profile(name) for name in (*list_profiles(), *OUTCOMES)]
    families = [one for one in profiles if isinstance(one, InsuredProfile)]
    doctors = [one for one in profiles if isinstance(one, CpsProfile)]
    serials = [one.serial for one in (*families, *doctors) if one.serial]
    billing = [situation.billing_number for one in doctors for situation in one.situations]
    for numbers in (serials, [one.nir for one in families], [one.rpps for one in doctors], billing):
        assert len(numbers) == len(set(numbers))
    assert {family.caisse for family in families} <= {"349", "996", "999"}


def test_they_hold_whenever_the_card_is_made() -> None:
    """Dates that count from the making follow it: what ended the day before has ended on every day."""
    for made in (date(2025, 2, 28), date(2031, 12, 31)):
        expired, ended = load_profile("vitale-expired", made), load_profile("vitale-rights-ended", made)
        coming = load_profile("vitale-rights-to-come", made)
        assert isinstance(expired, InsuredProfile)
        assert isinstance(ended, InsuredProfile)
        assert isinstance(coming, InsuredProfile)
        assert expired.valid_to == ended.people[0].rights[0].end == made - timedelta(days=1)
        assert coming.people[0].rights[0].start == made + timedelta(days=366)


def test_the_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    """`vitale-card profiles` shows each with its stage, its code and its sentence."""
    assert cli.main(["profiles"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    for name in OUTCOMES:
        outcome = outcome_of(name)
        assert all(part in lines[name] for part in (outcome.stage, outcome.code, outcome.says))


def table() -> str:
    """The README's table of these cards, from their profiles."""
    head = "| profile | what it always brings | where, code | none / amo / full |\n|---|---|---|---|\n"
    return head + "".join(row(name) for name in OUTCOMES)


def row(name: str) -> str:
    """One profile: the results are those without, with partial and with full third-party payment."""
    outcome = outcome_of(name)
    results = list(dict.fromkeys(outcome.results[kind] for kind in THIRD_PARTIES))
    shown = results[0] if len(results) == 1 else " / ".join(outcome.results[kind] for kind in THIRD_PARTIES)
    patient = {name: value for name, value in outcome.act.items() if name in OF_THE_PATIENT}
    said = {name: value for name, value in outcome.act.items() if name not in patient}
    said |= {"beneficiary": patient} if patient else {}
    needs = f" (act with `{json.dumps(said)[1:-1]}`)" if said else ""
    where = f"{outcome.stage} `{outcome.code}`" if outcome.code else outcome.stage
    return f"| `{name}` | {outcome.says}{needs} | {where} | {shown} |\n"


def test_the_readme_has_them() -> None:
    """The README's table is the profiles' own, word by word."""
    assert README.read_text(encoding="utf-8").split(MARK)[1] == f"\n{table()}"


def write_table() -> None:
    """Put the profiles into the README: run this file as a module when the test says that they differ."""
    before, _, after = README.read_text(encoding="utf-8").split(MARK)
    README.write_text(f"{before}{MARK}\n{table()}{MARK}{after}", encoding="utf-8")


if __name__ == "__main__":
    write_table()

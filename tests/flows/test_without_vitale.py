"""No Vitale: the CPS signs alone on an attestation, or nobody signs; paper goes with it; the caisse pays."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from card import personalise
from card.layout.nir import nir_key
from gateway.care import CareAct
from gateway.errors import CardRefusal, GatewayError, InputError
from gateway.lots.fse import Fse
from gateway.office import bill_act
from gateway.paper import write_twins
from gateway.store.rows import AwaitingFse
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

PROFILES = Path(personalise.__file__).parent / "profiles"
NIR = "179199934912194"


def attestation(profile: str = "ame-attestation", **changes: object) -> dict[str, Any]:
    """What a profile says, as the JSON of a care act."""
    text = (PROFILES / f"{profile}.toml").read_text(encoding="utf-8")
    return json.loads(json.dumps(tomllib.loads(text), default=str)) | changes  # type: ignore[no-any-return]


def care(flow: Flow, **changes: object) -> dict[str, Any]:
    """A consultation on the attestation."""
    return {"date": str(flow.today), "acts": [{"code": "G"}], "attestation": attestation(), **changes}


def test_the_cps_signs_alone(flow: Flow) -> None:
    """AME: paid in full by the caisse, mode 1, no Vitale anywhere; sent, acknowledged and paid."""
    flow.unlock()
    billed = bill_act(flow.practice, flow.desk, care(flow))
    assert (billed.mode, billed.price.third_party, billed.price.patient_cents) == (
        "without-vitale",
        "full",
        0,
    )
    fse = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [billed.number])[0])
    view = fse.view()
    assert (fse.mode, view.vitale_serial, view.nir + view.nir_key) == (1, "", NIR)
    [lot] = flow.lots()
    assert (lot.state.value, flow.answers[0].positive) == ("ACKNOWLEDGED", True)
    flow.days(5)
    row = flow.row(billed.number)
    assert (row.state.value, row.paid_amo_cents) == ("PAID", billed.price.amo_cents)


@pytest.mark.parametrize("policy", ["modern", "sesam"])
def test_nobody_signs(open_world: Callable[..., Flow], policy: str) -> None:
    """Degraded: a B2 file without any signature (IRIS/B2), taken by the receiver and paid."""
    flow = open_world(policy=policy)
    flow.unlock()
    billed = bill_act(flow.practice, flow.desk, care(flow, mode="degraded"))
    fse = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [billed.number])[0])
    assert (fse.mode, fse.invoice.signature, fse.invoice.seal, fse.invoice.third_party) == (5, b"", b"", 2)
    flow.lots()
    assert [answer.positive for answer in flow.answers] == [True], flow.answers
    flow.days(5)
    assert flow.row(billed.number).state.value == "PAID"


def test_a_degraded_sheet_needs_no_card_at_all(flow: Flow) -> None:
    """The CPS is away: what was kept of its place is enough; an unknown place is refused, so is mode 1."""
    flow.unlock()
    flow.bill()
    place = flow.row(1).practitioner
    flow.put("CPS")
    degraded = care(flow, mode="degraded", practitioner={"place": place})
    assert bill_act(flow.practice, flow.desk, degraded).number == 2
    for wrong, code in (
        (degraded | {"practitioner": {"place": "999999999"}}, "place-unknown"),
        (degraded | {"practitioner": {}}, "place-unknown"),
        (degraded | {"mode": "without-vitale"}, "pin-needed"),
    ):
        with pytest.raises(GatewayError) as caught:
            bill_act(flow.practice, flow.desk, wrong)
        assert caught.value.code == code
    assert len(flow.practice.store.fse_list()) == 2


def test_the_paper_twin(flow: Flow, tmp_path: Path) -> None:
    """The insured person's paper: number, amounts and identity in one private file, written once."""
    flow.unlock()
    bill_act(flow.practice, flow.desk, care(flow))
    flow.bill()
    folder = tmp_path / "paper"
    [path] = write_twins(flow.practice.store, PRACTICE, folder)
    text = path.read_text(encoding="utf-8")
    assert path.name == "fse-000000001.txt"
    assert path.stat().st_mode & 0o777 == 0o600
    for wanted in ("000000001", f"{NIR[:13]} {NIR[13:]}", "TEST-KILO", "Tiers payant", "AME"):
        assert wanted in text
    assert max(map(len, text.splitlines())) <= 70
    assert write_twins(flow.practice.store, PRACTICE, folder) == []
    assert flow.practice.store.twin_of(PRACTICE, 1) == text
    with pytest.raises(GatewayError, match="no paper twin"):
        flow.practice.store.twin_of(PRACTICE, 2)


def test_nobody_is_named_in_the_store(flow: Flow) -> None:
    """No NIR and no name of the attestation can be read in the store, its trail or what is said of it."""
    flow.unlock()
    billed = bill_act(flow.practice, flow.desk, care(flow))
    store = flow.practice.store
    said = store.status() + repr(billed) + repr(store.audit_records()) + repr(store.history(1))
    files = [path for path in flow.bench.root.glob("gateway.db*") if path.is_file()]
    raw = b"".join(path.read_bytes() for path in files)
    for secret in (NIR[:13], "TEST-KILO", "KARIM"):
        assert secret not in said
        assert secret.encode() not in raw


def test_an_attestation_that_does_not_cover_the_day(flow: Flow) -> None:
    """An attestation of last year is refused with its code; nothing is kept."""
    flow.unlock()
    old = attestation(attestation={"start": "2025-01-01", "end": "2025-12-31"})
    with pytest.raises(CardRefusal) as caught:
        bill_act(flow.practice, flow.desk, care(flow, attestation=old))
    assert caught.value.code == "attestation-expired"
    assert flow.practice.store.fse_list() == []


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "attestation.insured.nir": lambda one: one["insured"].update(nir="179199934912195"),
    "attestation.insured.caisse": lambda one: one["insured"].update(caisse="34"),
    "attestation.beneficiary": lambda one: one.update(beneficiary=[]),
    "attestation.beneficiary[0].birth_date": lambda one: one["beneficiary"][0].update(
        birth_date="1979-13-01"
    ),
    "attestation.beneficiary[0].rights": lambda one: one["beneficiary"][0].update(rights=3),
    "attestation.beneficiary[0].address": lambda one: one["beneficiary"][0].update(address=["a"] * 6),
    "attestation.beneficiary[0].css.contribution": lambda one: one["beneficiary"][0].update(
        css={"contribution": 1}
    ),
    "attestation.beneficiary[0].birth_rank": lambda one: one["beneficiary"][0].update(birth_rank=True),
    "attestation.secret": lambda one: one.update(secret=1),
    "attestation.ame": lambda one: one.update(ame="yes"),
    "attestation.attestation": lambda one: one.pop("attestation"),
    "attestation.beneficiary[0].mutuelle.number": lambda one: one["beneficiary"][0].update(
        mutuelle={"number": "1"}
    ),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_attestation_names_the_field(field: str) -> None:
    """Each wrong field is named by its path, and no value is repeated; the right one is taken."""
    data: dict[str, Any] = {"date": "2026-11-16", "acts": [{"code": "G"}], "attestation": attestation()}
    assert CareAct.from_json(data).mode == "without-vitale"
    WRONG[field](data["attestation"])
    with pytest.raises(InputError) as caught:
        CareAct.from_json(data)
    assert str(caught.value).startswith(f"{field}:")
    assert NIR[:10] not in str(caught.value)
    assert "KILO" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mode": "secured"}, "attestation"),
        ({"mode": "visit"}, "mode"),
        ({"mode": "degraded", "attestation": None}, "attestation"),
        ({"complementary": "other"}, "complementary"),
        ({"practitioner": {"place": "12"}}, "practitioner.place"),
    ],
)
def test_modes_that_do_not_fit(changes: dict[str, Any], field: str) -> None:
    """A mode and an attestation that contradict each other, words that nobody knows: refused by field."""
    data = {"date": "2026-11-16", "acts": [{"code": "G"}], "attestation": attestation(), **changes}
    with pytest.raises(InputError, match=field):
        CareAct.from_json(data)


def test_a_care_act_survives_its_json() -> None:
    """What is kept of a care act gives the same act again, attestation included."""
    data = {
        "date": "2026-11-16", "acts": [{"code": "G", "quantity": 1, "charged_cents": 3000}],
        "attestation": attestation(), "mode": "degraded", "pathway": "O", "third_party": "full",
    }  # fmt: skip
    act = CareAct.from_json(data)
    assert CareAct.from_json(json.loads(json.dumps(act.to_json()))) == act


def test_nothing_waits_for_a_cps(flow: Flow) -> None:
    """Sheets without Vitale are signed when they are kept."""
    flow.unlock()
    bill_act(flow.practice, flow.desk, care(flow))
    waiting: list[AwaitingFse] = flow.practice.store.fse_awaiting(PRACTICE)
    assert waiting == []


def test_the_return_tells_paper_from_a_signed_sheet(flow: Flow) -> None:
    """The caisse calls what nobody signed B in its payment return, and what the CPS signed F."""
    flow.unlock()
    paper = bill_act(flow.practice, flow.desk, care(flow, mode="degraded"))
    signed = bill_act(flow.practice, flow.desk, care(flow))
    flow.lots()
    flow.clock.advance(timedelta(days=5))
    paid = [payment for answer in flow.parts.paymaster.pay_due() for payment in answer.payments]
    assert {one.invoice: one.invoice_type for one in paid} == {paper.number: "B", signed.number: "F"}


@pytest.mark.parametrize("first", ["7", "8"])
def test_a_temporary_number_is_good_on_paper(flow: Flow, first: str) -> None:
    """The temporary number of a newcomer is billed on an attestation; with another key it is refused."""
    flow.unlock()
    number = first + NIR[1:13]
    insured = attestation()["insured"]
    right, wrong = (
        attestation(insured=insured | {"nir": f"{number}{key:02d}"})
        for key in (nir_key(number), nir_key(number) % 97 + 1)
    )
    with pytest.raises(InputError, match=r"^attestation\.insured\.nir: "):
        bill_act(flow.practice, flow.desk, care(flow, attestation=wrong))
    billed = bill_act(flow.practice, flow.desk, care(flow, attestation=right))
    view = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [billed.number])[0]).view()
    assert (view.nir, view.nir_key) == (number, f"{nir_key(number):02d}")
    flow.lots()
    assert [answer.positive for answer in flow.answers] == [True]

"""What goes wrong at the desk: one clear sentence, nothing kept by halves, and the next try works."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SimulatedClock
from gateway.desk import Desk
from gateway.errors import CardRefusal, GatewayError, InputError, TrustError
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill, make_lots
from gateway.pki.opposition import Opposition, OppositionList
from gateway.practice import Practice
from gateway.secret import Secret
from reader.emulated import EmulatedReader
from reader.errors import ReaderError
from tools.bench import TEST_PIN, Bench


def today(practice: Practice) -> date:
    return legal_day(practice.clock.now())


def consultation(practice: Practice, **changes: object) -> CareAct:
    act = CareAct(date=today(practice), acts=(Act("G"),), third_party="amo")
    return dataclasses.replace(act, **changes)  # type: ignore[arg-type]


def kept(practice: Practice) -> int:
    return len(practice.store.fse_list())


def test_a_plain_consultation_is_kept(practice: Practice, desk: Desk) -> None:
    """The twin of every refusal below: the same desk, cards and act are accepted, 21.00 + 9.00."""
    cps = desk.unlock(TEST_PIN)
    with desk.vitale() as vitale:
        billed = bill(practice, cps, vitale, consultation(practice))
    assert (billed.price.amo_cents, billed.price.patient_cents) == (2100, 900)
    assert kept(practice) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acts": (Act("NOPE"),)}, "acts[0].code"),
        ({"acts": (Act("G", charged_cents=-1),)}, "acts[0].charged_cents"),
        ({"acts": (Act("G", quantity=0),)}, "acts[0].quantity"),
        ({"date": date(2999, 1, 1)}, "future"),
        ({"number": 7}, "beneficiary.number"),
        ({"ald": True}, "beneficiary.ald"),
        ({"pathway": "Z"}, "pathway"),
    ],
)
def test_a_wrong_act_is_refused_in_one_sentence(
    practice: Practice, desk: Desk, changes: dict[str, object], words: str
) -> None:
    """Unknown act, negative amount, care in the future and their like name the field and keep nothing."""
    cps = desk.unlock(TEST_PIN)
    with desk.vitale() as vitale, pytest.raises(InputError) as refusal:
        bill(practice, cps, vitale, consultation(practice, **changes))
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert kept(practice) == 0


def test_wrong_pin_counts_down_and_blocks(desk: Desk) -> None:
    """Wrong PIN: the tries left are told; after three the card says it is blocked, even to the right PIN."""
    for left in ("2", "1"):
        with pytest.raises(CardRefusal, match=f"{left} tr"):
            desk.unlock(Secret(b"9999"))
    with pytest.raises(CardRefusal, match="blocked"):
        desk.unlock(Secret(b"9999"))
    with pytest.raises(CardRefusal, match="blocked") as refusal:
        desk.unlock(TEST_PIN)
    assert refusal.value.code == "pin-blocked"


def test_a_right_pin_after_a_wrong_one_unlocks(desk: Desk) -> None:
    """The twin: one wrong PIN, then the right one works and gives the tries back."""
    with pytest.raises(CardRefusal):
        desk.unlock(Secret(b"9999"))
    assert desk.unlock(TEST_PIN).pin_verified


def test_swapped_cards_are_named(bench: Bench) -> None:
    """A CPS in the Vitale slot: the sentence names the slot and says to swap."""
    with EmulatedReader() as reader:
        reader.insert("CPS", bench.card("vitale-single"))
        reader.insert("Vitale", bench.card("cps-gp-sector1"))
        with pytest.raises(CardRefusal, match="CPS slot holds a Vitale") as refusal:
            Desk(reader).unlock(TEST_PIN)
        assert refusal.value.code == "wrong-card"


def test_an_empty_slot_is_named(bench: Bench) -> None:
    """No Vitale in its slot: the sentence names the slot and says to insert the card."""
    with EmulatedReader() as reader:
        reader.insert("CPS", bench.card("cps-gp-sector1"))
        desk = Desk(reader)
        desk.unlock(TEST_PIN)
        with pytest.raises(ReaderError, match="Vitale slot is empty"), desk.vitale():
            pass


def test_an_opposed_vitale_makes_no_secured_fse(practice: Practice, desk: Desk, bench: Bench) -> None:
    """A card on the opposition list is refused before anything is signed; taken off, it works."""
    cps = desk.unlock(TEST_PIN)
    with desk.vitale() as vitale:
        bench.write_opposition([Opposition(vitale.serial, today(practice), "V")])
        opposed = dataclasses.replace(practice, opposition=OppositionList.load(bench.opposition_file))
        with pytest.raises(CardRefusal) as refusal:
            bill(opposed, cps, vitale, consultation(practice))
        assert refusal.value.code == "card-opposed"
        assert kept(practice) == 0
        bill(practice, cps, vitale, consultation(practice))


def test_a_stale_opposition_list_stops_secured_fse(practice: Practice, desk: Desk) -> None:
    """A list older than a day is not trusted, and the sentence says so."""
    later = dataclasses.replace(practice, clock=SimulatedClock(datetime.now(UTC) + timedelta(hours=30)))
    cps = desk.unlock(TEST_PIN)
    with desk.vitale() as vitale, pytest.raises(GatewayError, match="opposition"):
        bill(later, cps, vitale, consultation(practice))


def test_an_expired_cps_is_refused(practice: Practice, desk: Desk) -> None:
    """A CPS past its date: the sentence says expired and what to do; nothing is kept."""
    cps = desk.unlock(TEST_PIN)
    far = dataclasses.replace(practice, clock=SimulatedClock(datetime.now(UTC) + timedelta(days=365 * 8)))
    with desk.vitale() as vitale, pytest.raises(TrustError, match="expired"):
        bill(far, cps, vitale, consultation(practice))
    assert kept(practice) == 0


def test_a_revoked_cps_is_refused(practice: Practice, desk: Desk, bench: Bench) -> None:
    """A CPS on its authority's revocation list signs nothing."""
    from cryptography import x509

    cps = desk.unlock(TEST_PIN)
    serial = x509.load_der_x509_certificate(cps.certificate).serial_number
    bench.authority.revoke(serial, datetime.now(UTC))
    revoked = dataclasses.replace(practice, trust=bench.authority.trust())
    with desk.vitale() as vitale, pytest.raises(TrustError, match="revoked"):
        bill(revoked, cps, vitale, consultation(practice))
    assert kept(practice) == 0


def test_only_the_practice_s_own_practitioners_bill(practice: Practice, desk: Desk) -> None:
    """A good CPS of somebody who does not work here is refused; named in the settings, it bills."""
    cps = desk.unlock(TEST_PIN)
    strangers = dataclasses.replace(practice, practitioners=("899999999990",))
    known = dataclasses.replace(practice, practitioners=(cps.holder.national_id,))
    with desk.vitale() as vitale:
        with pytest.raises(CardRefusal) as refusal:
            bill(strangers, cps, vitale, consultation(practice))
        assert refusal.value.code == "practitioner-unknown"
        bill(known, cps, vitale, consultation(practice))
    assert kept(practice) == 1


def test_a_situation_that_may_not_sign_lots_does_not_bill(practice: Practice, desk: Desk) -> None:
    """A place of practice without the right to sign lots would keep sheets for ever; the other one bills."""
    cps = desk.unlock(TEST_PIN)
    with desk.vitale() as vitale:
        with pytest.raises(CardRefusal) as refusal:
            bill(practice, cps, vitale, consultation(practice, situation="2"))
        assert refusal.value.code == "no-situation"
        bill(practice, cps, vitale, consultation(practice, situation="1"))
    assert kept(practice) == 1


def test_two_places_of_practice_never_share_a_lot(practice: Practice, desk: Desk) -> None:
    """One practitioner with two billing numbers: each place has its lot, and both are queued."""
    cps = desk.unlock(TEST_PIN)
    first, second = cps.situations
    cps.situations = (first, dataclasses.replace(second, may_sign_lot=True, specialty="01", convention="1"))
    with desk.vitale() as vitale:
        for situation in ("1", "2", "1"):
            bill(practice, cps, vitale, consultation(practice, situation=situation))
    assert sorted(lot.count for lot in make_lots(practice, cps)) == [1, 2]
    assert {row.state.value for row in practice.store.fse_list()} == {"IN_LOT"}

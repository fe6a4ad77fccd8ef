"""FSE in every mode through the API: signed later, on paper, cancelled, refused and made anew."""

from __future__ import annotations

from hashlib import sha256

import pytest

from gateway.api.client import ApiProblem, Client
from gateway.records.arl import Arl
from tests.gateway.api.conftest import Rig


def test_sealed_now_signed_later(rig: Rig, client: Client) -> None:
    """Desynchronised: the FSE waits for the CPS, `sign` signs it, and only then it goes into a lot."""
    number = client.bill(rig.act(mode="desynchronised"))["number"]
    assert client.sheet(number)["state"] == "AWAITING_CPS"
    assert client.close_lots() == []
    left = client.session()["sheets_left"]
    assert client.sign() == [number]
    assert client.session()["sheets_left"] == left - 1
    assert client.sheet(number)["state"] == "SIGNED"
    assert client.sign() == []
    assert [lot["count"] for lot in client.close_lots()] == [1]


@pytest.mark.parametrize(("mode", "code"), [("without-vitale", 1), ("degraded", 5)])
def test_on_paper(rig: Rig, client: Client, mode: str, code: int) -> None:
    """Without a Vitale, on an attestation: kept in its mode, with a paper twin; a secured one has none."""
    attestation = client.attestation()
    rig.reader.slot("Vitale").remove()
    number = client.bill(rig.act(mode=mode, attestation=attestation))["number"]
    assert client.sheet(number)["mode"] == code
    assert len(client.twin(number)) > 100
    with pytest.raises(ApiProblem) as refused:
        client.twin(number + 1)
    assert refused.value.status == 404


def test_cancelled_before_its_lot(rig: Rig, client: Client) -> None:
    """Cancelled once, under its key; it goes into no lot, and what is in a lot is not cancelled any more."""
    number = client.bill(rig.act())["number"]
    assert client.cancel(number, key="k")["state"] == "CANCELLED"
    assert client.cancel(number, key="k")["state"] == "CANCELLED"
    with pytest.raises(ApiProblem) as refused:
        client.cancel(number)
    assert (refused.value.status, refused.value.code) == (409, "state")
    assert client.close_lots() == []
    sent = client.bill(rig.act())["number"]
    client.close_lots()
    with pytest.raises(ApiProblem) as late:
        client.cancel(sent)
    assert late.value.status == 409
    assert client.sheet(sent)["state"] == "IN_LOT"


def refused_sheet(rig: Rig, client: Client) -> int:
    """An FSE whose mail the receiver could not open (class E: the ARL names the digest of the mail)."""
    number: int = client.bill(rig.act())["number"]
    lot = rig.practice.store.lot(rig.practice.id, client.close_lots()[0]["id"])
    client.send_lots()
    now = rig.practice.clock.now()
    arl = Arl(
        sender="0" * 14, destination="0" * 14, created=now, lot_date=lot.lot_date, lot_number=lot.lot_number,
        file_id=lot.file_id, compostage=lot.compostage, received_at=now, positive=False, invoices=lot.count,
        digest=sha256(rig.relay.taken[-1]).digest(), error_class="E", error_code="1000",
    )  # fmt: skip
    assert rig.practice.store.post_receipt(arl, b"arl", "key", rig.practice.id).outcome == "posted"
    return number


def test_refused_shown_and_made_anew(rig: Rig, client: Client) -> None:
    """A refused FSE is shown with code and remedy; made anew once under its key, it ends as RECTIFIED."""
    number = refused_sheet(rig, client)
    refused = client.refusals()["items"]
    assert [(one["number"], one["code"]) for one in refused] == [(number, "1000")]
    assert "certificate" in refused[0]["remedy"]
    receipt = client.lot(refused[0]["lot_id"])["receipts"][0]
    assert (receipt["positive"], receipt["remedy"]) == (False, refused[0]["remedy"])
    anew = client.rectify(number, key="k")
    assert anew == client.rectify(number, key="k")
    assert (anew["rectifies"], client.sheet(number)["state"]) == (number, "RECTIFIED")
    assert client.sheet(anew["number"])["rectifies"] == number
    assert client.refusals()["items"] == []
    with pytest.raises(ApiProblem) as again:
        client.rectify(number)
    assert (again.value.status, again.value.code) == (409, "state")


def test_made_anew_with_a_corrected_act(rig: Rig, client: Client) -> None:
    """The corrected care act is billed instead of the refused one; an act that is wrong changes nothing."""
    number = refused_sheet(rig, client)
    with pytest.raises(ApiProblem, match="third_party"):
        client.rectify(number, rig.act(third_party="nonsense"))
    assert client.sheet(number)["state"] == "REJECTED"
    anew = client.rectify(number, rig.act(third_party="none"))
    assert client.sheet(anew["number"])["third_party"] == "none"


def test_what_was_not_refused_is_not_made_anew(rig: Rig, client: Client) -> None:
    """An FSE that is signed, or is not there, is not rectified."""
    number = client.bill(rig.act())["number"]
    for wrong, status in ((number, 409), (number + 1, 404)):
        with pytest.raises(ApiProblem) as refused:
            client.rectify(wrong)
        assert refused.value.status == status


def test_another_practice_changes_nothing(rig: Rig, client: Client) -> None:
    """Its token cancels, rectifies, signs and prints nothing of this practice."""
    number = client.bill(rig.act())["number"]
    stranger = rig.client(rig.stranger)
    for ask, status in (
        (lambda: stranger.cancel(number), 404), (lambda: stranger.twin(number), 404),
        (lambda: stranger.rectify(number), 403), (stranger.sign, 403),
    ):  # fmt: skip
        with pytest.raises(ApiProblem) as refused:
            ask()
        assert refused.value.status == status
    assert client.sheet(number)["state"] == "SIGNED"

"""Patients of several organisms: one lot each, and what is wrong for one keeps back nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway import pipeline
from gateway.errors import InputError
from gateway.office import bill_act
from gateway.pipeline import make_lots
from tests.flows.test_without_vitale import attestation

if TYPE_CHECKING:
    from tests.flows.flow import Flow

PATIENTS = ("vitale-single", "vitale-msa", "vitale-special", "vitale-single")


def test_one_lot_for_each_organism(flow: Flow) -> None:
    """Four sheets for three organisms leave in three lots, each to its own address, and all are paid."""
    flow.unlock()
    destinations = [flow.bill(profile).destination for profile in PATIENTS]
    lots = flow.lots()
    assert {lot.destination: lot.count for lot in lots} == {
        name: destinations.count(name) for name in destinations
    }
    assert len({lot.recipient for lot in lots}) == len({lot.lot_number for lot in lots}) == 3
    assert [answer.positive for answer in flow.answers] == [True] * 3
    flow.days(5)
    assert {row.state.value for row in flow.practice.store.fse_list()} == {"PAID"}


def test_two_practitioners_share_no_lot(flow: Flow) -> None:
    """Each CPS makes the lots of its own sheets; those of the other wait for its holder."""
    flow.unlock()
    flow.bill()
    flow.unlock("cps-gp-sector2")
    flow.bill()
    assert [(lot.sender, lot.count) for lot in flow.lots()] == [("cabinet@practice.test", 1)]
    assert sorted(row.state.value for row in flow.practice.store.fse_list()) == ["ACCEPTED", "SIGNED"]
    flow.unlock()
    assert len(flow.lots()) == 2
    assert {row.state.value for row in flow.practice.store.fse_list()} == {"ACCEPTED"}


def test_one_organism_keeps_back_no_other(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lot that cannot be built is said, the lots of the other organisms are queued all the same."""
    flow.unlock()
    flow.bill("vitale-msa")
    flow.bill("vitale-single")
    build = pipeline.build_lot

    def refuse(header, fses):  # type: ignore[no-untyped-def]
        if fses[0].destination.key.startswith("02"):
            raise InputError("the lot of this organism cannot be built")
        return build(header, fses)

    monkeypatch.setattr(pipeline, "build_lot", refuse)
    with pytest.raises(InputError, match="cannot be built"):
        make_lots(flow.practice, flow.desk.cps)
    assert [lot.destination for lot in flow.practice.store.lot_list()] == ["01-999-349"]
    monkeypatch.undo()
    assert [lot.recipient[:2] for lot in make_lots(flow.practice, flow.desk.cps)] == ["02"]


def test_small_lots_when_the_practice_wants_them(flow: Flow) -> None:
    """`lot_size` 2: five sheets leave in three lots with numbers of their own, in order."""
    flow.practice = replace(flow.practice, lot_size=2)
    flow.unlock()
    for _ in range(5):
        flow.bill()
    lots = flow.lots()
    assert sorted((lot.lot_number, lot.count) for lot in lots) == [(1, 2), (2, 2), (3, 1)]


@pytest.mark.parametrize("centre", ["0601", "0617"])
def test_a_student_before_and_after(flow: Flow, centre: str) -> None:
    """Care of August 2019 goes to the caisse behind a students' centre; later care needs a newer card."""
    flow.unlock()
    paper = attestation(ame=False, attestation={"start": "2019-01-01", "end": "2019-12-31"})
    paper["insured"] |= {"centre": centre}
    paper["beneficiary"][0] |= {"rights": [{"start": "2019-01-01", "end": "2019-12-31"}]}
    act = {"acts": [{"code": "G"}], "attestation": paper}
    before = bill_act(flow.practice, flow.desk, act | {"date": "2019-08-31"})
    assert (before.destination, before.price.amo_cents) == ("01-999-349", 1750)
    with pytest.raises(InputError, match=f"^centre: {centre} .*have the card updated"):
        bill_act(flow.practice, flow.desk, act | {"date": "2019-09-01"})
    paper["insured"] |= {"centre": "0349"}
    after = bill_act(flow.practice, flow.desk, act | {"date": "2019-09-01"})
    assert (after.destination, after.price.amo_cents) == ("01-999-349", 1750)
    assert len(flow.practice.store.fse_list()) == 2

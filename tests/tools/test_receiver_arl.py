"""Every check has its code, record, position and text; an ARL can be read by people and by programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.lots.fse import Fse
from gateway.lots.organism import Complementary
from gateway.lots.refusal import CODES
from gateway.pki.opposition import Opposition, OppositionList, encode_base
from gateway.records.arl import Arl, parse_arl
from tools.receiver import codes
from tools.receiver.faults import FAULTS
from tools.receiver.listing import arls
from tools.receiver.reading import arl_json, arl_lines

if TYPE_CHECKING:
    from conftest import Bench, Practice

OWN = "2850199349101"


def answer(bench: Bench, *fses: Fse) -> Arl:
    """The ARL of a lot of these invoices."""
    return parse_arl(bench.handle(bench.practice.seal(bench.practice.lot(*fses)).message).arl)


Forge = Callable[["Practice"], Fse]


def forged(**changes: dict[str, object]) -> Forge:
    """Invoice 6 with these fields changed and signed again: what faulty software would send."""

    def make(practice: Practice) -> Fse:
        return practice.forged(practice.fse(6), **changes)

    return make


CHECKS: dict[str, tuple[Forge, str, int, int]] = {
    "key of the insured": (lambda p: p.signed(wrong_key(p), with_seal=True), "F2006", 3, 25),
    "key of the beneficiary": (forged(r2S={"own_nir": OWN, "own_key": "01"}), "F2006", 4, 63),
    "date of care": (forged(r2={"date": "261332"}), "F2007", 3, 80),
    "birth date": (forged(r2={"birth_date": "800230"}), "F2007", 3, 96),
    "date of an act": (forged(r4={"date": "260431"}), "F2007", 5, 70),
    "no birth date": (forged(r2={"birth_date": ""}), "F2007", 3, 96),
    "organism of another caisse": (forged(r2={"caisse": "996"}), "L4011", 3, 71),
    "unknown régime": (forged(r2={"regime": "77"}), "F2003", 3, 49),
}


def wrong_key(practice: Practice) -> bytes:
    """The records that cards sign, each with the same wrong key."""
    records = practice.fse(6).records
    body = [records[at : at + 128] for at in range(0, len(records), 128) if records[at + 10] not in b"VPK"]
    return b"".join(r[:24] + b"01" + r[26:] if r[:1] in b"245" else r for r in body)


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_names_code_record_position_and_text(bench: Bench, name: str) -> None:
    """A fault in one invoice of two: its own code and place, a text, nobody's number; the twin passes."""
    forge, code, record, position = CHECKS[name]
    practice = bench.practice
    good = practice.fse(5)
    bad = forge(practice)
    arl = answer(bench, *(fse for fse in (bad, good) if fse.destination == bad.destination))
    [reject] = arl.rejects
    assert (arl.positive, arl.error_class + arl.error_code) == (False, code)
    assert (reject.error_class + reject.code, reject.record, reject.position) == (code, record, position)
    assert reject.invoice == 6
    assert reject.text
    assert good.view().nir not in reject.text
    assert bench.rows("SELECT count(*) FROM claim") == [(0,)]
    assert answer(bench, practice.fse(6), good).positive


def test_all_faults_of_a_lot_are_told(bench: Bench) -> None:
    """Two bad invoices of three: one reason each, ranked, with their own records; repaired they all pass."""
    practice = bench.practice
    bad = [practice.forged(practice.fse(n), r2={"date": "261332"}) for n in (1, 3)]
    arl = answer(bench, bad[0], practice.fse(2), bad[1])
    size = practice.fse(2).count
    assert [(r.invoice, r.record) for r in arl.rejects] == [(1, 3), (3, 3 + 2 * size)]
    assert answer(bench, *(practice.fse(n) for n in (1, 2, 3))).positive


def test_opposed_card_of_the_professional(build: Callable[..., Bench], practice: Practice, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A CPS on the list makes the lot negative at its place in 7H; a list without it changes nothing."""
    cards = [Opposition("99990000000000000001", practice.now.date(), "V"), None]
    fse = practice.forged(practice.fse(1), r7H={"cps_serial": "99990000000000000001"})
    for name, card in zip(("with", "without"), cards, strict=True):
        path = tmp_path / name
        OppositionList.parse(encode_base(1, practice.now, [card] if card else [])).save(path)
        arl = answer(build(opposition=path), fse)
        found = [(r.error_class + r.code, r.record, r.position) for r in arl.rejects]
        assert found == ([("V6002", 7, 78)] if card else [])


def test_limits_of_file_and_lot(bench: Bench) -> None:
    """One record more than a file or a lot may hold has its own code; a bomb stays the opaque answer."""
    practice = bench.practice
    lot = practice.lot(practice.fse(1))
    records = [lot.file[at : at + 128] for at in range(0, len(lot.file), 128)]
    long = b"".join(records[:1] + records[2:3] * 998 + records[-1:])
    for file, code, record in ((long, "L4007", 1000), (bytes(3_000_000), "E1000", 0)):
        arl = parse_arl(bench.handle(practice.seal(replace(lot, file=file)).message).arl)
        assert (arl.error_class + arl.error_code, arl.rejects[0].record) == (code, record)
    assert bench.handle(practice.seal(lot).message).positive


def test_numbers_that_were_used(bench: Bench) -> None:
    """File, lot and mail numbers that belong to another lot: three codes, an alarm each, nothing kept."""
    practice = bench.practice
    first, fresh = practice.numbers(1), practice.numbers(2)
    assert bench.handle(practice.seal(practice.lot(practice.fse(1), numbers=first)).message).positive
    again = {
        "3003": first,
        "3004": replace(first, file_id=fresh.file_id, compostage=fresh.compostage),
        "3005": replace(fresh, compostage=first.compostage),
    }
    for code, numbers in again.items():
        got = bench.handle(practice.seal(practice.lot(practice.fse(2), numbers=numbers)).message)
        assert (got.positive, got.error_class, got.code, got.alarm) == (False, "D", code, True)
    assert bench.handle(practice.seal(practice.lot(practice.fse(2), numbers=fresh)).message).positive
    assert bench.rows("SELECT number FROM claim ORDER BY number") == [(1,), (2,)]


def test_an_arl_for_people_and_for_programs(bench: Bench) -> None:
    """Words and JSON say the same: code, its meaning, invoice, record, position; a positive one is short."""
    practice = bench.practice
    lot = practice.lot(practice.forged(practice.fse(6), r2={"date": "261332"}))
    bench.handle(practice.seal(lot).message)
    [arl] = arls(bench.parts.ledger, lot.header.numbers.compostage)
    head, line = arl_lines(arl)
    assert "refused F2007 (a date is not a day of the calendar)" in head
    assert line.strip().startswith("F2007 invoice 6, record 3, position 80: ")
    said = json.loads(json.dumps(arl_json(arl)))
    assert said["error"] == {
        "class": "F", "class_means": "format of a record", "code": "2007",
        "means": "a date is not a day of the calendar",
    }  # fmt: skip
    [reason] = said["reasons"]
    assert (reason["invoice"], reason["record"], reason["position"]) == (6, 3, 80)
    assert said["lot"]["number"] == lot.header.numbers.lot_number
    good = practice.lot(practice.fse(6))
    bench.handle(practice.seal(good).message)
    [arl] = arls(bench.parts.ledger, good.header.numbers.compostage)
    assert [line.partition(": ")[2][:21] for line in arl_lines(arl)] == ["accepted, 1 invoices,"]
    assert arl_json(arl)["error"] is None
    with pytest.raises(InputError, match="no ARL"):
        arls(bench.parts.ledger, "0" * 19)


def test_every_code_has_one_meaning() -> None:
    """The dictionary: four digits, the first of them one class, no two codes with the same words."""
    classes = {code[0]: error_class for code, (error_class, _) in CODES.items()}
    assert all(classes[code[0]] == error_class for code, (error_class, _) in CODES.items())
    assert len({words for _, words in CODES.values()}) == len(CODES)


@pytest.mark.parametrize(
    ("mark", "rows"),
    [
        ("arl codes", {f"`{error_class}` {code}": words for code, (error_class, words) in CODES.items()}),
        ("return codes", {f"`{code[:4]} {code[4:]}`": text for code, text in codes.TEXTS.items()}),
        ("faults", {f"`{name}`": what for name, what in FAULTS.items()}),
    ],
)
def test_the_readme_lists_them_all(mark: str, rows: dict[str, str]) -> None:
    """The tables of the README are the code's own: every code, every fault, word by word."""
    text = (Path(__file__).parents[2] / "tools" / "README.md").read_text(encoding="utf-8")
    table = text.split(f"<!-- {mark} -->")[1].strip().splitlines()[2:]
    assert dict(line.strip("| ").split(" | ", 1) for line in table) == rows


def test_outer_description_must_fit(bench: Bench) -> None:
    """A lot of FSE that is announced as DRE is a damaged mail: the opaque answer; as FSE it passes."""
    practice = bench.practice
    lot = practice.lot(practice.fse(1))
    compostage = lot.header.numbers.compostage
    raw = bench.wrap(lot.file, compostage=compostage, description="SESAM/DRE/Z")
    assert bench.handle(raw).error_class == "E"
    assert bench.handle(bench.wrap(lot.file, compostage=compostage)).positive


def test_a_demand_asks_one_share(bench: Bench) -> None:
    """A DRE with an AMO amount, or without a complementary one, is refused at its total; others pass."""
    practice = bench.practice
    dre = practice.dre(1, complementary="0099999996")
    assert isinstance(dre.destination, Complementary)
    base = dre.view().base_cents
    wrong = {
        66: {"r4": {"amo": 2100}, "r5": {"fees_amo": 2100, "insured_share": base - 2100}},
        90: {"r4": {"amc": 0}, "r5": {"fees_amc": 0}},
    }
    for position, changes in wrong.items():
        with pytest.raises(Exception, match="complementary share and nothing else") as caught:
            practice.forged(dre, **changes)  # type: ignore[arg-type]
        assert (caught.value.error_code, caught.value.position) == ("4012", position)  # type: ignore[attr-defined]
    assert bench.handle(practice.seal(practice.lot(dre)).message).positive


def test_the_command_line_reads_an_arl(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """`arl` prints the words, with --json one object a line; an unknown mail is one sentence and code 1."""
    from tools.receiver.__main__ import main

    practice = bench.practice
    lot = practice.lot(practice.forged(practice.fse(6), r2={"date": "261332"}))
    bench.handle(practice.seal(lot).message)
    state = str(next(bench.maildir.parent.glob("state0")))
    assert main(["arl", "--state", state, lot.header.numbers.compostage]) == 0
    assert "record 3, position 80" in capsys.readouterr().out
    assert main(["arl", "--state", state, "--json", lot.header.numbers.compostage]) == 0
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "2007"
    assert main(["arl", "--state", state, "0" * 19]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_nobody_is_answered_in_the_name_of_nobody(bench: Bench) -> None:
    """A file for an insurer of ten zeros, or for letters: refused in the national test organism's name."""
    practice = bench.practice
    lot = practice.lot(practice.fse(1))
    for digits in (b"1000" + bytes(b"0" * 10), b"0000019993X9AB"):
        file = lot.file[:27] + digits + lot.file[41:]
        arl = parse_arl(bench.handle(practice.seal(replace(lot, file=file)).message).arl)
        assert (arl.positive, arl.sender) == (False, "00000001999996")
    assert parse_arl(bench.handle(practice.seal(lot).message).arl).sender == lot.header.destination.number


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_file_makes_the_receiver_fall_over(bench: Bench, data: st.DataObject) -> None:
    """A well-sealed mail with any changed file of FSE or DRE inside gets an answer, never a second claim."""
    practice = bench.practice
    fse = practice.dre(1, complementary="0099999996") if data.draw(st.booleans()) else practice.fse(1)
    lot = practice.lot(fse, numbers=practice.numbers(5))
    at = data.draw(st.integers(0, len(lot.file)))
    cut = data.draw(st.sampled_from((0, 1, 14, 128, 256)))
    file = lot.file[:at] + data.draw(st.binary(max_size=14)) + lot.file[at + cut :]
    answer = bench.handle(practice.seal(replace(lot, file=file)).message)
    assert answer.arl
    assert file == lot.file or not answer.positive
    assert bench.rows("SELECT count(*) FROM claim")[0][0] <= 1  # type: ignore[operator]

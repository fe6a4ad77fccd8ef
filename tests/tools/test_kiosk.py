"""The update kiosk: new rights from the base, one sentence for what it refuses, no torn image."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from card.applets.rights_update import PUT_DATA, RIGHTS
from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU
from card.kernel.storage import FileStorage, MemoryStorage
from card.layout.rights import FID_AMO_RIGHTS
from card.personalise import open_card, read_image
from gateway.desk import Desk
from gateway.errors import CardRefusal
from reader.emulated import EmulatedReader
from tools.bench import TEST_PIN, Bench
from tools.kiosk import Base, KioskKey, main, update_card
from tools.portal.register import Register, Seal
from tools.portal.state import OpposedCard, State
from tools.receiver.config import ReceiverConfig
from tools.receiver.insured import InsuredBase
from tools.receiver.ledger import Ledger
from tools.receiver.population import known_insured
from tools.receiver.service import assemble

WHO, DOCTOR = "vitale-single", "cps-gp-sector1"
NEW = ((date(2026, 1, 1), date(2035, 6, 30)),)


class PowerCutError(Exception):
    """The card is out of the slot."""


class CutStorage(MemoryStorage):
    """Fails at the `cut`-th write, which leaves half of its bytes behind."""

    def __init__(self, initial: bytes, cut: int = 0) -> None:
        super().__init__(initial)
        self.cut, self.calls = cut, 0

    def append(self, data: bytes) -> None:
        self._count(lambda: super(CutStorage, self).append(data[: len(data) // 2]))
        super().append(data)

    def replace(self, data: bytes) -> None:
        self._count(lambda: None)
        super().replace(data)

    def sync(self) -> None:
        self._count(lambda: None)

    def _count(self, last) -> None:  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.cut and self.calls >= self.cut:
            if self.calls == self.cut:
                last()
            raise PowerCutError


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Cards and an authority."""
    bench = Bench(tmp_path_factory.mktemp("kiosk"))
    bench.make_cards([WHO, DOCTOR])
    state = bench.directory("receiver")
    assemble(ReceiverConfig(bench.directory("authority"), state, bench.directory("mailbox"))).ledger.close()
    return bench


@pytest.fixture
def base(world: Bench, tmp_path: Path) -> Base:
    """The receiver's base, in which that person has new rights and a long illness."""
    register = Register(Seal.beside(world.directory("receiver")))
    nir = next(one for one in register if one.name == WHO).nir
    everybody = [
        replace(one, rights=NEW, exemptions=frozenset({"ald"})) if one.nir == nir else one
        for family in register
        for one in known_insured().of_family(family.nir)
    ]
    return Base(register, InsuredBase(everybody), State(Ledger(tmp_path / "ledger.db")))


@pytest.fixture(scope="module")
def key(world: Bench) -> KioskKey:
    """A kiosk of that authority."""
    return KioskKey(world.authority.issuer, world.clock.now())


def image(world: Bench, name: str = WHO) -> bytes:
    return FileStorage(world.card_file(name)).read()


def rights_of(content: bytes) -> str:
    """What the image says, as text."""
    return str(read_image(MemoryStorage(content)))


def in_slot(storage: MemoryStorage) -> EmulatedReader:
    reader = EmulatedReader()
    reader.insert("Vitale", open_card(storage))
    return reader


def test_a_card_gets_the_rights_of_the_base_and_the_gateway_reads_them(
    world: Bench, base: Base, key: KioskKey
) -> None:
    """Before: the old period; after: the new one and the long illness, also for a CPS; again: no change."""
    storage = MemoryStorage(image(world))
    with in_slot(storage) as reader:
        done = update_card(reader.slot("Vitale").connect(), base, key)
        assert done.before.beneficiaries[0].rights[0].end != date(2035, 6, 30)
        assert done.after.beneficiaries[0].rights[0].end == date(2035, 6, 30)
        assert done.after.beneficiaries[0].has_ald(date(2026, 6, 1))
        again = update_card(reader.slot("Vitale").connect(), base, key)
        assert again.before == again.after == done.after
        reader.insert("CPS", world.card(DOCTOR))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        with desk.vitale() as vitale:
            vitale.authenticate(cps)
            assert vitale.read_rights() == done.after
    assert not any(name in " ".join(done.lines()) for name in ("TEST", base.register.seal.code(WHO)))


def test_what_gets_no_rights_is_refused_in_one_sentence(world: Bench, base: Base, key: KioskKey) -> None:
    """A CPS, an opposed card and a card unknown to the base: one sentence, and the image is as it was."""
    with EmulatedReader() as reader:
        reader.insert("Vitale", world.card(DOCTOR))
        with pytest.raises(CardRefusal) as refused:
            update_card(reader.slot("Vitale").connect(), base, key)
    assert refused.value.code == "wrong-card"
    storage = MemoryStorage(image(world))
    serial = next(one for one in base.register if one.name == WHO).profile.serial
    nobody = replace(base, insured=InsuredBase([]))
    with in_slot(storage) as reader, pytest.raises(CardRefusal) as refused:
        update_card(reader.slot("Vitale").connect(), nobody, key)
    assert refused.value.code == "card-unknown"
    base.state.oppose(OpposedCard(serial, date(2026, 1, 2), "V"))
    with in_slot(storage) as reader, pytest.raises(CardRefusal) as refused:
        update_card(reader.slot("Vitale").connect(), base, key)
    assert refused.value.code == "card-opposed"
    assert storage.read() == image(world)


def test_a_cut_at_any_write_leaves_the_old_rights_or_the_new_ones(
    world: Bench, base: Base, key: KioskKey
) -> None:
    """Cut at each write of the update, half of it done: the image opens, with the old or the new rights."""
    whole = CutStorage(image(world))
    with in_slot(whole) as reader:
        update_card(reader.slot("Vitale").connect(), base, key)
    allowed = {rights_of(image(world)), rights_of(whole.read())}
    assert len(allowed) == 2
    seen = set()
    for cut in range(1, whole.calls + 1):
        storage = CutStorage(image(world), cut)
        with in_slot(storage) as reader, pytest.raises(Exception):  # noqa: B017 - the reader sees a dead card
            update_card(reader.slot("Vitale").connect(), base, key)
        seen.add(rights_of(storage.read()))
    assert seen <= allowed


def test_only_a_kiosk_may_write_rights(world: Bench, base: Base, key: KioskKey) -> None:
    """6982 with nothing proved, after a CPS, and once the proof is used up; a kiosk's first one is 9000."""
    put = CommandAPDU(
        0, PUT_DATA, RIGHTS >> 8, RIGHTS & 0xFF, tlv.encode(0x53, FID_AMO_RIGHTS.to_bytes(2, "big"))
    )
    with in_slot(MemoryStorage(image(world))) as reader:
        reader.insert("CPS", world.card(DOCTOR))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        with desk.vitale() as vitale:
            assert vitale.connection.transmit(put).sw == 0x6982
            vitale.authenticate(cps)
            assert vitale.connection.transmit(put).sw == 0x6982
            transmit = vitale.connection.transmit
            assert transmit(CommandAPDU(0, 0x2A, 0x00, 0xAE, key.authentication_certificate)).sw == 0x9000
            assert transmit(put).sw == 0x6982  # a certificate that anybody can copy proves nothing
            vitale.authenticate(key)  # type: ignore[arg-type]
            wrong = (b"", b"\x53\x01\x20", b"\x53\x02\x2f\x02", b"\x54\x02\x20\x12", b"\x53\x05\x20")
            answers = [int(transmit(replace(put, data=data)).sw) for data in wrong]
            assert answers == [0x6A80, 0x6A80, 0x6A82, 0x6A80, 0x6A80]
            assert transmit(put).sw == 0x9000
            assert transmit(put).sw == 0x6982


def test_the_command_line_shows_before_and_after(
    world: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image on the disk is updated from the overrides; an image of a CPS is refused with exit code 1."""
    copy = tmp_path / "mine.card"
    copy.write_bytes(image(world))
    nir = next(one for one in Register(Seal.beside(world.directory("receiver"))) if one.name == WHO).nir
    overrides = tmp_path / "overrides.toml"
    overrides.write_text(f'[[insured]]\nnir = "{nir}"\nrights = [[2026-01-01, 2035-06-30]]\n')
    common = ["--state", str(world.directory("receiver")), "--authority", str(world.directory("authority"))]
    assert main([str(copy), *common, "--overrides", str(overrides)]) == 0
    said = capsys.readouterr().out
    assert "after   person 1: rights 2026-01-01 to 2035-06-30" in said
    assert "the card is up to date" in said
    assert main([str(world.card_file(DOCTOR)), *common]) == 1
    assert "holds a CPS" in capsys.readouterr().err


def test_the_cards_that_decide_the_outcome_are_in_the_register(base: Base) -> None:
    """The shipped stolen card is refused as stolen without any list; a plain one is served."""
    profiles = {one.name: one.profile for one in base.register}
    with pytest.raises(CardRefusal) as refused:
        replace(base, insured=known_insured()).profile(profiles["vitale-stolen"].serial)
    assert refused.value.code == "card-opposed"
    assert replace(base, insured=known_insured()).profile(profiles[WHO].serial).people

"""cardpeek, unmodified, with its own vitale_2.lua: what it shows of a Vitale, read from the view it saves."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from card.personalise import load_profile
from card.profile import InsuredProfile
from tests.interop.bench_pcscd import needs
from tests.interop.conftest import CardFile
from tests.interop.desk import VPCD, Desk, Put

pytestmark = pytest.mark.interop
SCRIPT = "vitale_2.lua"
FREE = {"IDENTITE", "VALIDITE", "CERTIF", "NIR", "DIR", "PAN", "POINTERS"}
PROTECTED = {"ASSURE", "BENEF", "DROITS", "COUVERT", "MUTUELLE", "AMC"}
SEVERAL = "vitale-family"


@dataclass
class Node:
    """One line of cardpeek's tree: its attributes and what is below it."""

    shown: dict[str, str]
    below: list[Node] = field(default_factory=list)

    @classmethod
    def of(cls, element: ET.Element) -> Node:
        shown = {attr.get("name", ""): attr.text or "" for attr in element.findall("attr")}
        return cls(shown, [cls.of(child) for child in element.findall("node")])

    def every(self) -> Iterator[Node]:
        yield self
        for node in self.below:
            yield from node.every()

    def values(self, label: str) -> list[str]:
        """What is shown under this label, in order: bytes as text."""
        return [node.text() for node in self.every() if node.shown.get("label") == label]

    def text(self) -> str:
        """`8:54455354` is bytes; anything else is text already."""
        value = self.shown.get("val", "")
        found = re.fullmatch(r"8:((?:[0-9A-F]{2})*)", value)
        return bytes.fromhex(found[1]).decode("latin-1") if found else value


class Cardpeek:
    """The program with a home of its own, without a screen and without questions."""

    def __init__(self, desk: Desk) -> None:
        self._pcscd, self._desk = desk.pcscd, desk

    def _run(self, lua: str, reader: str, answers: bytes) -> str:
        # At the end of its input it asks for ever: what it may write is bounded.
        bound = ("prlimit", "--fsize=20000000", "sh", "-c", 'exec "$@" >cardpeek.out 2>&1', "sh")
        command = ("xvfb-run", "-a", "cardpeek", "--console", "-r", reader, "-e", lua)
        self._pcscd.run(*bound, *command, stdin=answers, timeout=50)
        return (self._pcscd.folder / "cardpeek.out").read_text(errors="replace")[-3000:]

    def read(self, slot: int) -> Node:
        """The tree that its script for the Vitale builds for the card in this slot."""
        reader = f"pcsc://{self._desk.name(slot)}"
        if not (self._pcscd.home / ".cardpeek").exists():  # it unpacks its scripts, and says so
            self._run("ui.exit()", reader, b"1\n1\n1\n")
        view = self._pcscd.folder / "view.xml"
        lua = f"dofile('{SCRIPT}') ui.save_view('{view}') ui.exit()"
        said = self._run(lua, reader, b"")
        assert view.exists(), said
        # Its XML declaration says `type` where XML wants `encoding`.
        content = view.read_text(encoding="utf-8").partition("?>")[2]
        return Node.of(ET.fromstring(content).findall("node")[0])


def files(tree: Node) -> dict[str, Node]:
    """The files by name; cardpeek shows the eight characters of the index, blanks included."""
    shown = (node for node in tree.every() if node.shown.get("classname") == "file")
    return {node.shown["label"].strip(): node for node in shown}


def refused(file: Node) -> list[str]:
    return [node.shown["alt"] for node in file.every() if "not accessible" in node.shown.get("alt", "")]


@pytest.fixture(scope="module")
def vitale() -> InsuredProfile:
    """The profile with several holders."""
    profile = load_profile(SEVERAL)
    assert isinstance(profile, InsuredProfile)
    assert len(profile.people) >= 3
    return profile


@pytest.fixture(scope="module", params=["gemcoresimpro2", VPCD])
def tree(request: pytest.FixtureRequest, put_for_all: Put, card_file: CardFile) -> Node:
    """What cardpeek shows of that card."""
    needs("cardpeek", "xvfb-run", "prlimit")
    desk = put_for_all(card_file(SEVERAL), card_file("cps-gp-sector1"), serial=request.param)
    return Cardpeek(desk).read(0)


def test_every_holder_is_shown(tree: Node, vitale: InsuredProfile) -> None:
    """Names, first names and birth dates of everybody on the card, in order."""
    people = vitale.people
    assert tree.values("Nom") == [one.name for one in people]
    assert tree.values("Prénom") == [one.first_name for one in people]
    assert tree.values("Date de naissance") == [f"{one.birth_date:%Y%m%d}" for one in people]


def test_every_number_is_shown(tree: Node, vitale: InsuredProfile) -> None:
    """The NIR of each holder, own or of the insured, with its key: fifteen digits."""
    numbers = tree.values("Numéro de sécurité sociale")
    assert [number[:13] for number in numbers] == [(one.nir or vitale.nir)[:13] for one in vitale.people]
    assert {len(number) for number in numbers} == {15}


def test_free_files_have_content_and_protected_ones_say_so(tree: Node) -> None:
    """Every file of the index is there; those that want a CPS say 6982, and no other does."""
    shown = files(tree)
    assert set(shown) == FREE | PROTECTED
    for name in FREE:
        assert refused(shown[name]) == [], name
    for name in PROTECTED:
        assert refused(shown[name]) == ["data not accessible (code 6982)"], name


def test_the_answer_to_reset_is_known(tree: Node) -> None:
    """cardpeek's own list of ATRs knows the card."""
    assert tree.values("Possibly identified card") == ["Vitale 2 (french health card)"]


def test_no_vitale_in_a_cps(put: Put, card_file: CardFile) -> None:
    """The twin: on a CPS the same script finds no application VITALE and shows no person."""
    needs("cardpeek", "xvfb-run", "prlimit")
    desk = put(card_file("vitale-single"), card_file("cps-gp-sector1"))
    tree = Cardpeek(desk).read(1)
    assert files(tree) == {}
    assert tree.values("Nom") == []

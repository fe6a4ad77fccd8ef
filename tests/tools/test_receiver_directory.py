"""Who is answered and who is known: the practice directory, and the people of the shipped profiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from card.personalise import list_profiles, load_profile
from card.profile import CpsProfile, InsuredProfile
from gateway.errors import InputError
from gateway.exchange.mailbox import Maildir
from tools.receiver.directory import PracticeDirectory
from tools.receiver.population import known_insured, known_practitioners

if TYPE_CHECKING:
    from conftest import Bench, Practice

SENDER = "00000991000009"


def entry(practice: Practice, sender: str, maildir: str) -> str:
    """One entry of a directory file, with the certificate of this practice."""
    certificate = practice.authority.directory / "practices" / "practice.cert.pem"
    practice.authority.practice_keys("practice")
    return f'[[practice]]\nsender = "{sender}"\ncertificate = "{certificate}"\nmaildir = "{maildir}"\n'


def test_each_practice_has_its_mailbox(
    build: Callable[..., Bench], practice: Practice, tmp_path: Path
) -> None:
    """A sender named in the directory file is answered in its own mailbox, another one in the default."""
    path = tmp_path / "directory.toml"
    path.write_text(entry(practice, SENDER, "own") + entry(practice, "00000991000017", "other"))
    named = build(directory=path)
    answer = named.handle(named.practice.message(1))
    assert named.deliver() == []
    assert [raw for _, raw in Maildir(tmp_path / "own").pending()] == [answer.message]
    path.write_text(entry(practice, "00000991000017", "other"))
    default = build(directory=path)
    default.handle(default.practice.message(1))
    assert len(default.deliver()) == 1


def test_a_sender_without_a_place_is_kept_and_not_answered(tmp_path: Path, practice: Practice) -> None:
    """Without entry and default there is nobody to seal to; a known sender has both."""
    path = tmp_path / "directory.toml"
    path.write_text(entry(practice, SENDER, "own"))
    directory = PracticeDirectory.load(path)
    trust = practice.authority.trust()
    assert directory.certificate("00000991000017", trust, practice.now) is None
    assert directory.mailbox("00000991000017") is None
    assert directory.certificate(SENDER, trust, practice.now) is not None


@pytest.mark.parametrize(
    "text", ["[[practice]]\nsender = 'x'\n", "not toml", "[[practice]]\nmaildir = 'm'\n"]
)
def test_a_wrong_directory_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    """The sentence names the file."""
    path = tmp_path / "directory.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"directory\.toml"):
        PracticeDirectory.load(path)


def test_everybody_on_a_shipped_card_is_known() -> None:
    """The caisse knows each beneficiary with the card's rights, and each practitioner's billing number."""
    base, practitioners = known_insured(), known_practitioners()
    for profile in map(load_profile, list_profiles()):
        if isinstance(profile, InsuredProfile):
            for person in profile.people:
                found = base.find(profile.nir[:13], f"{person.birth_date:%y%m%d}")
                assert found is not None
                assert [found.has_rights(period.start) for period in person.rights] == [True] * len(
                    person.rights
                )
                assert ("ald" in found.exemptions) == any(cover.ald for cover in person.coverage)
                assert ("css" in found.exemptions) == (person.css is not None)
        elif isinstance(profile, CpsProfile):
            for situation in profile.situations:
                assert practitioners[situation.billing_number][0].specialty == situation.group.get(
                    "specialty"
                )


def test_one_more_profile_can_be_known(tmp_path: Path) -> None:
    """A family of one's own is added from its profile file; a missing file is refused by name."""
    source = next(name for name in list_profiles() if name == "vitale-single")
    text = (Path(__file__).parents[2] / "card" / "profiles" / f"{source}.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("birth_date = ", "birth_date = 1971-01-01 # "))
    assert len(known_insured([str(mine)])) == len(known_insured()) + 1
    with pytest.raises(InputError, match="nowhere"):
        known_insured(["nowhere.toml"])

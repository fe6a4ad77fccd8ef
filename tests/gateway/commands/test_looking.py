"""What people and programs see of the store from a command line: lists, one item, JSON, another gateway."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.commands.table import euros, laid_out
from tests.gateway.store.line import PRACTICE, Line, payment, raw_of
from tools.bench import Bench


class Screen:
    """Runs one command and keeps what it printed."""

    def __init__(self, settings: Path, captured: pytest.CaptureFixture[str]) -> None:
        self._settings, self._captured = settings, captured
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code = main([*words, "--config", str(self._settings)])
        self.out, self.err = self._captured.readouterr()
        return code


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with its certificates."""
    root = tmp_path_factory.mktemp("commands")
    Bench(root).write_settings(9)
    return root


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A store with a paid sheet, a refused one, one in a parked lot and one that waits."""
    made = Line(tmp_path)
    paid, refused, parked = (made.lot() for _ in range(3))
    for sealed in (paid, refused):
        made.send(sealed)
        receipt = made.arl(sealed)
        made.store.post_receipt(receipt, raw_of(receipt), f"arl {sealed.id}", PRACTICE)
    no = {"paid": False, "amo_cents": 0, "code": "0250 051", "text": "DROITS FERMES"}
    for name, said in (("paid", payment(1, paid)), ("refused", payment(2, refused, **no))):
        made.store.post_payment([said], name.encode(), name, PRACTICE)
    made.store.park(parked.id, "the relay refused it")
    made.keep()
    return made


@pytest.fixture
def screen(line: Line, authority: Path, capsys: pytest.CaptureFixture[str]) -> Screen:
    """The command line over that store, which nobody else has open."""
    line.store.close()
    text = (authority / "vitale-gateway.toml").read_text(encoding="utf-8")
    text = text.replace("sqlite:///gateway.db", f"sqlite:///{line.root / 'gateway.db'}")
    text = text.replace('id = "demo"', f'id = "{PRACTICE}"')
    settings = authority / f"{line.root.name}.toml"
    settings.write_text(text, encoding="utf-8")
    return Screen(settings, capsys)


def test_sheets(screen: Screen) -> None:
    """fse: a line for each sheet with its state, amounts and reason, newest first."""
    assert screen("fse") == 0
    headings, *lines = screen.out.splitlines()
    assert headings.split()[:3] == ["FSE", "made", "acts"]
    assert [line.split()[0] for line in lines] == ["4", "3", "2", "1"]
    assert "PAYMENT_REJECTED" in lines[2]
    assert "30.00" in lines[0]


def test_sheets_in_one_state(screen: Screen) -> None:
    """fse --state: only those; --limit: no more than that; a state that does not exist is wrong usage."""
    assert screen("fse", "--state", "PAID", "--json") == 0
    assert [row["number"] for row in json.loads(screen.out)["fse"]] == [1]
    assert screen("fse", "--limit", "2", "--json") == 0
    assert [row["number"] for row in json.loads(screen.out)["fse"]] == [4, 3]
    for wrong in (["--state", "LOST"], ["--limit", "0"], ["--limit", "-1"], ["--limit", "x"]):
        with pytest.raises(SystemExit) as ended:
            screen("fse", *wrong)
        assert ended.value.code == 2
    assert screen("fse", "--state", "CANCELLED", "--state", "RECTIFIED") == 0
    assert screen.out.strip() == "no FSE is CANCELLED or RECTIFIED now"


def test_one_sheet(screen: Screen) -> None:
    """fse NUMBER: where it stands, its history and what was paid; one that is not there is refused."""
    assert screen("fse", "2") == 0
    assert "PAYMENT_REJECTED" in screen.out
    assert "0250 051" in screen.out
    assert screen("fse", "2", "--json") == 0
    whole = json.loads(screen.out)
    assert [line["after"] for line in whole["history"] if line["what"] == "fse"][-1] == "PAYMENT_REJECTED"
    assert whole["payments"][0]["text"] == "DROITS FERMES"
    assert (screen("fse", "99"), screen.err.count("\n")) == (1, 1)
    assert "FSE 99 is not in the store" in screen.err


def test_lots(screen: Screen) -> None:
    """lots, and one of them with its sheets and ARL; the parked one says why."""
    assert screen("lots", "--json") == 0
    rows = json.loads(screen.out)["lots"]
    assert [row["state"] for row in rows] == ["PARKED", "ACKNOWLEDGED", "ACKNOWLEDGED"]
    assert "message" not in rows[0]
    assert screen("lots") == 0
    assert "the relay refused it" in screen.out
    assert screen("lots", rows[2]["id"]) == 0
    assert "positive" in screen.out
    assert screen("lots", rows[2]["id"], "--json") == 0
    assert json.loads(screen.out)["fse"] == [1]
    assert screen("lots", "nothing") == 1


def test_payments(screen: Screen) -> None:
    """payments: what was paid, what was refused and what to do about it."""
    assert screen("payments") == 0
    assert "REFUSED" in screen.out
    assert "have the Vitale updated" in screen.out
    assert screen("payments", "--json") == 0
    assert {row["paid"] for row in json.loads(screen.out)["payments"]} == {True, False}


def test_several_practices(screen: Screen) -> None:
    """Where there are several, the practice has to be named, and sees nothing of the other's."""
    settings = screen._settings
    text = settings.read_text("utf-8").replace("[practice]", "[[practice]]")
    text = text.replace("\n[reader]", f'\n[reader]\npractice = "{PRACTICE}"', 1)
    own = text[text.index("[[practice]]") : text.index("[reader]")]
    settings.write_text(f"{text}\n{own.replace(PRACTICE, 'elsewhere')}", encoding="utf-8")
    for command, nothing in (("fse", "no FSE is kept yet"), ("lots", "no lot is closed yet")):
        assert screen(command) == 1
        assert "choose one with --practice (cabinet, elsewhere)" in screen.err
        assert screen(command, "--practice", "elsewhere") == 0
        assert screen.out.strip() == nothing
    assert screen("fse", "1", "--practice", "elsewhere") == 1
    assert screen("cancel", "4", "--practice", "elsewhere") == 1
    assert screen("payments", "--practice", "elsewhere", "--json") == 0
    assert json.loads(screen.out)["payments"] == []
    assert screen("fse", "--practice", "nobody") == 1
    assert "no practice 'nobody'" in screen.err
    assert screen("status") == 0
    assert screen("cancel", "4", "--practice", PRACTICE) == 0


def test_beside_a_gateway_that_runs(line: Line, screen: Screen) -> None:
    """Looking disturbs no gateway; what changes something says how to ask the one that runs."""
    line.store = line.open()
    try:
        assert screen("fse") == 0
        for words in (["cancel", "4"], ["release", "x"], ["send"]):
            assert (screen(*words), screen.err.count("\n")) == (1, 1)
            assert "--token FILE" in screen.err
    finally:
        line.store.close()
    assert screen("cancel", "4") == 0


def test_asking_a_gateway_that_is_not_there(screen: Screen, tmp_path: Path) -> None:
    """--token without [api], without a token in the file, without a gateway: one sentence each."""
    token = tmp_path / "token"
    assert screen("send", "--token", str(token)) == 1
    assert "no section [api]" in screen.err
    settings = screen._settings
    text = settings.read_text("utf-8")
    settings.write_text(text + '\n[api]\nport = 9\ntokens = "tokens.json"\n', encoding="utf-8")
    assert screen("send", "--token", str(token)) == 1
    assert "is no file with a token" in screen.err
    token.write_text("vgt_x\n")
    assert screen("send", "--token", str(token)) == 1
    assert "no gateway answers on port 9" in screen.err


@given(st.lists(st.lists(st.text(max_size=12), min_size=3, max_size=3), min_size=1), st.integers(20, 90))
def test_a_table_keeps_its_edge(rows: list[list[str]], edge: int) -> None:
    """Whatever is in a cell, one row is one line, no longer than the terminal is wide."""
    lines = laid_out(("a", "b", "c"), rows, edge)
    assert len(lines) == len(rows) + 1
    assert all(len(line) <= edge and line.isprintable() for line in lines)


@pytest.mark.parametrize(("cents", "text"), [(0, "0.00"), (5, "0.05"), (2650, "26.50"), (-199, "-1.99")])
def test_euros(cents: int, text: str) -> None:
    """Cents as people write them."""
    assert euros(cents) == text


def test_statement(screen: Screen) -> None:
    """statement: each sheet of the month, totals that are their sums; the same for programs, as CSV too."""
    assert screen("statement", "2026-03") == 0
    assert "2026-03, practice cabinet: 4 FSE" in screen.out
    assert screen("statement", "2026-03", "--json") == 0
    found = json.loads(screen.out)
    assert found["totals"]["base_cents"] == sum(line["sums"]["base_cents"] for line in found["lines"]) > 0
    assert screen("statement", "2026-03", "--csv") == 0
    rows = list(csv.reader(screen.out.splitlines()))
    assert [row[0] for row in rows] == ["FSE", *(str(line["number"]) for line in found["lines"]), "total"]
    assert screen("statement", "2026-02") == 0
    assert "0 FSE" in screen.out
    with pytest.raises(SystemExit):
        screen("statement", "2026-13")


def test_late_payments(screen: Screen, line: Line) -> None:
    """payments --late: a sheet that was accepted long ago and not paid; nothing of one that was paid."""
    assert screen("payments", "--late") == 0
    assert screen.out.strip() == "nothing is late"
    line.store = line.open()
    sealed = line.lot()
    line.send(sealed)
    receipt = line.arl(sealed)
    line.store.post_receipt(receipt, raw_of(receipt), f"arl {sealed.id}", PRACTICE)
    line.store.close()
    assert screen("payments", "--late", "--json") == 0
    assert [one["number"] for one in json.loads(screen.out)["late"]] == [5]


def test_status_says_what_is_due(screen: Screen) -> None:
    """status: the sheets past their legal day are named, one by one; --json has them too."""
    assert screen("status") == 0
    assert "fse 4 (SIGNED) late: 2026-03-12" in screen.out
    assert screen("status", "--json", "--practice", PRACTICE) == 0
    assert json.loads(screen.out)["due"][PRACTICE]["late"] >= 1


def test_status_of_a_practice_that_is_not_there(screen: Screen) -> None:
    """A practice that the settings do not have is refused: it is not one where nothing is kept."""
    for form in ([], ["--json"]):
        assert screen("status", "--practice", "cabinett", *form) == 1
        assert screen.out == ""
        assert "no practice 'cabinett' in the settings: they have cabinet" in screen.err
    assert screen("status", "--practice", PRACTICE) == 0
    assert "PAID" in screen.out


def test_no_token_yet(screen: Screen) -> None:
    """token list: who has one, or that nobody has and how to make one."""
    with screen._settings.open("a", encoding="utf-8") as file:
        file.write(f'\n[api]\nport = 8420\ntokens = "{screen._settings.stem}-tokens.json"\n')
    assert screen("token", "list") == 0
    assert "token new NAME makes one" in screen.out
    assert screen("token", "new", "till") == 0
    assert screen("token", "list") == 0
    assert screen.out.split()[:2] == ["till", PRACTICE]


def test_settings_go_into_a_folder_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """init: a file where the folder should be is called what it is; a new folder is made."""
    (tmp_path / "file").touch()
    assert main(["init", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.endswith("file is no folder: choose another name.\n")
    assert main(["init", str(tmp_path / "new" / "folder")]) == 0
    assert (tmp_path / "new" / "folder" / "vitale-gateway.toml").is_file()


def test_backup_and_back(screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """backup, then restore from where the person stands: what was kept is back, no number comes back."""
    monkeypatch.chdir(tmp_path)
    assert screen("backup", "copies", "--key-folder", "elsewhere") == 0
    assert screen("backup", "copies", "--list", "--json") == 0
    [made] = json.loads(screen.out)["backups"]
    damaged = tmp_path / "copies" / "vitale-20200101T000000Z"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{}")
    assert screen("backup", "copies", "--list") == 1
    assert (made["path"] in screen.out, "20200101" in screen.err) == (True, True)
    assert screen("cancel", "4") == 0
    assert screen("restore", made["path"]) == 1
    assert "--over" in screen.err
    assert screen("restore", made["path"], "--over", "--last-number", f"{PRACTICE}=7") == 0
    assert f"practice {PRACTICE}: the next FSE is number 8" in screen.out
    assert screen("fse", "4", "--json") == 0
    assert json.loads(screen.out)["state"] == "SIGNED"
    assert (screen("restore", "nothing"), screen.err.count("\n")) == (1, 1)
    assert screen("backup", "copies", "--key-folder", "copies/keys") == 1


def test_sending_by_hand_knows_the_line_of_the_daemon(screen: Screen, line: Line) -> None:
    """send: a relay that is away is noted under the address that serve knows it by, and the lot waits."""
    line.store = line.open()
    numbers = line.keep()
    line.store.keep_lot(PRACTICE, replace(line.seal(numbers), message=b"Subject: lot\r\n\r\n"), numbers)
    line.store.close()
    assert screen("send", "--json") == 0
    assert json.loads(screen.out)["failed"] == 1
    line.store = line.open(read_only=True)
    assert [one.name for one in line.store.breakers()] == ["127.0.0.1:9"]
    line.store.close()

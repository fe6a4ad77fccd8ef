"""`vitale-reader emulate` and `control` as programs: line, orders, digits, an end that leaves nothing."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from card.iso7816.check import exclusive_or as lrc
from card.kernel.storage import FileStorage
from card.personalise import open_card
from reader.ccid import frames
from reader.ccid.frames import Answer, Command, Type
from reader.cli import main
from reader.pinpad import PinEntry
from reader.serial.gempc import framed
from tests.card.factory import image
from tests.interop.bench_pcscd import free_ports

PROGRAM = [sys.executable, "-m", "reader.cli"]
SECONDS = 20
CPS_ATR = bytes.fromhex("3BAC00402A00122500648000031000") + b"\x90\x00"
SELECT_APPLET = bytes.fromhex("00A4040C0DE828BD080F8025000001FF0010")
VERIFY = frames.secure(0, 3, PinEntry.for_cps().to_ccid())


class Emulator:
    """The program, its terminal output, and a raw host at its line."""

    def __init__(self, folder: Path, *options: str, link: str = "tty", terminal: int | None = None):
        self.link = folder / link
        self.log = folder / f"{link}.log"
        own_terminal = [] if terminal is None else ["setsid", "--ctty"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*own_terminal, *PROGRAM, "emulate", "--link", str(self.link), *options],
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=log,
                stderr=log,
                start_new_session=terminal is None,
            )
        self._fd = -1

    def __enter__(self):
        end = time.monotonic() + SECONDS
        while "Ready." not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)
        return self

    def __exit__(self, *_error):
        self.end(signal.SIGKILL)
        if self._fd >= 0:
            os.close(self._fd)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self, number: int) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def control(self, *words: str, digits: str = "") -> subprocess.CompletedProcess[str]:
        command = [*PROGRAM, "control", str(self.link), *words]
        return subprocess.run(
            command, input=digits, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    # ---- a host without pcscd

    def write(self, command: Command) -> bytes:
        if self._fd < 0:
            self._fd = os.open(self.link, os.O_RDWR | os.O_NOCTTY)
        frame = framed(command.to_bytes())
        os.write(self._fd, frame)
        return frame

    def read(self, size: int) -> bytes:
        data, end = b"", time.monotonic() + SECONDS
        while len(data) < size:
            assert time.monotonic() < end, data.hex()
            if select.select([self._fd], [], [], 0.5)[0]:
                data += os.read(self._fd, size - len(data))
        return data

    def answer(self) -> Answer:
        while (first := self.read(1))[0] != 0x03:  # notices and requests for time
            if first[0] == 0x50:
                self.read(1)
        start = first + self.read(11)
        frame = start + self.read(int.from_bytes(start[3:7], "little") + 1)
        assert lrc(frame) == 0
        return Answer.parse(frame[2:-1])

    def ask(self, command: Command) -> Answer:
        self.write(command)
        return self.answer()


def wait_for(what) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def contents():
    return {"cps": image("cps-gp-sector1"), "vitale": image("vitale-family")}


@pytest.fixture
def cards(contents, tmp_path):
    """Fresh images."""
    for name, data in contents.items():
        (tmp_path / f"{name}.img").write_bytes(data)
    return {name: str(tmp_path / f"{name}.img") for name in contents}


def whole(path: str) -> bool:
    """The image opens and the card answers."""
    card = open_card(FileStorage(Path(path)))
    return card.power_on() == CPS_ATR and card.transmit(SELECT_APPLET)[-2:] == b"\x90\x00"


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"cps.img", "vitale.img", "tty.log", "other.log"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_clean_end(cards, tmp_path, number, code):
    """The line works, Ctrl-C and SIGTERM end it within a moment, nothing is left, the image is whole."""
    with Emulator(
        tmp_path, "--slot", cards["vitale"], "--slot", cards["cps"], "--serial", "sec1210"
    ) as reader:
        assert reader.ask(frames.power_on(1, 0)).data == CPS_ATR
        assert reader.ask(frames.transfer(1, 1, SELECT_APPLET)).data == b"\x90\x00"
        assert left(tmp_path) == {"tty", "tty.control", "tty.lock", "cps.img.lock", "vitale.img.lock"}
        assert (tmp_path / "tty.control").stat().st_mode & 0o777 == 0o600
        assert reader.end(number) == code
        assert "Traceback" not in reader.said()
    assert left(tmp_path) == set()
    assert whole(cards["cps"])


def test_cards_come_and_go_while_it_runs(cards, tmp_path):
    """One slot is emptied and filled, the host is told; the card in the other keeps its session."""
    with Emulator(
        tmp_path, "--slot", cards["vitale"], "--slot", cards["cps"], "--serial", "sec1210"
    ) as reader:
        reader.ask(frames.power_on(1, 0))
        reader.ask(frames.transfer(1, 1, SELECT_APPLET))
        pin = bytes.fromhex("002000010831323334FFFFFFFF")
        assert reader.ask(frames.transfer(1, 1, pin)).data == b"\x90\x00"
        assert reader.control("status").stdout.splitlines() == [
            "Vitale  vitale.img, no power",
            "CPS     cps.img, powered",
        ]
        assert "empty" in reader.control("remove", "Vitale").stdout
        reader.write(Command(Type.GET_SLOT_STATUS, 0, 2))
        assert reader.read(2) == bytes((0x50, 0b0110))
        assert reader.answer().icc == 2
        assert reader.control("insert", "0").returncode == 0
        assert reader.ask(frames.power_on(0, 3)).data[:2] == b"\x3b\x75"
        answer = reader.ask(frames.transfer(1, 4, bytes.fromhex("00200001")))
        assert answer.data == b"\x90\x00"
        for wrong, words in [
            (("remove", "Third"), "has no slot Third"),
            (("insert", "CPS"), "remove it first"),
            (("remove",), "Say which slot"),
            (("pin",), "no keypad"),
            (("cancel",), "no keypad"),
        ]:
            refused = reader.control(*wrong)
            assert refused.returncode == 1
            assert words in refused.stderr
            assert refused.stderr.count("\n") == 1
        assert reader.control("remove", "CPS").returncode == 0
        assert "make one with vitale-card new" in reader.control("insert", "CPS", str(tmp_path / "no")).stderr
        assert reader.control("insert", "CPS", cards["cps"]).returncode == 0


def test_digits_by_control(cards, tmp_path):
    """Before or after they are asked for; wrong, too few, cancelled; never in what is printed."""
    options = ("--slot", cards["cps"], "--serial", "gempcpinpad", "--trace")
    with Emulator(tmp_path, *options) as reader:
        for command in (frames.power_on(0, 0), frames.transfer(0, 1, SELECT_APPLET)):
            reader.write(command)
            assert reader.answer().type == command.type  # the echo
            assert not reader.answer().failed
        assert "nothing to cancel" in reader.control("cancel").stderr
        for digits, status in (("7391", b"\x63\xc2"), ("739", b"\x64\x03"), ("1234", b"\x90\x00")):
            reader.write(VERIFY)
            assert reader.answer().type == Type.SECURE
            done = reader.control("pin", digits=digits + "\n")
            assert (done.returncode, status.hex().upper() in done.stdout) == (0, True)
            assert reader.answer().data == status
        reader.write(VERIFY)
        reader.answer()
        assert "waits for a PIN" in reader.control("status").stdout
        assert reader.control("cancel").returncode == 0
        assert reader.answer().error == 0xEF
        assert "digits only" in reader.control("pin", digits="12a4").stderr
        said = reader.said()
        assert "VERIFY 0001 data ****" in said
        assert "7391" not in said
        assert "1234" not in said


def test_digits_that_come_early(cards, tmp_path):
    """They wait for being asked for; those of a program that went away are not used."""
    with Emulator(tmp_path, "--slot", cards["cps"], "--serial", "gempcpinpad") as reader:
        for command in (frames.power_on(0, 0), frames.transfer(0, 1, SELECT_APPLET)):
            reader.write(command)
            reader.answer()
            reader.answer()
        for goes_away in (True, False):
            typing = subprocess.Popen(
                [*PROGRAM, "control", str(reader.link), "pin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert typing.stdin is not None
            typing.stdin.write(b"1234\n")
            typing.stdin.close()
            time.sleep(0.5)
            if goes_away:
                typing.kill()
                typing.wait()
                time.sleep(0.1)
            reader.write(VERIFY)
            reader.answer()
            if goes_away:
                assert reader.control("cancel").returncode == 0
                assert reader.answer().error == 0xEF
            else:
                assert reader.answer().data == b"\x90\x00"
                assert typing.wait(SECONDS) == 0
            if typing.stdout is not None:
                typing.stdout.close()


def test_byte_level_cards(cards, tmp_path):
    """Behind RFC 2217 each slot is a Phoenix interface that our own driver opens."""
    pytest.importorskip("serial")
    from card.iso7816.apdu import CommandAPDU
    from reader.phoenix import open_phoenix

    port = free_ports(2)
    with (
        Emulator(tmp_path, "--slot", "CPS=" + cards["cps"], "--rfc2217", f"127.0.0.1:{port}") as reader,
        open_phoenix([f"rfc2217://127.0.0.1:{port}", f"rfc2217://127.0.0.1:{port + 1}"]) as driver,
    ):
        connection = driver.slot("CPS").connect()
        assert connection.atr == CPS_ATR
        assert connection.transmit(CommandAPDU.parse(SELECT_APPLET)).sw == 0x9000
        assert reader.control("status").stdout.splitlines()[1] == "CPS     cps.img, powered"


def test_digits_on_the_terminal(cards, tmp_path):
    """Asked where the program was started; nothing is shown; an empty line cancels."""
    master, slave = os.openpty()
    try:
        options = ("--slot", cards["cps"], "--serial", "gempcpinpad")
        with Emulator(tmp_path, *options, terminal=slave) as reader:
            for command in (frames.power_on(0, 0), frames.transfer(0, 1, SELECT_APPLET)):
                reader.write(command)
                reader.answer()
                reader.answer()
            for lines, check in (((b"12x4\n", b"1234\n"), b"\x90\x00"), ((b"\n",), b"")):
                prompts = reader.said().count("nothing is shown")
                reader.write(VERIFY)
                reader.answer()
                for line in lines:
                    wait_for(lambda seen=prompts: reader.said().count("nothing is shown") > seen)
                    prompts += 1
                    os.write(master, line)
                answer = reader.answer()
                assert (answer.data, answer.error) == (check, 0 if check else 0xEF)
            assert reader.end(signal.SIGINT) == 130
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 100)  # nothing was echoed
        import termios

        assert termios.tcgetattr(slave)[3] & termios.ECHO
        assert "1234" not in reader.said()
    finally:
        os.close(master)
        os.close(slave)


def test_one_line_and_one_image_for_one_reader(cards, tmp_path):
    """A second reader on the same link or image is refused and disturbs nothing; elsewhere it works."""
    with Emulator(tmp_path, "--slot", cards["cps"]) as reader:
        for link, card, words in (
            ("tty", "vitale", "Another emulated reader"),
            ("other", "cps", "another emulated"),
        ):
            command = [*PROGRAM, "emulate", "--link", str(tmp_path / link), "--slot", cards[card]]
            refused = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            assert (refused.returncode, words in refused.stderr) == (1, True)
        reader.write(frames.power_on(0, 0))
        reader.answer()
        assert reader.answer().data == CPS_ATR
        with Emulator(tmp_path, "--slot", cards["vitale"], link="other"):
            assert (tmp_path / "other").readlink() != (tmp_path / "tty").readlink()


def test_killed_while_the_card_writes(cards, tmp_path):
    """Killed at any moment: the image opens, tries never come back, the stale link is replaced."""
    rng, tries = random.Random(3), 3
    wrong = frames.transfer(0, 1, bytes.fromhex("002000010839393939FFFFFFFF"))
    for _ in range(3):
        with Emulator(tmp_path, "--slot", cards["cps"], "--serial", "sec1210") as reader:
            reader.ask(frames.power_on(0, 0))
            reader.ask(frames.transfer(0, 1, SELECT_APPLET))
            reader.write(wrong)
            time.sleep(rng.random() / 500)
            reader.end(signal.SIGKILL)
        assert whole(cards["cps"])
        card = open_card(FileStorage(Path(cards["cps"])))
        card.power_on()
        card.transmit(SELECT_APPLET)
        status = card.transmit(bytes.fromhex("00200001"))
        now = status[1] & 0x0F if status[0] == 0x63 else 0
        assert now <= tries
        tries = now
    with Emulator(tmp_path, "--slot", cards["cps"], "--serial", "sec1210") as reader:
        assert reader.ask(frames.power_on(0, 0)).data == CPS_ATR


def test_what_belongs_to_others_is_left_alone(cards, tmp_path, capsys):
    """A file, a link or a pipe at the path of the link, the orders or reader.conf is refused and stays."""
    conf = tmp_path / "conf"
    conf.mkdir()
    for path in (tmp_path / "tty", tmp_path / "tty.control", conf / "vitale-gateway"):
        path.write_text("mine")
        options = [
            "emulate",
            "--link",
            str(tmp_path / "tty"),
            "--slot",
            cards["cps"],
            "--pcscd-conf",
            str(conf),
        ]
        assert main(options) == 1
        assert "choose another" in capsys.readouterr().err
        assert path.read_text() == "mine"
        path.unlink()
    (tmp_path / "tty").symlink_to("/dev/pts/ptmx")
    assert main(["emulate", "--link", str(tmp_path / "tty"), "--slot", cards["cps"]]) == 1
    assert (tmp_path / "tty").readlink() == Path("/dev/pts/ptmx")
    (tmp_path / "tty").unlink()
    assert left(tmp_path) == {"conf"}


REFUSED = [
    (["--serial", "gempctwin", "--slot", "a", "--slot", "b"], "has 1 slot and 2 cards"),
    (["--slot", "CPS=a", "--slot", "1=b"], "Two cards are given for the slot CPS"),
    (["--slot", "Fifth=a", "--serial", "sec1210"], "has no slot Fifth"),
    (["--slot", "/no/such/folder/card"], "cannot be used"),
    (["--slot", "missing.img"], "make one with vitale-card new"),
    (["--vpcd", "nonsense"], "wants HOST:PORT"),
    (["--vpcd", "127.0.0.1:1", "--serial", "sec1210"], "in one way only"),
    (["--galss", "127.0.0.1:1", "--pcscd-conf", "x"], "drop --pcscd-conf"),
    (["--rfc2217", "127.0.0.1:1", "--wiring", "wet string"], "There is no wiring"),
    (["--wiring", "phoenix"], "belongs to --rfc2217"),
    (["--reverse"], "belongs to --vpcd"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_wrong_wishes_get_one_sentence(options, words, tmp_path, capsys, monkeypatch):
    """What cannot be done is refused with what to do, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    assert main(["emulate", "--link", "tty", *options]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert left(tmp_path) == set()


def test_a_place_must_be_given(capsys):
    """Without --link and without another way there is no reader; control without one says so too."""
    assert main(["emulate"]) == 1
    assert "--link PATH" in capsys.readouterr().err
    assert main(["control", "/no/such/reader", "status"]) == 1
    assert "No emulated reader answers" in capsys.readouterr().err


def test_the_entry_of_reader_conf(cards, tmp_path):
    """Written, and overwritten by its own program; the person reads what to do next."""
    conf = tmp_path / "conf"
    for serial, device, last in (
        ("gempcpinpad", "GemPCPinPad", "00 00"),
        ("gemcorepospro", "GemCorePOSPro", "00 04"),
    ):
        with Emulator(
            tmp_path, "--slot", cards["cps"], "--serial", serial, "--pcscd-conf", str(conf)
        ) as reader:
            entry = (conf / "vitale-gateway").read_text()
            assert f"DEVICENAME {reader.link}:{device}\n" in entry
            assert 'FRIENDLYNAME "Vitale Gateway Twin"\n' in entry
            assert f"pcscd --foreground -c {conf}" in reader.said()
            assert f"Vitale Gateway Twin {last}" in reader.said()

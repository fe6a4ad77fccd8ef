"""The agent's program by itself: the PIN in its terminal, readers that are waited for, sentences, an
orderly end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import termios
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.agent.program import Agent, open_local
from gateway.clock import SystemClock, system_rng
from gateway.config import ReaderConfig
from gateway.errors import InputError
from reader.emulated import EmulatedReader
from reader.errors import ReaderError
from reader.pinpad import PinEntry
from tests.card.factory import image
from tests.gateway.agent.hosting import PATIENCE, Hosting, until
from tests.gateway.test_systemd import UNIT, judge
from tests.reader.byte_cards import EchoCard

PROGRAM = [str(Path(sys.executable).parent / "vitale-gateway"), "agent"]


def settings_file(hosted: Hosting, folder: Path, page: int = 0) -> Path:
    """The settings of desk-1 with a fresh CPS image in an emulated reader."""
    card = folder / "cps.card"
    card.write_bytes(image("cps-gp-sector1"))
    file = hosted.folder / "desk-1" / "vitale-agent.toml"
    text = file.read_text("utf-8").replace("127.0.0.1:0", f"127.0.0.1:{hosted.port}")
    text = text.replace('driver = "pcsc"', 'driver = "emulated"').replace(
        '["Gemalto"]', json.dumps(["", str(card)])
    )
    file.write_text(text.replace("port = 8431", f"port = {page}"), encoding="utf-8")
    return file


def test_the_pin_in_the_terminal(hosted: Hosting, tmp_path: Path) -> None:
    """--pin-terminal asks where the agent was started; nothing is echoed; letters are asked again; Ctrl-C
    ends.
    """
    hosted.enrolled("desk-1", "cabinet")
    slot = hosted.reader("desk-1", "cabinet").slot("CPS")
    hosted.opens()
    master, slave = os.openpty()
    command = [*PROGRAM, "--pin-terminal", "--config", str(settings_file(hosted, tmp_path))]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(["setsid", "--ctty", *command], stdin=slave, stdout=out, stderr=out)
    try:
        until(lambda: slot.is_present, "the card is lent")
        heard: list[int] = []
        connection = slot.connect()
        asking = threading.Thread(
            target=lambda: heard.append(connection.verify_on_pad(PinEntry.for_cps()).sw)
        )
        asking.start()
        until(lambda: b"PIN of the card in the CPS slot" in log.read_bytes(), "the prompt")
        os.write(master, b"12x4\n")
        until(lambda: log.read_bytes().count(b"PIN of the card in the CPS slot") == 2, "the second prompt")
        os.write(master, b"1234\n")
        asking.join(PATIENCE)
        assert heard == [0x9000]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        said = log.read_text("utf-8")
        assert said.splitlines()[-1] == "stopped in good order; the readers are not lent any more."
        assert "1234" not in said
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 100)
        assert termios.tcgetattr(slave)[3] & termios.ECHO
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_no_terminal_to_ask_in(hosted: Hosting, tmp_path: Path) -> None:
    """--pin-terminal without a terminal is refused in one sentence before anything is dialled."""
    hosted.enrolled("desk-1", "cabinet")
    hosted.opens()
    command = [*PROGRAM, "--pin-terminal", "--config", str(settings_file(hosted, tmp_path))]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    assert "--pin-terminal needs a terminal in the foreground" in done.stderr


def test_a_reader_that_is_waited_for(hosted: Hosting) -> None:
    """Not plugged in at start: said once, tried again, lent as soon as it is there."""
    identity = hosted.enrolled("desk-1", "cabinet")
    slot = hosted.reader("desk-1", "cabinet").slot("CPS")
    hosted.opens()
    local = EmulatedReader()
    local.insert("CPS", EchoCard())
    tries = iter([ReaderError("No reader."), ReaderError("No reader."), None])
    said: list[str] = []
    agent = Agent(hosted.settings(identity), None, SystemClock(), system_rng, said.append)

    def opening(_config: ReaderConfig) -> EmulatedReader:
        if (wrong := next(tries)) is not None:
            raise wrong
        return local

    agent.open_reader = opening
    thread = threading.Thread(target=agent.run, daemon=True)
    thread.start()
    until(lambda: slot.is_present)
    agent.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert said.count("the reader is waited for: No reader.") == 1


def test_stopped_before_its_reader_comes(hosted: Hosting) -> None:
    """Told to stop while it waits for a reader: it ends at once."""
    identity = hosted.enrolled("desk-1", "cabinet")
    agent = Agent(hosted.settings(identity, 1), None, SystemClock(), system_rng, lambda _line: None)

    def never(_config: ReaderConfig) -> EmulatedReader:
        raise ReaderError("No reader.")

    agent.open_reader = never
    thread = threading.Thread(target=agent.run, daemon=True)
    thread.start()
    agent.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_drivers_of_this_machine() -> None:
    """A driver nobody knows is refused with those that are known; agents do not lend what agents lent."""
    with pytest.raises(InputError, match=r"reader driver 'none' is not known: choose one of emulated, galss"):
        open_local(ReaderConfig("none", ()))


def test_what_answers_is_no_gateway(hosted: Hosting) -> None:
    """Nothing at the address, then something that speaks no TLS: one sentence each, said once."""
    import socket

    identity = hosted.enrolled("desk-1", "cabinet")
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]
        running = hosted.agent(identity, port=port, CPS=EchoCard())

        def rude() -> None:
            for _ in range(2):
                try:
                    client, _address = plain.accept()
                except OSError:
                    return
                client.sendall(b"220 mail\r\n")
                client.close()

        talking = threading.Thread(target=rude, daemon=True)
        talking.start()
        running.says("is no gateway")
    running.says("cannot be reached")
    assert len(running.agent.lines) <= 5


def test_an_address_that_is_none(hosted: Hosting) -> None:
    """A name that no machine can have is said as any other gateway that cannot be reached."""
    identity = hosted.enrolled("desk-1", "cabinet")
    settings = replace(hosted.settings(identity, 8430), host="a..b")
    agent = Agent(settings, None, SystemClock(), system_rng, lambda _line: None)
    agent.open_reader = lambda _config: EmulatedReader()
    thread = threading.Thread(target=agent.run, daemon=True)
    thread.start()
    until(lambda: any("cannot be reached (that is no name of a machine)" in line for line in agent.lines))
    agent.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.interop
def test_systemd_takes_the_agents_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd-analyze finds nothing wrong with the unit; a word that it does not know is found (the twin)."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    source = UNIT.with_name("vitale-agent.service").read_text("utf-8")
    unit = tmp_path / "vitale-agent.service"
    program = "/opt/vitale-gateway/bin/vitale-gateway"
    assert program in source
    unit.write_text(source.replace(program, sys.executable), encoding="utf-8")
    assert judge("systemd-analyze", "verify", "--user", "--man=no", unit) == ""
    unit.write_text(
        unit.read_text("utf-8").replace("[Install]", "LendNothing=yes\n[Install]"), encoding="utf-8"
    )
    assert "LendNothing" in judge("systemd-analyze", "verify", "--user", "--man=no", unit)


def test_its_own_certificate_ends_soon(hosted: Hosting) -> None:
    """Thirty days ahead the agent says so at its first dial, and on its page's list."""
    soon = datetime.now(UTC) - timedelta(days=710)
    identity = hosted.enrolled("desk-1", "cabinet", soon)
    hosted.reader("desk-1", "cabinet")
    hosted.opens()
    running = hosted.agent(identity, CPS=EchoCard())
    running.says("the certificate of this agent ends on")
    running.says("connected, it may use the slots")


def test_files_that_cannot_be_used(hosted: Hosting, tmp_path: Path) -> None:
    """A certificate, key or authority that is missing or none: the sentence names the file, it is tried
    again.
    """
    good = hosted.enrolled("desk-1", "cabinet")
    slot = hosted.reader("desk-1", "cabinet").slot("CPS")
    hosted.opens()
    broken = tmp_path / "broken.pem"
    running = hosted.agent(replace(good, authority=broken), CPS=EchoCard())
    running.says(f"{broken} cannot be used as the authority's certificate")
    broken.write_bytes(good.authority.read_bytes())
    until(lambda: slot.is_present, "the mended file is taken up")

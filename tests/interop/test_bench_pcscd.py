"""The harness of the judges itself: daemons of their own, side by side, that leave nothing behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import tools.pcscd
from tests.interop import bench_pcscd
from tests.interop.bench_pcscd import WITNESSES, Pcscd, free_ports, needs, vpcd_conf, wait_for

pytestmark = pytest.mark.interop
VPCD = bench_pcscd.DRIVERS / "libifdvpcd.so"


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("pcscd", "opensc-tool", files=(VPCD,))


def named(folder: Path, name: str) -> Pcscd:
    return Pcscd(folder / name, reader_conf=vpcd_conf(free_ports(2), name))


def test_two_daemons_do_not_see_each_other(tmp_path: Path) -> None:
    """Each has its own readers, its own log and its own clients; the machine's own pcscd has neither."""
    with named(tmp_path, "One") as one, named(tmp_path, "Two") as two:
        assert [line.split(maxsplit=2)[2].strip() for line in one.readers()] == ["One 00 00", "One 00 01"]
        assert [line.split(maxsplit=2)[2].strip() for line in two.readers()] == ["Two 00 00", "Two 00 01"]
        assert "One" in one.log
        assert "Two" not in one.log
        assert [one, two] == WITNESSES
        ended = (Path(f"/proc/{one.pid}"), Path(f"/proc/{two.pid}"))
    assert not any(process.exists() for process in ended)
    assert WITNESSES == []


@pytest.mark.skipif(os.geteuid() != 0, reason="without root and without namespaces there is no pcscd")
def test_a_daemon_where_namespaces_are_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon takes a socket that is given to it, and starts again on a fresh one."""
    monkeypatch.setattr(tools.pcscd, "isolation", lambda: ())
    with named(tmp_path, "Plain") as pcscd:
        first = pcscd.pid
        pcscd.stop()
        pcscd.start()
        assert pcscd.pid != first
        assert len(pcscd.readers()) == 2


def test_a_wrong_configuration_is_shown(tmp_path: Path) -> None:
    """A driver that is not there ends the start with the daemon's own words; nothing stays behind."""
    lost = vpcd_conf(free_ports(2)).replace("libifdvpcd", "libnothing")
    pcscd = Pcscd(tmp_path / "lost", reader_conf=lost)
    with pytest.raises(pytest.fail.Exception, match="libnothing"):
        pcscd.start()
    assert WITNESSES == []


def test_a_client_without_end_is_ended_with_its_children(tmp_path: Path) -> None:
    """A program that takes too long is killed, and so is what it has started; a quick one is left alone."""
    with named(tmp_path, "Slow") as pcscd:
        assert pcscd.run("sh", "-c", "echo done").stdout == "done\n"
        with pytest.raises(subprocess.TimeoutExpired):
            pcscd.run("sh", "-c", f"sleep 600 & echo $! > {tmp_path}/child; wait", timeout=1)
        child = Path("/proc") / (tmp_path / "child").read_text().strip()
        wait_for(lambda: not child.exists(), lambda: "the child of a killed client goes on")

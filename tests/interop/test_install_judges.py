"""The script before `make test`: installs as root, says one sentence to everybody else, asks nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "install_judges.sh"
LIST = "# judges\nhere  # installed\nlost\n\ngone\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH with a dpkg-query that knows `here`, and an apt-get that writes down what it is asked."""
    for name in ("sh", "sed", "dirname", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    program(tmp_path, "dpkg-query", 'case "$*" in *here) printf installed;; *) exit 1;; esac')
    program(tmp_path, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >> {tmp_path}/asked')
    program(tmp_path, "id", "echo 0")
    (tmp_path / "list").write_text(LIST)
    return tmp_path


def program(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def install(machine: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine), "PYTHON": sys.executable} | more
    command = [str(SCRIPT), str(machine / "list")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def asked(machine: Path) -> list[str]:
    file = machine / "asked"
    return file.read_text().splitlines() if file.exists() else []


def test_root_installs_what_is_missing(machine: Path) -> None:
    """One update and one installation, without prompts, of the missing ones only."""
    assert install(machine).returncode == 0
    update, installation = asked(machine)
    assert update == "noninteractive -q update"
    assert installation == "noninteractive install -q -y --no-install-recommends lost gone"


def test_nothing_missing_is_silent(machine: Path) -> None:
    """The twin: with everything there nothing is said and apt-get is left alone."""
    (machine / "list").write_text("here\n")
    done = install(machine)
    assert (done.returncode, done.stdout, done.stderr, asked(machine)) == (0, "", "", [])


def test_everybody_else_is_told_one_sentence(machine: Path) -> None:
    """Not root: the command to give is printed and the tests go on."""
    program(machine, "id", "echo 1000")
    done = install(machine)
    assert (done.returncode, asked(machine)) == (0, [])
    assert done.stdout.strip().endswith("sudo apt-get install --no-install-recommends lost gone")
    assert done.stdout.count("\n") == 1


def test_a_machine_without_apt_get(machine: Path) -> None:
    """Another distribution: what is missing is named, nothing fails."""
    (machine / "apt-get").unlink()
    done = install(machine)
    assert done.returncode == 0
    assert "lost gone" in done.stdout


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("1", 1)])
def test_a_failed_installation_fails_in_ci_only(machine: Path, ci: str, code: int) -> None:
    """Without a network a developer's tests go on; CI must have its judges."""
    program(machine, "apt-get", "echo no route >&2; exit 100")
    done = install(machine, CI=ci)
    assert done.returncode == code
    assert "could not install" in done.stderr
    assert "no route" in done.stderr


def test_a_python_without_headers_asks_for_them(machine: Path) -> None:
    """Debian's own Python has its headers in python3-dev; others bring theirs."""
    program(machine, "python-bare", "exit 1")
    install(machine, PYTHON=str(machine / "python-bare"))
    assert asked(machine)[1].endswith("lost gone python3-dev")
    assert os.access(SCRIPT, os.X_OK)

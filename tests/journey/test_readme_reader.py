"""A newcomer sees the emulated reader in pcsc_scan: the README's three commands, exactly as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.interop.bench_pcscd import DRIVERS, end, needs, unavailable, wait_for
from tools.pcscd import RUN, TOGETHER, isolation

pytestmark = pytest.mark.interop
ROOT = Path(__file__).resolve().parents[2]
# The namespace of the three terminals: nothing of the machine's own pcscd, nothing left in the checkout.
HOLD = 'for place in "$@"; do mount -t tmpfs tmpfs "$place" || exit 1; done; echo ready; exec sleep 600'
SECONDS = 120  # the first command makes keys
SUDO = '#!/bin/sh\nexec "$@"\n'


def three_commands() -> list[str]:
    """The lines of the block after the heading about PC/SC."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## [^\n]*PC/SC[^\n]*\n.*?```sh\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    assert found, "README has no section about PC/SC with a block of commands"
    return found[1].splitlines()


@contextmanager
def machine() -> Iterator[tuple[list[str], Path]]:
    """The words that run a command where it disturbs nobody, and the /run/pcscd of that place.

    A mount namespace of its own; where those are forbidden, the machine itself if root and no pcscd is there.
    """
    if way := isolation():
        with namespace(way) as place:
            yield place
    elif os.geteuid() == 0 and not (RUN / "pcscd.comm").exists() and not (ROOT / "var" / "reader").exists():
        try:
            yield [*TOGETHER], RUN
        finally:
            shutil.rmtree(ROOT / "var" / "reader")
    else:
        unavailable("this machine allows no mount namespace: its own pcscd or reader would be disturbed")


@contextmanager
def namespace(way: tuple[str, ...]) -> Iterator[tuple[list[str], Path]]:
    """The same in a namespace that lives as long as this."""
    (ROOT / "var").mkdir(exist_ok=True)
    places = [str(RUN if RUN.is_dir() else RUN.parent), str(ROOT / "var")]
    holder = subprocess.Popen(
        [*TOGETHER, *way, "sh", "-c", HOLD, "sh", *places], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        user = ["--user", "--preserve-credentials"] if "-Urm" in way else []
        enter = ["nsenter", "--target", str(holder.pid), "--mount", "--root", *user, *TOGETHER]
        yield enter, Path(f"/proc/{holder.pid}/root{RUN}")
    finally:
        end(holder)


class Terminals:
    """One command a terminal; what each has printed so far."""

    def __init__(self, enter: list[str], folder: Path, stack: ExitStack) -> None:
        self._enter, self._folder, self._stack = enter, folder, stack
        (folder / "home").mkdir()
        (folder / "sudo").write_text(SUDO)  # the test is root in there, with sudo installed or not
        (folder / "sudo").chmod(0o755)
        path = os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"]))
        self._environment = {"HOME": str(folder / "home"), "PATH": path, "LANG": "C.UTF-8"}

    def type(self, command: str, *awaited: str) -> str:
        """Start a command and wait until it has printed all of `awaited`; what it has printed."""
        printed = self._folder / f"terminal-{len(list(self._folder.glob('terminal-*')))}"
        with printed.open("wb") as out:
            process = subprocess.Popen(
                [*self._enter, "sh", "-c", f'cd "$1" && exec {command}', "sh", str(ROOT)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self._stack.callback(end, process)

        def text() -> str:
            return printed.read_text(errors="replace")

        def there() -> bool:
            assert process.poll() is None, f"{command} ended:\n{text()}"
            return all(words in text() for words in awaited)

        wait_for(there, lambda: f"{command} does not say {awaited}:\n{text()}", SECONDS)
        return text()


def test_three_commands_show_the_reader(tmp_path: Path) -> None:
    """The reader, pcscd, pcsc_scan: both slots with their cards, each described as what it is."""
    needs("pcscd", "pcsc_scan", "unshare", "nsenter", files=(DRIVERS / "libccidtwin.so",))
    reader, daemon, scan = three_commands()
    with ExitStack() as stack:
        enter, run = stack.enter_context(machine())
        terminals = Terminals(enter, tmp_path, stack)
        told = terminals.type(reader, "Ready.")
        assert "Traceback" not in told
        assert daemon.removeprefix("sudo ").split()[0] in told  # it says what to start next
        terminals.type(daemon)
        wait_for((run / "pcscd.comm").exists, lambda: "pcscd does not start")
        shown = terminals.type(scan, "Vitale 2 (french health card)", "Sesam Vitale card CPS")
        assert shown.count("Card inserted") >= 2

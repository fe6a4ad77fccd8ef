"""The README's commands work as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commands() -> list[str]:
    """Every `$ …` line of the README's console blocks, in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_console_commands_run(tmp_path: Path) -> None:
    """Each command of the tour ends well, in an empty folder with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    binaries = Path(sys.executable).parent
    environment = {
        "HOME": str(home),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
    }
    ran = commands()
    assert len(ran) >= 6
    for command in ran:
        folder = ROOT if command.startswith("make ") else tmp_path
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"{command} says nothing"
        assert "Traceback" not in done.stderr

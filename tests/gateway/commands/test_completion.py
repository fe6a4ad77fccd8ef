"""The shell completes commands, options and states, as bash itself sees them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import COMMANDS, main


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `completion bash` prints."""
    path = tmp_path_factory.mktemp("shell") / "completion.bash"
    command = [sys.executable, "-m", "gateway.cli", "completion", "bash"]
    path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    return path


def offered(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of these words."""
    bash = shutil.which("bash")
    assert bash is not None
    line = " ".join(f"'{word}'" for word in ("vitale-gateway", *words))
    ask = (
        f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _shtab_vitale_gateway; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run([bash, "--norc", "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_commands(script: Path) -> None:
    """Every command is offered, and only those that begin as typed."""
    assert offered(script, "") >= set(COMMANDS)
    assert offered(script, "pri") == {"price"}


def test_options_and_values(script: Path) -> None:
    """Options of a command, and the words that one of them takes."""
    assert "--state" in offered(script, "fse", "--")
    assert offered(script, "fse", "--state", "PAY") == {"PAYMENT_REJECTED"}


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has its own help, which begins with its usage."""
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: vitale-gateway {name}")

"""The house keeps its own rules: arrows, words, manners."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("card", "reader", "gateway", "tools", "hardware")
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))


def test_arrows() -> None:
    """The import contracts of pyproject.toml hold."""
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command is not None
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_explains_itself(room: str) -> None:
    """A room's README says what it is, what it may import and its three main names."""
    text = (ROOT / room / "README.md").read_text(encoding="utf-8").lower()
    for phrase in ("what it is", "may import", "three main"):
        assert phrase in text, f"{room}/README.md does not say: {phrase}"


def test_no_drawer_for_everything() -> None:
    """No module is called utils, helpers, common or manager."""
    forbidden = {"utils", "helpers", "common", "manager", "misc"}
    assert not [p for p in SOURCES if p.stem in forbidden]


def test_every_test_says_what_it_proves() -> None:
    """Each test function has a docstring."""
    silent: list[str] = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.FunctionDef)
                and node.name.startswith("test_")
                and not ast.get_docstring(node)
            ):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not silent


def test_nothing_unfinished() -> None:
    """No source file promises later work."""
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [f"{p.relative_to(ROOT)}" for p in SOURCES if pattern.search(p.read_text(encoding="utf-8"))]
    assert not found


def test_time_and_chance_come_from_outside() -> None:
    """Only gateway/clock.py looks at a clock or a random source in the gateway's rooms."""
    bare = re.compile(
        r"\b(datetime\.now|datetime\.utcnow|date\.today|time\.time|time\.monotonic|random\.\w+)\("
    )
    allowed = {"gateway/clock.py"}
    found = [
        str(p.relative_to(ROOT))
        for p in SOURCES
        if p.relative_to(ROOT).parts[0] in {"gateway", "reader"}
        and str(p.relative_to(ROOT)) not in allowed
        and bare.search(p.read_text(encoding="utf-8"))
    ]
    assert set(found) <= {"reader/slot.py", "reader/cli.py"}, found


def test_verifiers_return_the_signer() -> None:
    """No function of gateway.cms or gateway.pki called verify or validate answers with a bool or None."""
    for path in (*(ROOT / "gateway" / "cms").glob("*.py"), *(ROOT / "gateway" / "pki").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in {"verify", "validate"}:
                answer = ast.unparse(node.returns) if node.returns else "nothing"
                assert answer not in {"bool", "None", "nothing"}, f"{path.name}: {node.name} returns {answer}"

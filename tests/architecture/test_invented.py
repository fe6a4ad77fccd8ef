"""What is not public is invented, marked in the code and listed for the reader of the README."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("card", "reader", "gateway", "tools")
MARK = re.compile(r"INVENTED\(([a-z0-9-]+)\): (.+?)\s*$")


def marks_in_code() -> dict[str, str]:
    """Every mark of the source tree: key → sentence."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix not in {".py", ".toml"}:
                continue
            for line in path.read_text(encoding="utf-8").splitlines():
                if match := MARK.search(line):
                    key, sentence = match.groups()
                    assert key not in found, f"{path}: the key {key} is used twice"
                    found[key] = sentence
    return found


def rows_in_readme() -> dict[str, str]:
    """The README's table of invented things: key → sentence."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("<!-- invented -->")[1]
    return dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+?) \|$", table, flags=re.MULTILINE))


def test_readme_lists_every_invention() -> None:
    """The README's table equals the marks in the code, key by key and word by word."""
    assert rows_in_readme() == marks_in_code()


def test_a_loose_mark_is_caught() -> None:
    """A mark without key and sentence cannot hide: every INVENTED in the code has the full form."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if "# INVENTED" in line:
                    assert MARK.search(line), f"{path.name}:{number}: write INVENTED(key): one sentence"


def write_table() -> None:
    """Put the marks of the code into the README: run this file when the test says that they differ."""
    before, _, after = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- invented -->")
    rows = "".join(f"| `{key}` | {sentence} |\n" for key, sentence in sorted(marks_in_code().items()))
    table = f"<!-- invented -->\n| key | what |\n|---|---|\n{rows}<!-- invented -->"
    (ROOT / "README.md").write_text(before + table + after, encoding="utf-8")


if __name__ == "__main__":
    write_table()

"""The table of what the bench brings to life names tests, commands, pages and profiles that are there."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "tools"
TABLE = re.compile(r"<!-- brought to life -->\n(.*?)<!-- brought to life -->", re.DOTALL)
QUOTED = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")
TEST = re.compile(r"(?P<file>[\w/]+\.py)::(?P<name>test_\w+)(?:\[(?P<case>.+)\])?")
COMMANDS = {
    "vitale-card": ROOT / "card/cli.py",
    "vitale-reader": ROOT / "reader/cli.py",
    "vitale-gateway": ROOT / "gateway/cli.py",
}


def rows() -> list[list[str]]:
    """The cells of each row: rule, places, tests."""
    [table] = TABLE.findall((ROOM / "README.md").read_text(encoding="utf-8"))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


ROWS = rows()


@cache
def tree(path: Path) -> ast.Module:
    """A source as Python reads it, without running it."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def texts(path: Path) -> frozenset[str]:
    """Every text constant of a source."""
    values = (node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant))
    return frozenset(value for value in values if isinstance(value, str))


@cache
def subcommands(path: Path) -> frozenset[str]:
    """The names that a command line gives to its parsers."""
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    makers = [
        call
        for call in calls
        if ast.unparse(call.func).rpartition(".")[2] in ("add_parser", "_state_command")
    ]
    given = [one.value for call in makers for one in call.args if isinstance(one, ast.Constant)]
    modules = (
        [one.stem for one in path.parent.glob("commands/*.py")] if path == COMMANDS["vitale-gateway"] else []
    )
    return frozenset([*map(str, given), *modules])


@cache
def priced_cases(path: Path) -> dict[str, frozenset[str]]:
    """The rules of the table of cases beside a test file, by the test that takes them."""
    cases = tomllib.loads(path.with_name("billing_cases.toml").read_text(encoding="utf-8"))["case"]
    takers = {
        "test_case_is_priced": "expected",
        "test_case_is_refused": "refused",
        "test_case_owes_later": "later",
    }
    return {
        name: frozenset(case["rule"] for case in cases if field in case) for name, field in takers.items()
    }


def names_a_test(text: str) -> bool:
    """Whether this names a test function, and a case of it where it names one."""
    named = TEST.fullmatch(text)
    path = ROOT / "tests" / named["file"] if named else ROOT
    if named is None or not path.is_file():
        return False
    if named["name"] not in {node.name for node in tree(path).body if isinstance(node, ast.FunctionDef)}:
        return False
    if named["case"] is None:
        return True
    if path.name == "test_billing_cases.py":
        return named["case"] in priced_cases(path)[named["name"]]
    return named["case"] in texts(path)


def program_is_there(words: list[str]) -> bool:
    """Whether a program of the bench, a command or a target of make stands, with its subcommand."""
    if words[0] == "make":
        return bool(
            re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        )
    if words[:2] == ["python", "-m"]:
        place = ROOT.joinpath(*words[2].split("."))
        path = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
        words = words[2:]
    else:
        path = COMMANDS.get(words[0], ROOT / "missing")
    return path.is_file() and set(words[1:]) <= subcommands(path)


def place_is_there(text: str) -> bool:
    """Whether a user finds this: a page of the portal, a shipped profile, a command."""
    if text.startswith("/"):
        return any(text in texts(path) for path in (ROOM / "portal").glob("*_pages.py"))
    if " " in text:
        return program_is_there(text.split())
    shipped = ROOT / "card" / "profiles"
    return any((folder / f"{text}.toml").is_file() for folder in (shipped, shipped / "outcomes"))


def link_is_there(target: str) -> bool:
    """Whether the file of a link is there, and in it the heading that the link names."""
    name, _, anchor = target.partition("#")
    path = ROOM / name if name else ROOM / "README.md"
    if not path.is_file():
        return False
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return not anchor or anchor in slugs


def test_the_table_is_whole() -> None:
    """Every row has a rule of its own, a place and a test, and nothing else in these two cells."""
    assert len({row[0] for row in ROWS}) == len(ROWS) >= 25
    for row in ROWS:
        assert len(row) == 3, row[0]
        _, places, tests = row
        assert re.sub(r"[, ]", "", LINK.sub("", QUOTED.sub("", places))) == "", row[0]
        assert re.sub(r"[, ]", "", QUOTED.sub("", tests)) == "", row[0]
        assert QUOTED.findall(places) + LINK.findall(places), row[0]
        assert QUOTED.findall(tests), row[0]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_a_row_is_true(row: list[str]) -> None:
    """What a row names is there: commands, pages, profiles, headings, tests and their cases."""
    _, places, tests = row
    assert [one for one in QUOTED.findall(places) if not place_is_there(one)] == []
    assert [one for one in LINK.findall(places) if not link_is_there(one)] == []
    assert [one for one in QUOTED.findall(tests) if not names_a_test(one)] == []


@pytest.mark.parametrize(
    "text",
    [
        "tools/test_kiosk.py",
        "tools/test_nowhere.py::test_a_good_day",
        "tools/test_kiosk.py::test_that_is_not_written",
        "gateway/test_billing_cases.py::test_case_is_priced[no régime 03 from 2020]",
        "gateway/test_billing_cases.py::test_case_is_refused[a rule of nobody]",
        "gateway/test_billing_golden.py::test_golden_amounts[a rule of nobody]",
    ],
)
def test_a_test_that_is_not_there_is_seen(text: str) -> None:
    """A file, function or case that does not exist, or a case of another outcome; the twin is found."""
    assert not names_a_test(text)
    assert names_a_test("gateway/test_billing_cases.py::test_case_is_refused[no régime 03 from 2020]")


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("/nulle-part", "/carte"),
        ("vitale-nobody", "vitale-single"),
        ("vitale-gateway guess", "vitale-gateway price"),
        ("python -m tools.nothing", "python -m tools.kiosk"),
        ("python -m tools.receiver guess", "python -m tools.receiver advance"),
        ("make tea", "make demo"),
        ("sudo reboot", "vitale-card show"),
    ],
)
def test_a_place_that_is_not_there_is_seen(text: str, twin: str) -> None:
    """A page, profile, command or target that does not exist is seen; its twin is found."""
    assert (place_is_there(text), place_is_there(twin)) == (False, True)


@pytest.mark.parametrize("target", ["NOTHING.md", "#no-such-heading", "../README.md#no-such-heading"])
def test_a_heading_that_is_not_there_is_seen(target: str) -> None:
    """A file or heading that does not exist is seen; the heading of the table is found."""
    assert not link_is_there(target)
    assert link_is_there("#what-it-brings-to-life")

"""What the judges share: fresh copies of test cards, and the logs of what ran beside a test that failed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.card.factory import image
from tests.interop.bench_pcscd import LOG_TAIL, WITNESSES, unavailable
from tests.interop.desk import Put

CardFile = Callable[..., Path]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what pcscd and the emulated reader said."""
    report = yield
    if report.failed:
        for witness in WITNESSES:
            report.sections.append((f"{type(witness).__name__} {witness.folder}", witness.log[-LOG_TAIL:]))
    return report


@pytest.fixture(scope="module")
def card_file(tmp_path_factory: pytest.TempPathFactory) -> CardFile:
    """`card_file(profile, compatible=False)`: the path of a fresh card image that a test may spoil."""
    folder = tmp_path_factory.mktemp("cards")

    def make(profile: str, *, compatible: bool = False) -> Path:
        file = folder / f"{profile}-{len(list(folder.iterdir()))}.card"
        file.write_bytes(image(profile, compatible=compatible))
        return file

    return make


@pytest.fixture(scope="session")
def pyscard() -> None:
    """For tests of the PC/SC driver: skipped where pyscard cannot be built."""
    if find_spec("smartcard") is None:
        unavailable("pyscard not installed; with swig and libpcsclite-dev there, make test installs it")


@pytest.fixture
def put(tmp_path: Path) -> Iterator[Put]:
    """`put(vitale, cps, serial=…)`: a reader of the test's own with these cards, with its own pcscd."""
    with ExitStack() as stack:
        yield Put(tmp_path, stack)


@pytest.fixture(scope="module")
def put_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Put]:
    """The same for a whole file of tests that change nothing."""
    with ExitStack() as stack:
        yield Put(tmp_path_factory.mktemp("desk"), stack)

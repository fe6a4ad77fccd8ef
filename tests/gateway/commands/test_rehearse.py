"""`vitale-gateway rehearse`: what a new certificate would do, said before it is in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main
from tools.bench import Bench


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set-up, and a second pair of the practice beside the present one."""
    root = tmp_path_factory.mktemp("rehearse")
    bench = Bench(root)
    bench.write_settings(2525)
    bench.authority.practice_keys("next")
    return root


@pytest.fixture
def rehearse(world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Runs the command among the practices' keys; code, output and error."""
    monkeypatch.chdir(world / "authority" / "practices")

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["rehearse", *words, "--config", str(world / "vitale-gateway.toml")])
        return code, *capsys.readouterr()

    return run


def test_a_new_pair(rehearse) -> None:  # type: ignore[no-untyped-def]
    """A good pair of the practice: from when to when, and where to name it."""
    code, out, _ = rehearse("next.cert.pem", "--key", "next.key.pem")
    assert code == 0
    assert "name it beside the present one in [practice] certificate and key" in out


def test_the_present_pair(rehearse) -> None:  # type: ignore[no-untyped-def]
    """The pair that is in the settings already is told apart."""
    code, out, _ = rehearse("demo.cert.pem", "--key", "demo.key.pem")
    assert code == 0
    assert "in the settings already" in out


def test_what_is_no_pair(rehearse) -> None:  # type: ignore[no-untyped-def]
    """Another key, a key without a certificate, the practice's own as the receiver's: one sentence each."""
    for words, said in (
        (("next.cert.pem", "--key", "demo.key.pem"), "is not the key of"),
        (("next.key.pem", "--key", "next.key.pem"), "is not a certificate in PEM"),
        (("nothing.pem",), "cannot be read"),
    ):
        code, _, error = rehearse(*words)
        assert (code, error.count("\n")) == (1, 1)
        assert said in error


def test_the_receivers(rehearse, world: Path) -> None:  # type: ignore[no-untyped-def]
    """The receiver's certificate, without a key."""
    code, out, _ = rehearse(str(world / "authority" / "receiver-encryption.cert.pem"))
    assert code == 0
    assert "[receiver] certificate" in out

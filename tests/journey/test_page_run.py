"""`make run` as a newcomer meets it: its link opens the page, the panel moves cards, it stops well."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@pytest.fixture
def running(page_run_folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program at work, and all that it said until it was ready."""
    command = [sys.executable, "-m", "tools.run", "--dir", str(page_run_folder)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line.startswith("open it now"):
            break
    yield process, said
    process.kill()
    process.wait()
    watchdog.cancel()


@pytest.fixture
def page_run_folder(tmp_path: Path) -> Path:
    """Where it keeps its world."""
    return tmp_path / "run"


def test_the_printed_link_opens_the_page(running: tuple[subprocess.Popen[str], str]) -> None:
    """The link signs in once; cards are in, the CPS is open; the panel takes the Vitale out; Ctrl-C stops."""
    process, said = running
    match = re.search(r"without a code: (http://127\.0\.0\.1:\d+)(/entrer/\w+)", said)
    assert match, said
    host = urlsplit(match[1]).netloc

    def ask(method: str, path: str, cookie: str = "", body: str = "") -> http.client.HTTPResponse:
        link = http.client.HTTPConnection(host, timeout=20)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}
        link.request(method, path, body, headers | ({"Cookie": cookie} if cookie else {}))
        return link.getresponse()

    entered = ask("GET", match[2])
    assert entered.status == 200
    cookie = str(entered.headers["Set-Cookie"]).partition(";")[0]
    assert ask("GET", match[2]).status == 403
    page = ask("GET", "/", cookie).read().decode()
    for text in ("BRUNO TEST-BRAVO", "Déverrouillée", "Banc d&#39;essai", 'id="usuel-1"'):
        assert text in page
    key = re.search(r'name="cle" value="(\w+)"', page)
    assert key
    form = {"cle": key[1], "fente": "vitale", "carte": "vitale-single", "faire": "retirer"}
    assert ask("POST", "/banc/carte", cookie, urlencode(form)).status == 303
    assert "Insérez la carte Vitale" in ask("GET", "/", cookie).read().decode()
    assert ask("POST", "/banc/carte", cookie, urlencode({**form, "cle": "0" * 64})).status == 403
    for wrong in ({"fente": "x"}, {"faire": "inserer", "carte": "../../etc/passwd"}):
        assert ask("POST", "/banc/carte", cookie, urlencode({**form, **wrong})).status == 422
    assert ask("POST", "/banc/jours", cookie, urlencode({"cle": key[1], "jours": "²"})).status == 422
    assert ask("POST", "/banc/jours", cookie, urlencode({"cle": key[1], "jours": "5"})).status == 303
    code = re.search(r"page on \S+ with the code ([0-9A-Z-]{14})\n", said)
    assert code
    assert code[1] not in page
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stdout is not None
    assert "stopped in good order" in process.stdout.read()

"""The door of the page: who comes in, how, and what a stranger or a page elsewhere can do (nothing)."""

from __future__ import annotations

import json
import shutil
import stat
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.api.app import make_app
from gateway.brake import Brake
from gateway.clock import SimulatedClock, SystemClock, system_rng
from gateway.page.codes import Codes
from gateway.page.sessions import IDLE_SECONDS, LONGEST_SECONDS, MAX_SESSIONS, Sessions
from tests.gateway.page.visitor import HOST, PIN, Browser, Rig, open_rig
from tools.bench import Bench

PAGES = (
    "/", "/feuille/nouvelle", "/feuilles", "/a-reprendre", "/lots", "/paiements", "/releve", "/releve.csv",
    "/chiffres", "/morceau/bureau", "/evenements",
)  # fmt: skip
FORMS = (
    "/session/ouvrir", "/session/fermer", "/signer-en-attente", "/feuille/nouvelle", "/morceau/prix",
    "/feuille/1/annuler", "/feuille/1/refaire", "/feuille/1/corriger", "/lots/fermer", "/lots/envoyer",
)  # fmt: skip


def test_nobody_sees_a_page_without_signing_in(rig: Rig) -> None:
    """Every page sends a stranger to the door; who is signed in sees it."""
    stranger, mine = Browser(rig.app), rig.browser()
    for path in PAGES:
        assert stranger.get(path) in (303, 401), path
        assert stranger.headers.get("location", "/connexion") == "/connexion"
        assert stranger.raw == ""
        if path != "/evenements":  # a stream: the journey in a browser looks at it
            assert mine.get(path) == 200


def test_a_form_without_its_key_does_nothing(rig: Rig) -> None:
    """403 for a form whose key is missing or another's, for whoever is signed in."""
    mine, other = rig.browser(), rig.browser()
    mine.get("/")
    other.get("/")
    for path in FORMS:
        for key in ("", "0" * 64, other.hidden("cle")):
            assert mine.ask("POST", path, f"cle={key}&pin={PIN}&faire=signer") == 403, path
    assert not rig.desk.is_unlocked
    assert rig.practice.store.fse_list() == []


def test_a_form_from_another_place_does_nothing(rig: Rig) -> None:
    """A right key from another origin is refused; from our own it opens the session."""
    mine = rig.browser()
    mine.get("/")
    body = f"cle={mine.hidden('cle')}&pin={PIN}"
    for headers in (
        {"origin": "https://evil.test"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ):  # fmt: skip
        assert mine.ask("POST", "/session/ouvrir", body, **headers) == 403
    assert (
        mine.ask("POST", "/session/ouvrir", body, origin=f"http://{HOST}", sec_fetch_site="same-origin")
        == 303
    )


def test_signing_in_needs_the_code(rig: Rig) -> None:
    """A wrong code is refused, the right one opens the desk in any grouping; O and I are read as 0 and 1."""
    visitor = Browser(rig.app)
    assert visitor.enter("AAAA-AAAA-AAAA") == 403
    assert "n'ouvre aucun cabinet" in visitor.page
    assert visitor.get("/") == 303
    typed = rig.code.replace("-", " ").lower().replace("0", "o").replace("1", "i")
    assert visitor.enter(typed) == 303
    assert visitor.get("/") == 200


def test_guessing_codes_is_slowed(rig: Rig) -> None:
    """After five wrong ones nobody comes in for a minute, not even with the right one."""
    visitor = Browser(rig.app)
    assert [visitor.enter("WRONG") for _ in range(6)] == [403] * 5 + [429]
    assert visitor.enter(rig.code) == 429
    clock = SimulatedClock(rig.practice.clock.now())
    brake = Brake(clock)
    for _ in range(5):
        brake.wrong()
    assert brake.is_on
    clock.sleep(61)
    assert not brake.is_on


def test_the_login_form_needs_its_own_browser(rig: Rig) -> None:
    """The key of the login form belongs to the cookie of the browser that was shown it (login CSRF)."""
    one, two = Browser(rig.app), Browser(rig.app)
    one.get("/connexion")
    two.get("/connexion")
    assert two.ask("POST", "/connexion", f"cle={one.hidden('cle')}&code={rig.code}") == 403
    assert one.ask("POST", "/connexion", f"cle={one.hidden('cle')}&code={rig.code}") == 303


def test_a_link_signs_in_once(rig: Rig) -> None:
    """The first one who follows it is in, the second is at the door."""
    link = rig.site.link(rig.practice.id)
    first, second = Browser(rig.app), Browser(rig.app)
    assert (first.get(link), second.get(link)) == (200, 403)
    assert first.get("/") == 200
    assert second.get("/") == 303
    assert Browser(rig.app).get("/entrer/" + "0" * 48) == 403


def test_the_cookie_is_closed_to_scripts_and_other_sites(rig: Rig) -> None:
    """HttpOnly, SameSite=Strict, a new one at each sign-in; Secure where a proxy offers the page."""
    visitor = Browser(rig.app)
    visitor.get("/connexion")
    before = visitor.cookies.copy()
    visitor.enter(rig.code)
    visitor.ask("POST", "/deconnexion", "")
    again = rig.browser()
    again.send("", "/connexion")
    for cookie in visitor.set_cookies + again.set_cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
    assert visitor.cookies["cabinet"] not in before.values()


def test_secure_behind_a_proxy(rig: Rig) -> None:
    """A name of the settings is served, its cookie is Secure; any other name is not (DNS rebinding)."""
    app = make_app(rig.service, replace(rig.site, hosts=("cabinet.test",)).door())
    far = Browser(app)
    assert far.get("/connexion", host="cabinet.test") == 200
    assert all("Secure" in cookie for cookie in far.set_cookies)
    near = Browser(app)
    near.get("/connexion")
    assert not any("Secure" in cookie for cookie in near.set_cookies)


def test_only_our_own_names_are_answered(rig: Rig) -> None:
    """421 and nothing else for a name that is not ours; this machine's names are."""
    mine = rig.browser()
    for host in ("evil.test", "127.0.0.1.evil.test", "", "8.8.8.8", "localhost.evil.test:8420"):
        assert mine.get("/", host=host) == 421
        assert "cle" not in mine.raw
    for own in ("localhost:8420", "[::1]:8420", HOST):
        assert mine.get("/", host=own) == 200


def test_every_answer_carries_the_headers(rig: Rig) -> None:
    """A strict policy without inline script, no frame, no guessing of types; pages are kept by nobody."""
    mine = rig.browser()
    for path in ["/", "/connexion", "/releve.csv", "/page.css", "/page.js", "/nulle-part"]:
        mine.get(path)
        policy = mine.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert mine.headers["x-frame-options"] == "DENY"
        assert mine.headers["x-content-type-options"] == "nosniff"
        assert mine.headers["cache-control"] == "no-store"


def test_path_tricks_lead_nowhere(rig: Rig) -> None:
    """404, never a file, never a mistake."""
    mine = rig.browser()
    for path in [
        "/../etc/passwd",
        "/page.css/../../door.py",
        "/static/page.css",
        "/feuille/../lots",
        "/feuille/%2e%2e",
        "/feuille/1/2/3",
        "/lot/..",
        "//evil.test/",
        "/entrer/../../",
        "/feuille/-1",
        "/feuille/1e3",
        "/feuille/99999999999999",
        "/lot/1",
        "/feuille/１",
    ]:
        assert mine.get(path) == 404
        assert "root:" not in mine.raw
        assert rig.said == []


def test_a_form_that_is_too_large_is_refused(rig: Rig) -> None:
    """413 in a sentence; a form of the usual size goes through."""
    mine = rig.browser()
    mine.get("/")
    key = mine.hidden("cle")
    assert mine.ask("POST", "/session/ouvrir", f"cle={key}&pin=" + "1" * 70_000) == 413
    assert mine.ask("POST", "/session/ouvrir", f"cle={key}&pin={PIN}") == 303


def test_the_api_stays_what_it_is(rig: Rig) -> None:
    """Its addresses answer problems in JSON, its tokens open no page, a cookie none of its own."""
    mine = rig.browser()
    assert mine.get("/v1/fse") == 401
    assert json.loads(mine.raw)["code"] == "no-token"
    assert mine.get("/v1/nothing") == 404
    assert mine.headers["content-type"] == "application/problem+json"
    token = rig.service.tokens.new("soft", rig.practice.id, rig.practice.clock, system_rng)
    assert Browser(rig.app).get("/", authorization=f"Bearer {token}") == 303


def test_leaving_ends_the_session(rig: Rig) -> None:
    """After leaving, the old cookie opens nothing; another browser of the practice stays in."""
    mine, other = rig.browser(), rig.browser()
    old = mine.cookies["cabinet"]
    assert mine.send("/", "/deconnexion") == 303
    mine.cookies["cabinet"] = old
    assert mine.get("/") == 303
    assert other.get("/") == 200


def test_sessions_end_by_themselves(rig: Rig) -> None:
    """Two idle hours or twelve at all end one; the longest idle one goes when there are too many."""
    clock = SimulatedClock(rig.practice.clock.now())
    sessions = Sessions(clock, system_rng)
    idle = sessions.begin("demo")
    clock.sleep(IDLE_SECONDS + 1)
    assert sessions.find(idle.token) is None
    busy = sessions.begin("demo")
    for _ in range(int(LONGEST_SECONDS / 3600)):
        assert sessions.find(busy.token) is busy
        clock.sleep(3600)
    clock.sleep(1)
    assert sessions.find(busy.token) is None
    assert busy.ended
    first = sessions.begin("demo")
    clock.sleep(1)
    rest = [sessions.begin("demo") for _ in range(MAX_SESSIONS)]
    assert sessions.find(first.token) is None
    assert sessions.find(rest[0].token) is rest[0]


def test_codes_are_kept_as_digests_only(rig: Rig) -> None:
    """The file is the owner's alone and holds no code; a new code ends the former one, revoking too."""
    path = rig.bench.root / "tokens-page.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert rig.code not in path.read_text()
    assert rig.code.replace("-", "") not in path.read_text()
    codes = Codes(path)
    again = codes.new(rig.practice.id, SystemClock(), system_rng)
    assert (codes.practice_of(rig.code), codes.practice_of(again)) == ("", rig.practice.id)
    codes.revoke(rig.practice.id)
    assert codes.practice_of(again) == ""
    assert codes.practices() == ()


def test_a_practice_sees_nothing_of_another(rig: Rig, browser: Browser) -> None:
    """The code of a practice that has no seat here shows no desk, no sheet, no lot of the one that has."""
    browser.send(
        "/feuille/nouvelle?actes=G", "/feuille/nouvelle", personne="1", faire="signer", **{"a0-code": "G"}
    )
    assert browser.get("/feuille/1") == 200
    code = rig.site.codes.new("elsewhere", rig.practice.clock, system_rng)
    stranger = Browser(rig.app)
    assert stranger.enter(code) == 303
    for path in ("/", "/feuille/1", "/feuilles", "/lots", "/releve", "/feuille/1/papier"):
        assert stranger.get(path) in (200, 403, 404), path
        assert "TEST-ALPHA" not in stranger.page
        assert 'href="/feuille/1"' not in stranger.page
    assert rig.practice.store.fse_list()[0].number == 1


def test_the_language_is_a_choice(rig: Rig) -> None:
    """French first; ?lang=en is kept; anything else changes nothing."""
    mine = rig.browser()
    mine.get("/")
    assert '<html lang="fr">' in mine.raw
    mine.get("/?lang=en")
    assert '<html lang="en">' in mine.raw
    mine.get("/lots")
    assert "Lots and receipts" in mine.page
    mine.get("/lots?lang=<script>")
    assert '<html lang="en">' in mine.raw
    english = Browser(make_app(rig.service, replace(rig.site, language="en").door()))
    english.get("/connexion")
    assert "Access code" in english.page


def test_a_mistake_of_the_page_says_nothing_of_its_work(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback goes nowhere: a sentence for the person, the name of the error for the log."""

    def fail(_site: object) -> None:
        raise ValueError("285199934910161")

    mine = rig.browser()
    monkeypatch.setattr("gateway.page.pages_desk.needs_of", lambda *_: fail(None))
    assert mine.get("/") == 500
    assert "285199934910161" not in mine.raw
    assert rig.said == ["the page made a mistake (ValueError): please report it"]


def test_two_practices_at_one_gateway(world: Path, tmp_path: Path) -> None:
    """The second one, without a reader, has its own empty pages: no card, no sheet, no lot, no return of the
    first; its forms change nothing there."""
    root = tmp_path / "bench"
    shutil.copytree(world, root)
    with ExitStack() as stack:
        rig = open_rig(Bench(root), stack, others=("second",))
        first = rig.browser()
        first.send("/", "/session/ouvrir", pin=PIN)
        form = {"personne": "1", "faire": "signer", "a0-code": "G"}
        assert first.send("/feuille/nouvelle?actes=G", "/feuille/nouvelle", **form) == 303
        first.send("/lots", "/lots/fermer")
        lot = rig.practice.store.lot_list()[0].id
        rig.practice.store.post_unreadable(b"?", "m", "a stray of the first", rig.practice.id)
        second = rig.browser(rig.site.codes.new("second", rig.practice.clock, system_rng))
        for path in PAGES[:-1]:
            assert second.get(path) == 200, path
            for text in ("TEST-ALPHA", "TEST-MEDECIN", "a stray", 'href="/feuille/1"', lot):
                assert text not in second.page, (path, text)
        for path in ("/feuille/1", f"/lot/{lot}", "/feuille/1/annuler", "/feuille/1/papier"):
            assert second.get(path) == 404
        assert second.send("/", "/feuille/1/annuler") == 404
        assert second.send("/", f"/lot/{lot}/relancer") == 404
        assert second.send("/", "/session/ouvrir", pin=PIN) in (403, 409)
        assert first.get("/feuille/1") == 200

"""Attacks on the portal: forged forms, guessed codes, pages of others, names that are HTML, odd paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from gateway.brake import TRIES
from tests.tools.portal_visitor import Site, Visitor, serving
from tools.portal.register import Register
from tools.portal.sessions import IDLE_SECONDS, Session
from tools.portal.views import Views
from tools.portal.visit import INSURED, Visit
from tools.receiver.config import ReceiverConfig

if TYPE_CHECKING:
    from conftest import Bench, Practice

WHO = "vitale-single"
PAGES = ("/remboursements", "/releve", "/retenues", "/attestation", "/carte", "/medecin", "/complementaire")
STAFF = ("/controle", "/controle/rejets", "/controle/medicaments", "/controle/defauts")


@pytest.fixture
def site(build: Callable[..., Bench], tmp_path: Path, practice: Practice) -> Iterator[Site]:
    """A portal over an empty ledger."""
    bench, opposition = build(), tmp_path / "opposition.txt"
    config = ReceiverConfig(
        practice.authority.directory, tmp_path / "state0", tmp_path / "mail", clock=bench.clock,
        opposition=opposition,
    )  # fmt: skip
    with serving(bench, config, opposition) as made:
        yield made


def test_a_form_without_the_key_of_the_session_does_nothing(site: Site) -> None:
    """CSRF: no key, another session's key and another site's origin are refused; the right one is done."""
    victim, other = site.visitor(WHO), site.visitor("vitale-ald")
    other.get("/carte")
    for key in ("", "0" * 64, other.key, "é"):
        assert victim.ask("POST", "/carte/opposition", urlencode({"cle": key, "motif": "V"})) == 403
    victim.get("/carte")
    form = urlencode({"cle": victim.key, "motif": "V"})
    for origin in ("https://evil.test", "null"):
        assert victim.ask("POST", "/carte/opposition", form, Origin=origin) == 403
    victim.get("/carte")
    assert "en service" in victim.page
    here = f"http://127.0.0.1:{site.port}"
    assert victim.ask("POST", "/carte/opposition", form, Origin=here) == 303


def test_every_form_of_every_page_carries_the_key(site: Site) -> None:
    """As many keys as forms that post, on each page of both kinds of people."""
    for name, pages in ((WHO, PAGES), ("controleur", STAFF)):
        visitor = site.visitor(name)
        for path in pages:
            assert visitor.get(path) == 200
            assert visitor.page.count('method="post"') == visitor.page.count('name="cle"') > 0


def test_codes_cannot_be_guessed_by_trying(site: Site) -> None:
    """After five wrong codes even the right one is refused for a minute; then it opens again."""
    visitor = Visitor(site.port)
    for _ in range(TRIES):
        assert visitor.enter("AAAA-AAAA-AAAA-AAAA") == 403
    assert visitor.enter(site.seal.code(WHO)) == 429
    site.bench.clock.advance(timedelta(seconds=61))
    assert visitor.enter(site.seal.code(WHO)) == 303


def test_pages_are_for_their_owner_only(site: Site) -> None:
    """Nobody, an insured person at the controller's, the controller at the insured's: no page."""
    stranger, insured, staff = Visitor(site.port), site.visitor(WHO), site.visitor("controleur")
    for path in (*PAGES, *STAFF, "/attestation.pdf", "/releve.pdf"):
        assert stranger.get(path) == 303
        assert (insured.get(path) == 200) == (path not in STAFF)
        assert (staff.get(path) == 200) == (path in STAFF)
    for query in ("?nir=2881899349901", "?beneficiaire=IRENE%20TEST-INDIA", "?famille=1"):
        insured.get(f"/remboursements{query}")
        assert "TEST-INDIA" not in insured.page.replace(query, "")


def test_signing_in_changes_the_cookie_and_leaving_ends_it(site: Site) -> None:
    """A cookie from before is nobody afterwards (fixation); one that left, or sat idle, is nobody either."""
    visitor = Visitor(site.port)
    visitor.get("/")
    before = visitor.cookie
    visitor.enter(site.seal.code(WHO))
    assert before != visitor.cookie
    assert Visitor(site.port, before).get("/carte") == 303
    kept = visitor.cookie
    assert visitor.send("/carte", "/deconnexion") == 303
    assert Visitor(site.port, kept).get("/carte") == 303
    idle = site.visitor(WHO)
    assert idle.get("/carte") == 200
    site.bench.clock.advance(timedelta(seconds=IDLE_SECONDS + 1))
    assert idle.get("/carte") == 303


def test_names_that_are_html_are_text(site: Site) -> None:
    """A beneficiary called <script> is shown as written, on the page; the plain name is shown too."""
    known = next(one for one in Register(site.seal) if one.name == WHO)
    evil = replace(known.profile.people[0], name='<script>alert("1")</script>', first_name="A&B")
    profile = replace(known.profile, people=(evil,))
    visit = Visit(Session("t", "k", INSURED, known, notice="<b>dit</b>"), "/attestation")
    page = Views().page(
        visit, "attestation", family=replace(known, profile=profile), standings=[], doctor="<i>x</i>",
        today=site.bench.clock.now().date(),
    )  # fmt: skip
    assert b"<script" not in page.body
    assert b"&lt;script&gt;" in page.body
    assert b"A&amp;B" in page.body
    assert b"<b>dit" not in page.body
    assert b"<i>x" not in page.body


@pytest.mark.parametrize(
    "path",
    ["/../state0/ledger.key", "/%2e%2e/ledger.key", "/static/../app.py", "/templates/base.html",
     "//etc/passwd", "/style.css/../x", "/carte/", "/releve.pdf/x", "/%00", "/openapi.json", "/docs"],
)  # fmt: skip
def test_paths_lead_nowhere_else(site: Site, path: str) -> None:
    """No path reaches a file; the style sheet, which is a page like others, does answer."""
    visitor = site.visitor(WHO)
    assert visitor.get(path) == 404
    assert visitor.get("/style.css") == 200


def test_what_is_too_large_or_no_form_is_refused(site: Site) -> None:
    """A body beyond any form, bytes that are no text and unknown methods; the sentence names nobody."""
    visitor = site.visitor(WHO)
    assert visitor.ask("POST", "/medecin", "medecin=" + "9" * 9000) == 413
    assert visitor.ask("POST", "/medecin", "%ff%fe&&&==") == 403
    assert visitor.ask("DELETE", "/carte") == 405
    assert visitor.get("/carte") == 200


def test_another_name_for_this_machine_is_refused(site: Site) -> None:
    """A page elsewhere that rebinds its name to loopback gets nothing; the loopback address does."""
    visitor = Visitor(site.port)
    assert visitor.ask("GET", "/", Host="evil.test") == 421
    assert visitor.ask("GET", "/", Host=f"localhost:{site.port}") == 200
    assert visitor.get("/") == 200
    policy = visitor.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "no-store" in visitor.headers["cache-control"]

"""The bench beside the practice's page in `make run`: cards in and out, days that pass. Not the product.

The page of the gateway takes a guest; this one stands at the foot of every page, marked as a bench, so that
a newcomer goes from an inserted card to a paid sheet in the browser alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, StrictUndefined

from card.personalise import list_outcomes, list_profiles, load_profile
from gateway.errors import InputError
from gateway.page.visit import Reply, Route, Routes, Visit, go
from tools.bench import Bench
from tools.two_slots import TwoSlots

DAYS = (1, 5, 10)
_SLOTS = {"vitale": "Vitale", "cps": "CPS"}

_WORDS = {
    "fr": {
        "title": "Banc d'essai",
        "about": "Ceci n'est pas le produit : lecteur, cartes et destinataire sont simulés ici. "
        "Code porteur des cartes CPS : 1234.",
        "vitale": "Carte Vitale",
        "cps": "Carte CPS",
        "insert": "Insérer",
        "remove": "Retirer",
        "usual": "Cartes ordinaires",
        "outcomes": "Cartes qui décident de la suite",
        "days": "Faire passer le temps chez les caisses",
        "day": "{n} jour{s}",
        "inserted": "{name} est dans la fente.",
        "removed": "La fente est vide.",
        "passed": "Jours passés : {n} ; paiements qui se rapprochent : {moved}.",
        "portal": "Portail de l'assuré et du contrôleur",
        "code": "code",
    },
    "en": {
        "title": "Test bench",
        "about": "This is not the product: reader, cards and receiver are simulated on this machine. "
        "PIN of the CPS cards: 1234.",
        "vitale": "Carte Vitale",
        "cps": "CPS card",
        "insert": "Insert",
        "remove": "Take out",
        "usual": "Usual cards",
        "outcomes": "Cards that decide the outcome",
        "days": "Let time pass at the caisses",
        "day": "{n} day{s}",
        "inserted": "{name} is in the slot.",
        "removed": "The slot is empty.",
        "passed": "Days passed: {n}; payments that come nearer: {moved}.",
        "portal": "Portal of the insured and of the controller",
        "code": "code",
    },
}

_PANEL = """\
<section class="bench screen" aria-labelledby="banc">
<h2 id="banc">{{ w.title }}</h2>
<p class="faint">{{ w.about }}</p>
{% for kind in ('vitale', 'cps') %}
<form method="post" action="/banc/carte" class="line">
<input type="hidden" name="cle" value="{{ key }}"><input type="hidden" name="fente" value="{{ kind }}">
<label for="banc-{{ kind }}">{{ w[kind] }}</label>
<select id="banc-{{ kind }}" name="carte">
<optgroup label="{{ w.usual }}">{% for name, label in cards[kind] %}<option value="{{ name }}"\
{% if name == present[kind] %} selected{% endif %}>{{ name }} · {{ label }}</option>{% endfor %}</optgroup>
<optgroup label="{{ w.outcomes }}">{% for name, label in outcomes[kind] %}<option value="{{ name }}"\
{% if name == present[kind] %} selected{% endif %}>{{ name }} · {{ label }}</option>{% endfor %}</optgroup>
</select>
<button name="faire" value="inserer" id="banc-inserer-{{ kind }}">{{ w.insert }}</button>
<button name="faire" value="retirer" id="banc-retirer-{{ kind }}">{{ w.remove }}</button>
</form>
{% endfor %}
<form method="post" action="/banc/jours" class="line">
<input type="hidden" name="cle" value="{{ key }}"><span>{{ w.days }}</span>
{% for n in days %}
<button name="jours" value="{{ n }}" id="banc-jours-{{ n }}">\
{{ w.day.format(n=n, s='s' if n > 1 else '') }}</button>
{% endfor %}
</form>
{% for words, address, code in links %}
<p class="faint"><a href="{{ address }}" target="_blank" rel="noopener noreferrer">{{ w[words] }}</a> · \
{{ w.code }} <span class="code">{{ code }}</span></p>
{% endfor %}
</section>
"""


@dataclass
class BenchPanel:
    """The guest of the page. `advance(days)` brings payments nearer and says how many moved.

    `links`: a word of the panel, an address and a code, such as the portal's. `before_insert`: told which
    card goes in, before it does.
    """

    bench: Bench
    place: TwoSlots
    advance: Callable[[float], int]
    links: tuple[tuple[str, str, str], ...] = ()
    before_insert: Callable[[str], None] = lambda slot: None
    present: dict[str, str] = field(default_factory=dict)

    def routes(self) -> Routes:
        """The forms of the panel."""
        return {
            ("POST", "/banc/carte"): Route(self.move_card),
            ("POST", "/banc/jours"): Route(self.pass_days),
        }

    def panel(self, visit: Visit) -> str:
        """The HTML of the panel."""
        words = _WORDS[visit.texts.language]
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        return environment.from_string(_PANEL).render(
            w=words,
            key=visit.form_key,
            cards={kind: _cards(kind, False) for kind in _SLOTS},
            outcomes={kind: _cards(kind, True) for kind in _SLOTS},
            present={kind: self.present.get(kind, "") for kind in _SLOTS},
            days=DAYS,
            links=self.links,
        )

    def move_card(self, visit: Visit) -> Reply:
        """Put a card in, made at first use, or take it out."""
        words, form = _WORDS[visit.texts.language], visit.form
        kind, name = form.get("fente", ""), form.get("carte", "")
        slot = _SLOTS.get(kind)
        if slot is None:
            raise InputError("fente: give vitale or cps.")
        if form.get("faire") == "retirer":
            self.place.remove(slot)
            return go("/", visit, words["removed"])
        if name not in dict((*_cards(kind, False), *_cards(kind, True))):
            raise InputError("carte: choose a card of the list.")
        self.bench.make_cards([name])
        self.before_insert(slot)
        self.place.insert(slot, name)
        self.present[kind] = name
        return go("/", visit, words["inserted"].format(name=name))

    def pass_days(self, visit: Visit) -> Reply:
        """Time at the receiver."""
        text = visit.form.get("jours", "")
        if text not in map(str, DAYS):
            raise InputError("jours: choose one of the buttons.")
        moved = self.advance(float(text))
        return go("/", visit, _WORDS[visit.texts.language]["passed"].format(n=text, moved=moved))


@cache
def _cards(kind: str, decides: bool) -> tuple[tuple[str, str], ...]:
    """Names and labels of the shipped cards of one kind."""
    names = list_outcomes() if decides else list_profiles()
    found = ((name, load_profile(name)) for name in names)
    return tuple((name, profile.label) for name, profile in found if profile.kind == kind)

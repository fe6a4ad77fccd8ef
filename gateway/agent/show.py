"""The agent's page as HTML: what is shown, for whom it is safe to show. No socket, no framework, no
script.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

from gateway.agent.pins import PinQuestions, Question, tries_left
from gateway.agent.program import Agent
from gateway.agent.texts import TEXTS
from reader.slot import Slot

STYLE = (
    "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 "
    "1rem;color:#1b1b1b}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}"
    "form.pin,p.said{border:2px solid #0b5394;padding:1rem;border-radius:.4rem;background:#eef4fb}"
    "p.said{border-color:#777;background:#f6f6f6}input{font-size:1.4rem;letter-spacing:.3em;width:9rem}"
    "button{font-size:1rem;padding:.4rem 1rem;margin-right:.5rem}.away{color:#a00000;font-weight:bold}"
    ".lang{float:right}li{font-size:.9rem}"
)
REFRESH_SECONDS = 2

POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Content-Security-Policy: this style, this page's forms, nothing else."""


def whole(agent: Agent, pins: PinQuestions, language: str, csrf: str, message: str) -> str:
    """Everything: connection, slots, the question that waits, what happened last."""
    text = TEXTS[language]
    questions = pins.open()
    body = [_connection(agent, text), _message(message), *(_said(slot, pins, text) for slot in agent.slots)]
    if questions:
        body += [_question(question, pins, text, csrf) for question in questions[:1]]
        refresh = int(pins.seconds_left(questions[0])) + 2
    else:
        body.append(f"<p>{escape(text['nothing'])}</p>")
        refresh = REFRESH_SECONDS
    body += [_slots(agent.slots, text), _lines(agent.lines, text)]
    return _page(text, language, "".join(body), refresh)


def closed(language: str) -> str:
    """For whoever has not opened the link."""
    text = TEXTS[language]
    return _page(text, language, f"<p>{escape(text['closed'])}</p>", 0)


def _page(text: Mapping[str, str], language: str, body: str, refresh: int) -> str:
    other = "en" if language == "fr" else "fr"
    again = f'<meta http-equiv="refresh" content="{refresh};url=/">' if refresh else ""
    title = escape(text["title"])
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{again}'
        f"<style>{STYLE}</style></head>"
        f'<body><a class="lang" href="/?lang={other}" lang="{other}">{escape(text["other"])}</a>'
        f"<main><h1>{title}</h1>{body}</main></body></html>"
    )


def _connection(agent: Agent, text: Mapping[str, str]) -> str:
    where = f"{agent.settings.host}:{agent.settings.port}"
    state, look = ("connected", "here") if agent.is_connected else ("away", "away")
    said = f'<p class="{look}" role="status">{escape(text[state].format(where=where))}</p>'
    if agent.certificate_ends is None:
        return said
    return said + f"<p>{escape(text['certificate'].format(day=f'{agent.certificate_ends:%Y-%m-%d}'))}</p>"


def _message(message: str) -> str:
    return f'<p class="said" role="alert">{escape(message)}</p>' if message else ""


def _said(slot: Slot, pins: PinQuestions, text: Mapping[str, str]) -> str:
    """What the card in a slot said of the last PIN, as long as a card is in."""
    status = pins.last_status.get(slot.name)
    if status is None or not slot.is_present:
        return ""
    tries = tries_left(status)
    name = {0x9000: "accepted", 0x6983: "blocked"}.get(status, "refused" if tries is None else "wrong")
    said = text[name].format(slot=slot.name, tries=tries, status=f"{status:04X}")
    return f'<p class="said">{escape(said)}</p>'


def _question(question: Question, pins: PinQuestions, text: Mapping[str, str], csrf: str) -> str:
    least, most, number = question.least, question.most, question.number
    seconds = int(pins.seconds_left(question))
    return (
        f'<form class="pin" method="post" action="/pin" autocomplete="off">'
        f'<p role="alert">{escape(text["asked"].format(slot=question.slot))}</p>'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        f'<input type="hidden" name="question" value="{number}">'
        f'<p><label for="pin">{escape(text["typed"].format(least=least))}</label><br>'
        f'<input id="pin" name="pin" type="password" inputmode="numeric" autocomplete="off" autofocus '
        f'minlength="{least}" maxlength="{most}" pattern="[0-9]*"></p>'
        f'<p><button name="do" value="give">{escape(text["give"])}</button>'
        f'<button name="do" value="cancel" formnovalidate>{escape(text["cancel"])}</button></p>'
        f"<p>{escape(text['left'].format(seconds=seconds))}</p></form>"
    )


def _slots(slots: Sequence[Slot], text: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{escape(slot.name)}</td><td>{escape(_state(slot, text))}</td>"
        f"<td>{escape(text['pad' if slot.has_pad else 'here'])}</td></tr>"
        for slot in slots
    )
    head = "".join(f'<th scope="col">{escape(text[name])}</th>' for name in ("slot", "card", "pin"))
    return (
        f"<h2>{escape(text['slots'])}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _state(slot: Slot, text: Mapping[str, str]) -> str:
    if slot.is_present:
        return text["present"]
    return str(slot.why_empty) if slot.why_empty else text["empty"]


def _lines(lines: Sequence[str], text: Mapping[str, str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in reversed(tuple(lines)))
    return f"<h2>{escape(text['lines'])}</h2><ul>{items}</ul>"

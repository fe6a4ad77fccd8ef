"""A browser for the agent's page: one request at a time, cookies kept, nothing followed."""

from __future__ import annotations

import http.client
import re
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit


@dataclass
class Answer:
    """What came back."""

    status: int
    body: str
    headers: dict[str, str]


@dataclass
class Browser:
    """Keeps cookies, follows nothing."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, form: dict[str, object] | None = None, **headers: str) -> Answer:
        """One request."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if self.cookies:
                sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            body = None if form is None else urlencode(form)
            if body is not None:
                sent["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("GET" if form is None else "POST", path, body, sent)
            answer = connection.getresponse()
            for name, value in answer.getheaders():
                if name == "Set-Cookie":
                    key, _, rest = value.partition("=")
                    self.cookies[key] = rest.partition(";")[0]
            return Answer(answer.status, answer.read().decode(), dict(answer.getheaders()))

    def opens(self, link: str) -> None:
        """Follow the link that is good once."""
        parts = urlsplit(link)
        assert self.ask(f"{parts.path}?{parts.query}").status == 303

    def hidden(self, name: str) -> str:
        """A hidden field of the form that is shown; "" when there is no form."""
        found = re.search(f'name="{name}" value="([^"]*)"', self.ask("/").body)
        return found[1] if found else ""

    def types(self, pin: str) -> None:
        """Type a PIN into the form."""
        form = {"csrf": self.hidden("csrf"), "question": self.hidden("question"), "pin": pin, "do": "give"}
        assert self.ask("/pin", form).status == 303

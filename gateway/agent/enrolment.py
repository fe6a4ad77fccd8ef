"""What makes an agent known: its key and certificate, the settings for its machine, its line in the
register.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.agent.authority import (
    AgentAuthority,
    certificate_pem,
    key_pem,
    new_key,
    read_request,
    request_pem,
)
from gateway.agent.files import OWN, SHOWN, write_file
from gateway.agent.register import AGENT_NAME, Enrolled, Register
from gateway.agent.settings import SETTINGS, example_settings
from gateway.config import AgentsConfig
from gateway.errors import InputError

CERTIFICATE, KEY, AUTHORITY, REQUEST = (
    "agent.cert.pem",
    "agent.key.pem",
    "authority.cert.pem",
    "agent.csr.pem",
)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What was made: the folder to copy, and the agent's line in the register. `founded`: the authority
    too.
    """

    folder: Path
    files: tuple[Path, ...]
    entry: Enrolled
    founded: bool


def enrol(
    config: AgentsConfig,
    name: str,
    practice: str,
    now: datetime,
    *,
    request: Path | None = None,
    renew: bool = False,
) -> Enrolment:
    """Admit an agent of a practice from now on. `request`: the key stays on the agent's machine.

    InputError says what is wrong; then nothing is admitted. The files are written before the register: a
    certificate that is not in it opens no door.
    """
    register = Register.beside(config.authority)
    register.check_new(name, practice, renew=renew)
    key = new_key() if request is None else None
    public = key.public_key() if key else read_request(request or Path(), name, practice)
    founded = not config.authority.exists()
    authority = AgentAuthority.found(config.authority, now)
    authority.gateway_pair(config.certificate, config.key, now)
    certificate = authority.issue(name, practice, public, now)
    folder = config.authority.parent / name
    files = {
        CERTIFICATE: (certificate_pem(certificate), SHOWN),
        AUTHORITY: (certificate_pem(authority.certificate), SHOWN),
    }
    if key is not None:
        files[KEY] = (key_pem(key), OWN)
    if not renew:
        files[SETTINGS] = (
            example_settings(f"{_in_url(config.address)}:{config.port}").encode("utf-8"),
            SHOWN,
        )
    for file, (data, rights) in files.items():
        write_file(folder / file, data, rights)
    entry = Enrolled(
        name=name,
        practice=practice,
        serial=f"{certificate.serial_number:x}",
        made=now.isoformat(),
        ends=certificate.not_valid_after_utc.isoformat(),
    )
    register.add(entry, renew=renew)
    return Enrolment(folder, tuple(folder / file for file in files), entry, founded)


def request(folder: Path, name: str, practice: str) -> tuple[Path, Path]:
    """A key that stays here and a request for its certificate; InputError when there is a key already."""
    if not AGENT_NAME.fullmatch(name) or not AGENT_NAME.fullmatch(practice):
        raise InputError("an agent's name and a practice's id have 1 to 40 letters, digits, - or _")
    key_file, request_file = folder / KEY, folder / REQUEST
    if key_file.exists():
        raise InputError(f"{key_file} exists: move it away first, another key would need another certificate")
    key = new_key()
    write_file(key_file, key_pem(key), OWN)
    write_file(request_file, request_pem(name, practice, key), SHOWN)
    return key_file, request_file


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address

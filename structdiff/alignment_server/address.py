"""Where a server of alignments is, and what it is told to let us in."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from structdiff.errors import InputError

#: Servers that have a short name. They are open to all, so that nothing secret is sent to them.
PUBLIC_SERVERS = {"colabfold": "https://api.colabfold.com"}
USER, PASSWORD = "STRUCTDIFF_MSA_USER", "STRUCTDIFF_MSA_PASSWORD"
API_KEY, API_KEY_HEADER = "STRUCTDIFF_MSA_API_KEY", "STRUCTDIFF_MSA_API_KEY_HEADER"
_ALLOWED = f"a URL such as https://msa.example.org/api, or {', '.join(PUBLIC_SERVERS)}"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """A server. url: without user, password and a slash at its end. headers: those that open it, which are secret."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def server_address(text: str, environment: Mapping[str, str] | None = None) -> ServerAddress:
    """The server of a URL, or of a short name; raises InputError, which repeats nothing secret, for anything else.

    environment: the process's own if None. User and password stand in the URL, or there, as a key does.
    """
    environment = os.environ if environment is None else environment
    parts = _parts(PUBLIC_SERVERS.get(text, text))
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    url = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
    return ServerAddress(url=url, headers=_headers(parts, {} if url in PUBLIC_SERVERS.values() else environment))


def _parts(text: str) -> SplitResult:
    shown = text.rpartition("@")[2]  # what may be a password is not repeated
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and not parts.query and not parts.fragment
        usable = usable and text.isascii() and text.isprintable() and " " not in text
        _ = parts.port  # which is looked at when it is asked for
    except ValueError:
        usable = False
    if not usable:
        raise InputError("this is no address of a server", key="server", found=shown, allowed=_ALLOWED,
                         suggest_from=PUBLIC_SERVERS)  # fmt: skip
    return parts


def _headers(parts: SplitResult, environment: Mapping[str, str]) -> dict[str, str]:
    user, password = environment.get(USER, ""), environment.get(PASSWORD, "")
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
    found = {}
    if user or password:
        found["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    key, header = environment.get(API_KEY, "").strip(), environment.get(API_KEY_HEADER, "X-API-Key").strip()
    if key:
        if not key.isascii() or not key.isprintable():
            raise InputError("this cannot be sent: letters of ASCII alone are", key=API_KEY)
        if not header.replace("-", "").replace("_", "").isalnum() or not header.isascii():
            raise InputError("this is no name of a header", key=API_KEY_HEADER, found=header, allowed="X-API-Key, say")
        if header.lower() == "authorization" and found:
            raise InputError(f"this header says user and password already: leave {API_KEY}, or them, out",
                             key=API_KEY_HEADER)  # fmt: skip
        found[header] = key
    return found

"""HTTP of the standard library with one limit of time for connecting and another for each answer."""

from __future__ import annotations

import http.client
import ssl
import urllib.request
from typing import IO, Any


def opener(*, connect: float, read: float) -> urllib.request.OpenerDirector:
    """What opens http and https alone, through the proxies of the environment. connect, read: limits in seconds.

    A form is sent where it was to be sent: another address that the server names for it is an error.
    """
    found = urllib.request.OpenerDirector()
    for each in (
        urllib.request.ProxyHandler(), urllib.request.HTTPDefaultErrorHandler(), _NoFormElsewhere(),
        urllib.request.HTTPErrorProcessor(), _Plain(connect, read), _Secured(connect, read),
    ):  # fmt: skip
        found.add_handler(each)
    return found


class _Patient:
    """A connection whose limit of time changes once it is there."""

    timeout: Any
    sock: Any
    read_limit = 0.0

    def connect(self) -> None:
        super().connect()  # type: ignore[misc] - of the class beside it
        self.sock.settimeout(self.read_limit)


class _PlainConnection(_Patient, http.client.HTTPConnection):
    pass


class _SecuredConnection(_Patient, http.client.HTTPSConnection):
    pass


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, connect: float, read: float) -> None:
        super().__init__()
        self.limits = connect, read

    def http_open(self, req: urllib.request.Request) -> Any:
        """Opens a connection of the limits."""
        return self.do_open(_limited(_PlainConnection, *self.limits), req)


class _Secured(urllib.request.HTTPSHandler):
    def __init__(self, connect: float, read: float) -> None:
        super().__init__()
        self.limits = connect, read

    def https_open(self, req: urllib.request.Request) -> Any:
        """Opens a connection of the limits, to whom the system's certificates vouch for."""
        return self.do_open(_limited(_SecuredConnection, *self.limits), req, context=ssl.create_default_context())


def _limited(kind: Any, connect: float, read: float) -> Any:
    """Makes connections of a kind as urllib wants them made."""

    def made(host: str, **more: Any) -> Any:
        found = kind(host, **{**more, "timeout": connect})
        found.read_limit = read
        return found

    return made


class _NoFormElsewhere(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Follows where nothing is sent; else the answer stays what it is, an error."""
        if req.data is not None or (req.type == "https" and not newurl.startswith("https:")):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)

"""One search of a server of the MMseqs2 API: sent, waited for, downloaded.

The API as ColabFold's client uses it (https://github.com/sokrypton/ColabFold): ``ticket/msa`` and ``ticket/pair`` take
the sequences and answer with a ticket, ``ticket/ID`` says how far it is, ``result/download/ID`` has the alignments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from structdiff.alignment_server.archive import FIRST_QUERY, Row, WrongArchive, read_archive
from structdiff.alignment_server.connection import Connection, Report, ServerError
from structdiff.alignment_server.kept import Request, forget_ticket, is_ticket, keep_ticket, read_ticket

_GOING_ON = ("PENDING", "RUNNING")
_ARCHIVE_BYTES = 512 << 20
#: How often a search is sent where the server forgets it, and an archive fetched where it is damaged.
_TICKETS, _DOWNLOADS = 3, 3
#: Looks at a ticket that the server does not know before it counts as forgotten.
_UNKNOWN_LOOKS = 4
#: Codes of HTTP with which a server may say the same.
_NO_SUCH_TICKET = (400, 404, 410)


def search(
    connection: Connection, request: Request, names: Sequence[str], report: Report, *, pairs: bool = False
) -> dict[str, list[list[Row]]]:
    """The rows of each of the named files and each sequence, as `read_archive` has them.

    report: is told in words how far the search is. A search that was sent before and not answered goes on. pairs: rows
    of the sequences are to belong together. Raises ServerError.
    """
    began = connection.patience.now()
    ticket, places = read_ticket(request), "ticket/pair" if pairs else "ticket/msa"
    for _ in range(_TICKETS):
        if ticket is None:
            ticket = _submit(connection, request, places, report, began)
            keep_ticket(request, ticket)
        if _completes(connection, request, ticket, report, began):
            found = _download(connection, request, ticket, names, report)
            forget_ticket(request)
            return found
        forget_ticket(request)
        ticket = None
    connection.fail("it forgets what it is asked for; try again later")


def _submit(connection: Connection, request: Request, place: str, report: Report, began: float) -> str:
    """Sends a request, as often as the server wants; gives the ticket."""
    text = "".join(f">{number}\n{each}\n" for number, each in enumerate(request.sequences, start=FIRST_QUERY))
    turn = 0
    while True:
        report("sending")
        answer = connection.ask(place, report, {"q": text, "mode": request.mode})
        status = _status(connection, request, answer)
        if status in (*_GOING_ON, "COMPLETE"):
            ticket = answer.get("id")
            if not isinstance(ticket, str) or not is_ticket(ticket):
                connection.fail("this is no answer of the MMseqs2 API: it has no ticket")
            return ticket
        _wait(connection, status, report, began, turn, connection.patience.longest)
        turn += 1


def _completes(connection: Connection, request: Request, ticket: str, report: Report, began: float) -> bool:
    """Waits until a search is complete; False where the server does not know of it."""
    turn = unknown = 0
    while True:
        try:
            status = _status(connection, request, connection.ask(f"ticket/{ticket}", report))
        except ServerError as error:
            if error.code not in _NO_SUCH_TICKET:
                raise
            return False
        if status == "COMPLETE":
            return True
        unknown = unknown + 1 if status == "UNKNOWN" else 0
        if unknown >= _UNKNOWN_LOOKS:
            return False
        longest = connection.patience.longest if status == "RATELIMIT" else connection.patience.poll
        _wait(connection, status, report, began, turn, longest)
        turn += 1


def _status(connection: Connection, request: Request, answer: dict[str, Any]) -> str:
    """How far a search is; raises ServerError where it comes to nothing."""
    status = answer.get("status")
    if status == "ERROR":
        forget_ticket(request)
        connection.fail(f"the search failed there (ERROR) for {_counted(request)}; try again in an hour")
    if status == "MAINTENANCE":
        connection.fail("it is being maintained (MAINTENANCE); try again later", lasting=True)
    if status not in (*_GOING_ON, "COMPLETE", "UNKNOWN", "RATELIMIT"):
        connection.fail(f"this is no answer of the MMseqs2 API: its status is {str(status)[:40]!r}")
    return str(status)


def _wait(connection: Connection, status: str, report: Report, began: float, turn: int, longest: float) -> None:
    """Waits for the next look. Raises ServerError where that was long enough."""
    patience = connection.patience
    seconds = patience.wait(turn, longest)
    if patience.now() - began + seconds > patience.total:
        connection.fail(
            f"{status} for {patience.total / 3600:.1f} h; the same command goes on with it later", lasting=True
        )
    limited = f"{status} (it has many requests), again in {seconds:.0f} s"
    report(limited if status == "RATELIMIT" else status)
    patience.sleep(seconds)


def _download(
    connection: Connection, request: Request, ticket: str, names: Sequence[str], report: Report
) -> dict[str, list[list[Row]]]:
    """The alignments of a complete search, fetched again where they come damaged."""
    reason = ""
    for turn in range(_DOWNLOADS):
        if turn:
            connection.patience.sleep(connection.patience.wait(turn, connection.patience.longest))
        report("downloading")
        try:
            data = connection.read(f"result/download/{ticket}", report, most=_ARCHIVE_BYTES)
            return read_archive(data, names, request.sequences)
        except WrongArchive as error:
            reason = str(error)
            report(f"the archive cannot be used: {reason}")
    forget_ticket(request)
    connection.fail(f"the archive that it sends cannot be used: {reason}")


def _counted(request: Request) -> str:
    lengths = ", ".join(str(len(each)) for each in request.sequences)
    return f"{len(request.sequences)} sequence{'s' if len(request.sequences) > 1 else ''} of {lengths} residues"

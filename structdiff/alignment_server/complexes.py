"""The chains of a complex that have no alignment, and what a server has for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from structdiff.alignment_server.address import server_address
from structdiff.alignment_server.archive import ENVIRONMENT, PAIRS, UNIREF, Row
from structdiff.alignment_server.connection import Connection, Patience, Report, ServerError
from structdiff.alignment_server.kept import Request, digest, is_kept, keep, kept_file, prepare_cache
from structdiff.alignment_server.search import search
from structdiff.alignment_server.tables import a3m_text, joined_rows, pair_rows, parse_a3m, table_text
from structdiff.errors import InputError
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec

#: Modes of searches: with metagenomes or in UniRef alone, filtered or not; and of pairing, some or all chains in a row.
MODES = ("env", "all", "env-nofilter", "nofilter")
PAIRINGS = ("pairgreedy", "paircomplete", "pairgreedy-env", "paircomplete-env", "none")
#: Residues; for shorter chains such searches find nothing.
SHORTEST = 10


class AlignmentServer:
    """A server of the MMseqs2 API, and how it searches. Nothing is sent before alignments are asked for.

    url: its address, or ``"colabfold"``. mode: ``"env"`` (UniRef and metagenomes), ``"all"`` (UniRef), each also
    unfiltered (``"env-nofilter"``, ``"nofilter"``). pairing: rows of several chains that are of one organism and belong
    together, where some chains have one (``"pairgreedy"``) or all (``"paircomplete"``), also of metagenomes
    (``"...-env"``), or ``"none"``. Once it could not be reached it is not asked again. Raises InputError.
    """

    def __init__(
        self, url: str, *, mode: str = "env", pairing: str = "pairgreedy", patience: Patience | None = None
    ) -> None:
        if mode not in MODES:
            raise InputError("unknown mode of a search", key="mode", found=mode, allowed=MODES, suggest_from=MODES)
        if pairing not in PAIRINGS:
            raise InputError("unknown way of pairing", key="pairing", found=pairing, allowed=PAIRINGS,
                             suggest_from=PAIRINGS)  # fmt: skip
        self.address = server_address(url)
        self.mode, self.pairing = mode, pairing
        self.connection = Connection(self.address, patience or Patience())
        self._gone: ServerError | None = None

    @property
    def url(self) -> str:
        """The address without user and password."""
        return self.address.url

    def search(
        self, request: Request, names: Sequence[str], report: Report, *, pairs: bool = False
    ) -> dict[str, list[list[Row]]]:
        """What `structdiff.alignment_server.search` finds; at once the error of before where that was a lasting one."""
        if self._gone is not None:
            raise self._gone
        try:
            return search(self.connection, request, names, report, pairs=pairs)
        except ServerError as error:
            self._gone = error if error.lasting else None
            raise


def with_server_alignments(
    spec: ComplexSpec, *, server: str | AlignmentServer, report: Report | None = None
) -> ComplexSpec:
    """The complex with alignments of a server for those of its proteins of which nothing is said (``msa``).

    server: sequences are sent there, each once, and only those whose alignments are not in the user's cache, where
    ``msa`` then names them: A3M files, or Boltz's CSV files where several different proteins are asked for, whose keys
    say which rows belong together. Chains with ``msa="empty"`` and of fewer than ten residues are left as they are.
    report: is told in words how far it is. Raises ServerError where there are none to be had, and InputError.
    """
    own = server if isinstance(server, AlignmentServer) else AlignmentServer(server)
    sequences = asked_sequences(spec)
    if not sequences:
        return spec
    files = dict(zip(sequences, _files(sequences, own), strict=True))
    if not is_kept(list(files.values())):
        _fetch(sequences, own, report or (lambda state: None))
    chains = [
        dataclasses.replace(chain, msa=(str(files[chain.sequence]),)) if is_asked(chain) else chain
        for chain in spec.chains
    ]
    return dataclasses.replace(spec, chains=tuple(chains))


def is_asked(chain: ChainSpec) -> bool:
    """Whether a server is asked for the alignment of a chain."""
    return chain.kind == "protein" and not chain.msa and len(chain) >= SHORTEST


def asked_sequences(spec: ComplexSpec) -> tuple[str, ...]:
    """The different sequences of the chains for which a server is asked."""
    return tuple(dict.fromkeys(chain.sequence for chain in spec.chains if is_asked(chain)))


def sequences_to_send(spec: ComplexSpec, server: AlignmentServer) -> tuple[str, ...]:
    """Those that would be sent, as alignments of them are not in the cache."""
    sequences = asked_sequences(spec)
    if is_kept(_files(sequences, server)):
        return ()
    paired = _paired(sequences, server)
    if paired is not None and not is_kept([kept_file(paired.key, ".pairs")]):
        return sequences
    return tuple(each for each in sequences if not is_kept([_unpaired_file(each, server)]))


def _files(sequences: Sequence[str], server: AlignmentServer) -> list[Path]:
    """The alignments that chains of these sequences name, whether they are there or not."""
    paired = _paired(sequences, server)
    if paired is None:
        return [_unpaired_file(each, server) for each in sequences]
    return [kept_file(_table_key(each, paired, server), ".csv") for each in sequences]


def _unpaired(sequences: Sequence[str], server: AlignmentServer) -> Request:
    return Request(url=server.url, mode=server.mode, sequences=tuple(sequences))


def _unpaired_file(sequence: str, server: AlignmentServer) -> Path:
    return kept_file(_unpaired([sequence], server).key, ".a3m")


def _paired(sequences: Sequence[str], server: AlignmentServer) -> Request | None:
    """The request of rows that belong together, in one order of the sequences; None where there are none to be had."""
    if len(sequences) < 2 or server.pairing == "none":
        return None
    return Request(url=server.url, mode=server.pairing, sequences=tuple(sorted(sequences)))


def _table_key(sequence: str, paired: Request, server: AlignmentServer) -> str:
    return digest("table", sequence, paired.key, _unpaired([sequence], server).key)


def _fetch(sequences: Sequence[str], server: AlignmentServer, report: Report) -> None:
    """Brings into the cache what is not there of the alignments of these sequences."""
    prepare_cache()
    new = [each for each in sequences if not _unpaired_file(each, server).is_file()]
    if new:
        names = (UNIREF, ENVIRONMENT) if server.mode.startswith("env") else (UNIREF,)
        found = server.search(_unpaired(new, server), names, report)
        for sequence, *files in zip(new, *(found[name] for name in names), strict=True):
            keep(_unpaired([sequence], server).key, ".a3m", a3m_text(joined_rows(files)))
    if (paired := _paired(sequences, server)) is not None:
        _fetch_pairs(paired, server, report)
        _write_tables(paired, server)


def _fetch_pairs(request: Request, server: AlignmentServer, report: Report) -> None:
    if kept_file(request.key, ".pairs").is_file():
        return
    found = server.search(request, (PAIRS,), lambda state: report(f"pairs: {state}"), pairs=True)[PAIRS]
    if len({len(own) for own in found}) > 1:
        server.connection.fail(f"{PAIRS} has not as many rows of each chain, so that none belong together")
    keep(request.key, ".pairs", "\0".join(a3m_text(own) for own in found))


def _write_tables(paired: Request, server: AlignmentServer) -> None:
    """The alignment of each sequence with keys for the rows that belong together."""
    texts = kept_file(paired.key, ".pairs").read_text("utf-8").split("\0")
    for sequence, text in zip(paired.sequences, texts, strict=True):
        alone = parse_a3m(_unpaired_file(sequence, server).read_text("utf-8"))
        keep(_table_key(sequence, paired, server), ".csv", table_text(pair_rows(parse_a3m(text)), alone))

"""Alignments from a server of the MMseqs2 API, as ColabFold's is: asked for once, kept in the user's cache."""

from structdiff.alignment_server.complexes import AlignmentServer, with_server_alignments
from structdiff.alignment_server.connection import Patience, ServerError

__all__ = ["AlignmentServer", "Patience", "ServerError", "with_server_alignments"]

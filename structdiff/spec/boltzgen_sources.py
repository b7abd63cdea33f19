"""The structures that a specification of BoltzGen names: one file, or several that become one motif."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from structdiff.spec.boltzgen_plan import Plan
from structdiff.spec.chain import chain_letters
from structdiff.spec.document import Node
from structdiff.spec.imported import KnownChain, MotifPart, ReadChains
from structdiff.spec.input_files import relocated
from structdiff.spec.segments import ResidueId


class Sources:
    """Files by their paths, with chains whose author's names are all different. instead: the only one, elsewhere."""

    def __init__(self, read: ReadChains, instead: Path | None) -> None:
        self.parts: dict[str, MotifPart] = {}
        self._read, self._instead = read, instead
        self._first: str | None = None
        self._chains: dict[str, tuple[KnownChain, ...]] = {}

    def chains(self, node: Node) -> tuple[str, tuple[KnownChain, ...]]:
        """Path and chains of the structure that a node names, relative to its own file; raises InputError."""
        folder, self._first = node.path.parent if node.path is not None else Path(), self._first or node.text()
        if self._instead is not None and node.text() != self._first:
            node.fail("there are several structures, and --pdb names one", found=node.text(), allowed=self._first)
        path = self._instead or Path(relocated(node.text(), folder))
        if not path.is_file():
            node.fail("the structure is needed, since BoltzGen numbers residues by their place in the sequence, and "
                      "structdiff as their author does", found=node.text(),
                      allowed="its file, with --pdb if it lies elsewhere")  # fmt: skip
        source = path.as_posix()
        if source not in self._chains:
            self._add(source, self._read(path))
        return source, self._chains[source]

    def _add(self, source: str, chains: tuple[KnownChain, ...]) -> None:
        taken = {residue.chain for residue in self.polymers()}
        taken |= {row.id.chain for known in self._chains.values() for chain in known for row in chain.residues}
        own = dict.fromkeys(residue.id.chain for chain in chains for residue in chain.residues)
        spare = (name for name in chain_letters() if name not in taken and name not in own)
        renamed = {name: next(spare) for name in own if name in taken}
        self._chains[source] = tuple(_renamed(chain, renamed) for chain in chains)
        self.parts[source] = MotifPart(path=Path(source), renamed=renamed)

    def polymers(self) -> list[ResidueId]:
        """All residues of polymers that were seen."""
        rows = [row for known in self._chains.values() for chain in known if chain.kind != "ligand"
                for row in chain.residues]  # fmt: skip
        return [row.id for row in rows if row.seen]

    def tell(self, plan: Plan) -> None:
        """Notes on files that are put together."""
        if len(self.parts) < 2:
            return
        plan.tell(f"{len(self.parts)} files are put together as one motif, each with the positions of its own file")
        for source, part in self.parts.items():
            for name, other in part.renamed.items():
                plan.tell(f"{Path(source).name}: chain {name} is called {other} in the motif's file")


def _renamed(chain: KnownChain, renamed: Mapping[str, str]) -> KnownChain:
    rows = tuple(
        dataclasses.replace(row, id=dataclasses.replace(row.id, chain=renamed.get(row.id.chain, row.id.chain)))
        for row in chain.residues
    )
    return dataclasses.replace(chain, residues=rows)

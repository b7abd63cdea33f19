"""From a design's layout and its motif to the molecules that are to be completed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.spec.contigs import ResidueId
from structdiff.spec.layout import Layout, LayoutResidue
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind, Structure


@dataclass(frozen=True, kw_only=True)
class Scaffold:
    """A design before it is drawn: its residues, of which those of the motif stand where the motif has them.

    structure: new residues are UNK; motif atoms are resolved, all others are not. residue_group: motif group of each
    residue, 0 for new ones.
    """

    structure: Structure
    residue_group: np.ndarray


def motif_residues(motif: Structure) -> dict[ResidueId, int]:
    """The polymer residues of a structure of which something was seen, by the depositor's numbering: rows."""
    residues, chains = motif.residues, motif.chains
    polymer = np.isin(chains.kind[residues.chain], (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA))
    seen = np.zeros(len(residues), bool)
    np.logical_or.at(seen, motif.atoms.residue, motif.atoms.resolved)
    return {
        ResidueId(
            chain=str(chains.name[residues.chain[row]]),
            number=int(residues.author_seq_id[row]),
            insertion_code=str(residues.insertion_code[row]),
        ): row
        for row in np.flatnonzero(polymer & seen).tolist()
    }


def build_scaffold(
    layout: Layout, motif: Structure | None, *, cyclic: tuple[str, ...] = (), name: str = ""
) -> Scaffold:
    """The molecules of one design; raises InputError where the motif lacks backbone atoms that it must hold."""
    rows = {} if motif is None else motif_residues(motif)
    chains = [_chain(chain, residues, motif, rows, chain in cyclic) for chain, residues in layout.chains.items()]
    structure = build_structure(chains, components=None if motif is None else motif.components, name=name)
    positions = np.zeros((len(structure.atoms), 3), np.float32)
    resolved = np.zeros(len(structure.atoms), bool)
    for place, residue in enumerate(layout.residues):
        if residue.origin is not None and motif is not None:
            _copy_residue(structure, place, motif, rows[residue.origin], residue.origin, positions, resolved)
    return Scaffold(
        structure=structure.with_positions(positions, resolved=resolved),
        residue_group=np.array([residue.group if residue.origin else 0 for residue in layout.residues], np.int32),
    )


def _chain(
    name: str,
    residues: tuple[LayoutResidue, ...],
    motif: Structure | None,
    rows: dict[ResidueId, int],
    cyclic: bool,
) -> ChainSequence:
    kinds, names = set(), []
    for residue in residues:
        if residue.origin is None or motif is None:
            names.append("UNK")
            kinds.add(ChainKind.PROTEIN)
        else:
            row = rows[residue.origin]
            names.append(str(motif.residues.name[row]))
            kinds.add(ChainKind(int(motif.chains.kind[motif.residues.chain[row]])))
    if len(kinds) > 1:
        raise InputError(
            f"chain {name} of the design would mix {' and '.join(sorted(kind.name for kind in kinds))}", key="contigs"
        )
    return ChainSequence(
        name=name,
        kind=kinds.pop(),
        residues=tuple(names),
        cyclic=cyclic,
        author_seq_ids=tuple(residue.number for residue in residues),
        insertion_codes=tuple(residue.insertion_code for residue in residues),
    )


def _copy_residue(
    design: Structure,
    place: int,
    motif: Structure,
    row: int,
    origin: ResidueId,
    positions: np.ndarray,
    resolved: np.ndarray,
) -> None:
    """Motif atoms to the atoms of the same name; the whole backbone must have been seen."""
    source = motif.residue_atoms(row)
    seen = motif.atoms.resolved[source]
    known = dict(zip(motif.atoms.name[source][seen].tolist(), motif.atoms.positions[source][seen], strict=True))
    target = design.residue_atoms(place)
    names = design.atoms.name[target].tolist()
    needed = [atom for atom in BACKBONE_ATOMS if atom in names] if "CA" in names else []
    missing = [atom for atom in needed if atom not in known]
    if missing:
        raise InputError(
            f"motif residue {origin} lacks backbone atom {missing[0]}, so it cannot be held", key="contigs",
            found=", ".join(sorted(known)) or "no atoms", allowed="residues with N, CA, C and O",
        )  # fmt: skip
    for offset, atom in enumerate(names):
        if atom in known:
            positions[target.start + offset] = known[atom]
            resolved[target.start + offset] = True

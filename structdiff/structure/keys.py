"""Residues and atoms by what their files call them, the same in two structures that share them."""

from __future__ import annotations

from structdiff.structure.tables import Structure

ResidueName = tuple[str, int, str]  # chain, author's number, insertion code


def residue_keys(structure: Structure) -> list[ResidueName]:
    """Chain, number and insertion code of each residue."""
    residues = structure.residues
    chains = structure.chains.name[residues.chain].tolist()
    codes = [str(code).strip() for code in residues.insertion_code]
    return list(zip(chains, residues.author_seq_id.tolist(), codes, strict=True))


def atom_keys(structure: Structure) -> list[tuple[str, int, str, str]]:
    """Chain, number and insertion code of its residue, and name, of each atom."""
    residues, rows = residue_keys(structure), structure.atoms.residue.tolist()
    return [(*residues[row], name) for row, name in zip(rows, structure.atoms.name.tolist(), strict=True)]

"""Verdicts on what every structure should be, asked for or not: whole, of the right hand, bonded and paired as told."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial import KDTree

from structdiff.chemistry.double_bonds import has_form
from structdiff.constraints.covalent_tables import ORGANIC, covalent_tables
from structdiff.evaluation.stereocentres import stereocentres
from structdiff.features.helices import MOST_FOLDED, PairsOfComplex
from structdiff.output.prediction import Verdict
from structdiff.spec.layout import Layout
from structdiff.structure.base_pairs import FORMED, pair_atoms
from structdiff.structure.local_geometry import structure_double_bonds
from structdiff.structure.tables import ChainKind, Structure

#: Å: how far off the length of a bond may be.
BOND_TOLERANCE = 0.1
_METAL_TOLERANCE = 0.4  # Å: lengths of bonds to metals are typical ones, and vary
#: Å: a link between residues that is longer is none; atoms of a main chain that come nearer are inside each other.
_BREAK, _INSIDE = 2.0, 2.2
_MOST_NAMED = 5  # atoms that a verdict lists


def bond_verdicts(asked: Iterable[tuple[str, tuple[int, int]]], structure: Structure) -> list[Verdict]:
    """Whether covalent bonds that were asked for (name and rows of both atoms) are as long as such bonds are."""
    if not (asked := list(asked)):
        return []
    tables = covalent_tables(structure)
    ideal = dict(zip(map(tuple, np.sort(tables.bonds, axis=1).tolist()), tables.distance.tolist(), strict=False))
    metal = ~np.isin(structure.atoms.element, ORGANIC)
    return [
        bond_verdict(name, structure, ends, ideal[ends], _METAL_TOLERANCE if metal[[*ends]].any() else BOND_TOLERANCE)
        for name, ends in asked
        if ends in ideal
    ]


def base_pair_verdicts(pairs: PairsOfComplex, structure: Structure) -> list[Verdict]:
    """How many of the base pairs that were asked for, and of those that were predicted, have their hydrogen bonds."""
    found = []
    for what, rows in (("asked for", pairs.asked), ("predicted from the sequences", pairs.predicted)):
        if not len(rows):
            continue
        atoms = pair_atoms(structure, rows, pairs.letters)
        formed = int((atoms.errors(structure) <= FORMED).sum())
        found.append(
            Verdict(
                name="base pairs" if rows is pairs.asked else "predicted base pairs",
                asked=f"{len(rows)} {what}: {_dots_and_brackets(rows, pairs.letters, structure)}",
                reached=f"{formed} of {len(rows)} with all hydrogen bonds",
                met=formed == len(rows),
                requested=rows is pairs.asked,
            )
        )
    if pairs.unfolded:
        reached = f"none: pairs of {MOST_FOLDED} nucleotides at most are predicted, others must be given (base_pairs)"
        found.append(
            Verdict(
                name="predicted base pairs", asked=f"those of {pairs.unfolded} nucleotides", reached=reached, met=False,
                requested=False,
            )
        )  # fmt: skip
    return found


def _dots_and_brackets(pairs: np.ndarray, letters: np.ndarray, structure: Structure) -> str:
    """The chains that pair, each with a sign for every nucleotide; crossing pairs have the same brackets as others."""
    signs = np.full(len(letters), ".")
    signs[pairs.min(1)], signs[pairs.max(1)] = "(", ")"
    chains = np.unique(structure.residues.chain[pairs])
    return ", ".join(
        f"{structure.chains.name[chain]} {''.join(signs[structure.chain_residues(chain)])}" for chain in chains.tolist()
    )


def backbone_verdicts(structure: Structure, layout: Layout | None = None) -> list[Verdict]:
    """Whether protein chains (of designs: those with new residues) are whole and keep off themselves and each other.

    None where there is no such chain.
    """
    atoms = structure.atoms
    designed = np.ones(len(structure.residues), bool)
    if layout is not None:
        designed = np.array([not residue.chain_is_fixed for residue in layout.residues])
    protein = structure.chains.kind[structure.residues.chain] == ChainKind.PROTEIN
    rows = np.flatnonzero(
        (designed & protein)[atoms.residue] & atoms.resolved & np.isin(atoms.name, ("N", "CA", "C", "O", "CB"))
    )
    if not len(rows):
        return []
    bonds = structure.bonds
    links = np.stack([bonds.atom_1, bonds.atom_2], -1)
    links = links[np.isin(links, rows).all(-1) & (atoms.residue[links[:, 0]] != atoms.residue[links[:, 1]])]
    lengths = np.linalg.norm(np.subtract(*atoms.positions[links].swapaxes(0, 1)), axis=-1)
    breaks = int((lengths > _BREAK).sum())
    residue = atoms.residue.astype(np.int64)
    joined = {(int(low), int(high)) for low, high in np.sort(residue[links], axis=-1)}
    pairs = rows[KDTree(atoms.positions[rows]).query_pairs(_INSIDE, output_type="ndarray")]
    within = np.sort(residue[pairs], axis=-1).tolist()
    inside = sum(low != high and (low, high) not in joined for low, high in within)
    subject, own = ("", "") if designed.all() else ("new chains ", " of their own")
    reached = [f"{breaks} breaks"] * bool(breaks) + [f"{inside} pairs of atoms too near"] * bool(inside)
    return [
        Verdict(
            name="backbone",
            asked=f"{subject}whole (no link over {_BREAK:g} Å), main-chain atoms {_INSIDE:g} Å apart or more",
            reached=" and ".join(reached) or f"whole, without clashes{own}",
            met=not reached,
        )
    ]


def handedness_verdicts(structure: Structure) -> list[Verdict]:
    """Whether every stereocentre has the hand that its component states; none where there is no such centre.

    Where a component has no sound conformer the verdict is not met: nothing tells how it looks.
    """
    found = stereocentres(structure)
    if not len(found.atoms) + len(found.unknown):
        return []
    wrong = [_atom_name(structure, row) for row in found.atoms[~found.right].tolist()]
    reached = f"{int(found.right.sum())} of {len(found.right)} centres{_named_wrong(wrong)}"
    if len(found.unknown):
        chains = structure.chains.name[structure.residues.chain[found.unknown]]
        reached += f"; no sound conformer to judge chain {', '.join(dict.fromkeys(chains.tolist()))} by"
    return [
        Verdict(
            name="handedness",
            asked="every stereocentre as its definition has it",
            reached=reached,
            met=not wrong and not len(found.unknown),
        )
    ]


def double_bond_verdicts(structure: Structure, layout: Layout | None = None) -> list[Verdict]:
    """Whether every double bond is E or Z as its component has it; none where there is no such bond.

    In a design (layout) what is held as its file has it is not judged: a chromophore may be the other isomer there.
    """
    found = structure_double_bonds(structure)
    judged = structure.atoms.resolved[found.atoms].all(1)
    if layout is not None:
        held = np.array([residue.group > 0 for residue in layout.residues])
        judged &= ~held[structure.atoms.residue[found.atoms]].all(1)
    atoms, cis = found.atoms[judged], found.cis[judged]
    if not len(atoms):
        return []
    right = has_form(structure.atoms.positions[atoms].astype(np.float64), cis)
    wrong = [f"{_atom_name(structure, b)}={structure.atoms.name[c]}" for _, b, c, _ in atoms[~right].tolist()]
    return [
        Verdict(
            name="double bonds",
            asked="every double bond E or Z as its definition has it",
            reached=f"{int(right.sum())} of {len(right)} bonds{_named_wrong(wrong)}",
            met=not wrong,
        )
    ]


def _named_wrong(wrong: list[str]) -> str:
    return f", wrong: {', '.join(wrong[:_MOST_NAMED])}{', ...' * (len(wrong) > _MOST_NAMED)}" if wrong else ""


def _atom_name(structure: Structure, row: int) -> str:
    """Chain, residue and atom as a user writes them: ``A/5/CB``."""
    residue = int(structure.atoms.residue[row])
    chain = structure.chains.name[structure.residues.chain[residue]]
    return f"{chain}/{structure.residues.author_seq_id[residue]}/{structure.atoms.name[row]}"


def bond_verdict(
    name: str, structure: Structure, ends: tuple[int, int], length: float, tolerance: float = BOND_TOLERANCE
) -> Verdict:
    """Whether a bond of two atoms is as long (Å) as it should be."""
    one, other = structure.atoms.positions[list(ends)]
    reached = float(np.linalg.norm(one - other))
    return Verdict(
        name=name,
        asked=f"bond of {length:.3g} ± {tolerance:g} Å",
        reached=f"{reached:.2f} Å",
        met=abs(reached - length) <= tolerance,
    )

"""What a request is told before anything is drawn: it can be done, but will hardly be what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from structdiff.campaign.plan import Campaign
from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.design_jobs import layout_of
from structdiff.features.hallucinated_folds import hallucinates
from structdiff.features.requests import HOTSPOT_DISTANCE
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.spec.segments import ResidueId
from structdiff.structure.held_parts import BACKBONE, partly_held, retyped
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.open_residues import open_residues
from structdiff.structure.reading import BROKEN_LINK
from structdiff.structure.residue_bonds import are_disulfides
from structdiff.structure.tables import Structure
from structdiff.typing import Float

#: Å that atoms of new chains mostly keep from a target, and between points at which is looked whether there is room.
CLEARANCE, _SPACING = 4.0, 1.0
_NAMED = 4  # residues or bonds that a caution names


def cautions(campaign: Campaign) -> list[str]:
    """A sentence for each; by the layout of the first design. Raises InputError as the drawing of it would."""
    spec, layout, motif = layout_of(campaign.spec, 0)
    found = []
    if campaign.settings.sequences > 1 and not open_residues(spec, layout, motif).any():
        found.append(f"every residue keeps its amino acid, so that the {campaign.settings.sequences} sequences of a "
                     "backbone are one and the same")  # fmt: skip
    elif _all_made_up(campaign):
        found.append(f"the letters that a fold is made up with are drawn nearly surely, so that the "
                     f"{campaign.settings.sequences} sequences of a backbone differ hardly: another sequence_model, or "
                     "a temperature of 3, say, varies them")  # fmt: skip
    if motif is not None:
        found += [f"residues are missing between {before} and {after} of the structure, which will be bonded to each "
                  "other; contigs can put new ones there, as in A1-30/5/A36-80"
                  for before, after in closed_gaps(layout, motif)]  # fmt: skip
    if not campaign.abilities.predictions and campaign.settings.refold == "none":
        found.append("these weights predict no structures, so that nothing tells whether a sequence folds as designed: "
                     "structdiff weights fetch boltz2, or a refold_command, would")  # fmt: skip
    unseen = dict(unseen_atoms(spec, layout, motif)) if motif is not None else {}
    if unseen:
        named = _first([f"{residue} ({', '.join(atoms)})" for residue, atoms in unseen.items()], "residues more")
        found.append(f"the structure lacks atoms of what is kept, and they are drawn anew: {named}")
    whole = layout if spec.whole_contigs is None else layout.with_whole_target(spec.whole_contigs)
    cut = list(cut_bonds(spec, whole, motif)) if motif is not None else []
    if cut:
        found.append(f"bonds of what is kept lead to what is not, and are left out: {_first(cut, 'more')}")
    lost = list(lost_disulfides(spec, layout, motif)) if motif is not None else []
    if lost:
        named = _first([f"{one}-{other}" for one, other in lost], "more")
        ends = ", ".join(str(end) for bond in lost for end in bond if end in _begun(spec, layout))
        found.append(f"disulfides of cysteines that get a new amino acid are left out: {named}; they stay where both "
                     f"ends keep theirs (keep_sequence: {ends})")  # fmt: skip
    if motif is not None and spec.hotspots:
        deep = [str(residue) for residue in out_of_reach(spec.hotspots, whole, motif)]
        if deep:
            found.append(f"hotspots {', '.join(deep)} lie deep in what is kept: a new chain comes within "
                         f"{HOTSPOT_DISTANCE:g} Å of them only where it is nearer than {CLEARANCE:g} Å to that, and "
                         "may miss them")  # fmt: skip
    return found


def _all_made_up(campaign: Campaign) -> bool:
    """Whether several sequences are asked of a head that has a letter for each new residue already."""
    plainly = campaign.sequence_model == "own" and campaign.temperature <= 1
    return plainly and campaign.settings.sequences > 1 and hallucinates(campaign.spec)


def _first(items: Sequence[str], more: str) -> str:
    """The first few by name, and how many there are beside them."""
    left = len(items) - _NAMED
    return ", ".join([*items[:_NAMED], *([f"{left} {more}"] if left > 0 else [])])


def closed_gaps(layout: Layout, motif: Structure) -> Iterator[tuple[ResidueId, ResidueId]]:
    """Residues of a structure that is begun with, or held, which become neighbours and are too far apart to be bonded.

    Groups that move against each other may come together.
    """
    rows, atoms = motif_residues(motif), motif.atoms

    def place(residue: ResidueId, name: str) -> Float[np.ndarray, "atom 3"]:
        span = motif.residue_atoms(rows[residue])
        return atoms.positions[span][(atoms.name[span] == name) & atoms.resolved[span]]

    for first, second in pairwise(layout.residues):
        before, after = first.parent, second.parent
        near = first.instead_of is not None or second.instead_of is not None or first.group == second.group
        if first.chain == second.chain and near and not first.chain_is_fixed and before in rows and after in rows:
            ends = place(before, "C"), place(after, "N")
            if all(map(len, ends)) and np.linalg.norm(ends[0][0] - ends[1][0]) > BROKEN_LINK:
                yield before, after


def unseen_atoms(spec: DesignSpec, layout: Layout, motif: Structure) -> Iterator[tuple[ResidueId, list[str]]]:
    """Kept residues and ligands with atoms that the structure has not, and the names of those.

    Of residues that get a new amino acid, or that are held by their backbone, only the backbone counts; those of which
    a tip or named atoms are held are not looked at.
    """
    rows = motif_residues(motif) | ligand_residues(motif)
    atoms, part, new = motif.atoms, partly_held(spec), retyped(spec, layout)
    for residue in dict.fromkeys(each.origin for each in layout.residues if each.origin in rows):
        held = part.get(residue, BACKBONE if residue in new else None)
        if held is not None and held != BACKBONE:
            continue
        span = motif.residue_atoms(rows[residue])
        lost = atoms.name[span][~atoms.resolved[span]].tolist()
        lost = [name for name in lost if held is None or name in BACKBONE_ATOMS]
        if lost:
            yield residue, lost


def cut_bonds(spec: DesignSpec, layout: Layout, motif: Structure) -> Iterator[str]:
    """Bonds beside a chain's own links (disulfides, of glycans) of which one end alone is kept with its side chain.

    Disulfides of which the other end is there, with another place or amino acid, are none of them.
    """
    names = {row: residue for residue, row in (motif_residues(motif) | ligand_residues(motif)).items()}
    part, new = partly_held(spec), retyped(spec, layout)
    kept = {each.origin for each in layout.residues if each.origin is not None}
    begun, disulfide = _begun(spec, layout), are_disulfides(motif)
    atoms, bonds = motif.atoms, motif.bonds
    first, second = atoms.residue[bonds.atom_1], atoms.residue[bonds.atom_2]
    for bond in np.flatnonzero(first != second).tolist():
        ends = [
            (names.get(int(atoms.residue[row])), str(atoms.name[row]))
            for row in (bonds.atom_1[bond], bonds.atom_2[bond])
        ]
        own = [
            begun.get(residue, False) or (residue in kept and residue not in new and residue not in part)
            for residue, _ in ends
        ]
        gone = [residue is not None and residue not in kept for residue, _ in ends]
        if disulfide[bond]:
            gone = [each and residue not in begun for each, (residue, _) in zip(gone, ends, strict=True)]
        links = all(name in (*BACKBONE_ATOMS, "O3'", "P") for _, name in ends)
        if not links and ((own[0] and gone[1]) or (own[1] and gone[0])):
            yield " - ".join(f"{residue} {name}" for residue, name in ends)


def _begun(spec: DesignSpec, layout: Layout) -> dict[ResidueId | None, bool]:
    """The residues that partial diffusion begins with and moves, and whether they keep their types."""
    if spec.noise is None:
        return {}
    return {each.instead_of: each.keeps_type for each in layout.residues if each.instead_of is not None}


def lost_disulfides(spec: DesignSpec, layout: Layout, motif: Structure) -> Iterator[tuple[ResidueId, ResidueId]]:
    """Disulfides of a structure that partial diffusion begins with of which an end gets a new amino acid."""
    begun = _begun(spec, layout)
    sources = [each.parent for each in layout.residues]
    open_ = dict(zip(sources, open_residues(spec, layout, motif).tolist(), strict=True))
    names = {row: residue for residue, row in motif_residues(motif).items()}
    for bond in np.flatnonzero(are_disulfides(motif)).tolist():
        rows = motif.atoms.residue[[motif.bonds.atom_1[bond], motif.bonds.atom_2[bond]]].tolist()
        one, other = (names.get(row) for row in rows)
        if one is None or other is None or not {one, other} <= open_.keys():
            continue
        if {one, other} & begun.keys() and (open_[one] or open_[other]):
            yield one, other


def out_of_reach(hotspots: Sequence[ResidueId], layout: Layout, motif: Structure) -> Iterator[ResidueId]:
    """The hotspots on chains that are kept whole to which no way leads from outside that keeps its distance.

    Designs may come nearer to their target than that, so that some of these are met for all that.
    """
    kept = {residue.origin: residue.group for residue in layout.residues if residue.chain_is_fixed and residue.origin}
    rows, resolved = motif_residues(motif) | ligand_residues(motif), motif.atoms.resolved

    def positions(residues: Sequence[ResidueId]) -> Float[np.ndarray, "atom 3"]:
        chosen = np.isin(motif.atoms.residue, [rows[each] for each in residues if each in rows]) & resolved
        return motif.atoms.positions[chosen].astype(np.float64)

    for group in dict.fromkeys(kept[spot] for spot in hotspots if spot in kept):
        outside = KDTree(_outside(positions([each for each, its in kept.items() if its == group])))
        for spot in (each for each in hotspots if kept.get(each) == group):
            atoms = positions([spot])
            if len(atoms) and outside.query(atoms)[0].min() > HOTSPOT_DISTANCE:
                yield spot


def _outside(target: Float[np.ndarray, "atom 3"]) -> Float[np.ndarray, "point 3"]:
    """Points of a grid about a target (Å) that keep off it and to which a way leads from its outside."""
    low = target.min(0) - CLEARANCE - 2 * _SPACING
    counts = np.ceil((target.max(0) - low + CLEARANCE + 2 * _SPACING) / _SPACING).astype(int) + 1
    points = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, 3) * _SPACING + low
    apart, _ = KDTree(target).query(points, distance_upper_bound=CLEARANCE)  # infinite where nothing is so near
    pieces = np.zeros(counts, np.int32)
    ndimage.label(np.isinf(apart).reshape(counts), output=pieces)
    return points[pieces.ravel() == pieces[0, 0, 0]]

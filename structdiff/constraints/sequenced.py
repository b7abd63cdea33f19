"""A design that has its sequence, with side chains or without: relaxed once more, each residue as the kind it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from structdiff.constraints.hydrogen_bonds import with_hydrogen_bonds
from structdiff.constraints.of_design import DesignConstraints
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.relaxation import Relaxation, relax
from structdiff.constraints.stereochemistry import Spreads, Stereochemistry
from structdiff.constraints.symmetry_contacts import Images
from structdiff.errors import StructdiffError
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.structure.assembly import copied
from structdiff.structure.keys import atom_keys
from structdiff.structure.tables import Structure

SEQUENCED_RELAXATION = Relaxation(restraint=0.3)
#: Side chains are where they are by a guess: they give way sooner than the backbone's torsions do.
SEQUENCED_SPREADS = Spreads(torsion_preference=5.0, overlap=0.06)


def relaxed_design(structure: Structure, asked: DesignConstraints, group: SymmetryGroup | None = None) -> Structure:
    """The structure with its side chains and backbone relaxed, under what the design was drawn under.

    Args:
        structure: the finished design; of a symmetric assembly all copies, the first one first.
        asked: what it was drawn under; its atoms are found in the structure by chain, number, insertion code and name.
            Chains without new residues do not move.
        group: of a symmetric assembly; the others become what the operators make of the first copy.
    """
    size = _size_of_unit(structure, group)
    unit = structure.select(structure.atoms.resolved & (np.arange(len(structure.atoms)) < size))
    relaxed = relaxed_unit(unit, asked, None if group is None else Images.of(group))
    if relaxed is not unit:
        positions = structure.atoms.positions.astype(np.float64)
        positions[np.flatnonzero(structure.atoms.resolved[:size])] = relaxed.atoms.positions
        structure = _placed(structure, positions)
    return structure if group is None else with_equal_copies(structure, group)


def with_equal_copies(structure: Structure, group: SymmetryGroup) -> Structure:
    """A symmetric assembly of which each copy is what its operator makes of the first one.

    Side chains are built onto all copies at once and turn out a little different in each.
    """
    size = _size_of_unit(structure, group)
    return _placed(structure, copied(structure.atoms.positions[:size], group).reshape(-1, 3))


def _placed(structure: Structure, positions: np.ndarray) -> Structure:
    """The structure with its resolved atoms at these positions (atom, 3) in Å."""
    seen = structure.atoms.resolved
    return structure.with_positions(np.where(seen[:, None], positions, structure.atoms.positions), resolved=seen)


def relaxed_unit(unit: Structure, asked: DesignConstraints, images: Images | None = None) -> Structure:
    """One copy of a design, all of its atoms resolved, relaxed beside its images; itself where nothing may move.

    Packed side chains reach into each other and into the backbone, and the backbone was made when no residue had a
    kind, strained by the sketch and the torsions of its fold: here glycine, proline and what stands before it have
    torsions of their own, and of the fold only hydrogen bonds are kept. What was held stays bit by bit.
    """
    drawn = asked.placed.designed_chains
    place = {key: row for row, key in enumerate(atom_keys(unit))}
    given = [place.get(key, -1) if key[0] in drawn else -1 for key in atom_keys(asked.placed.structure)]
    # Of a cropped target the files hold more than was drawn: chains without new residues stay altogether.
    held = ~np.isin(unit.chains.name[unit.atom_chain], drawn)
    held[[row for row, group_of in zip(given, asked.placed.held, strict=True) if row >= 0 and group_of > 0]] = True
    if held.all():
        return unit
    before = unit.atoms.positions
    done = relax(
        unit, torch.from_numpy(before.astype(np.float64))[None], held=torch.from_numpy(held),
        stereochemistry=_chemistry(unit, asked, np.array(given), held), images=images, settings=SEQUENCED_RELAXATION,
    )  # fmt: skip
    return unit.with_positions(np.where(held[:, None], before, done.positions[0].numpy()), resolved=unit.atoms.resolved)


def _size_of_unit(structure: Structure, group: SymmetryGroup | None) -> int:
    copies = 1 if group is None else len(group)
    if len(structure.atoms) % copies:
        raise StructdiffError(f"{len(structure.atoms)} atoms are no {copies} equal copies")
    return len(structure.atoms) // copies


def _chemistry(unit: Structure, asked: DesignConstraints, given: np.ndarray, held: np.ndarray) -> Stereochemistry:
    model = Stereochemistry.from_structure(unit, held=held, spreads=SEQUENCED_SPREADS)
    # Sulphurs that no bond joins are no disulfide.
    apart = dataclasses.replace(model.repulsion, sulphur=np.zeros_like(model.repulsion.sulphur))
    model = dataclasses.replace(model, repulsion=apart)
    there = unit.atoms.positions.astype(np.float64)
    model = asked.with_what_is_asked(model, there, given)
    if not asked.blocks:
        return model
    placed: PlacedAtoms = asked.placed
    backbone = np.where(placed.backbone >= 0, given[placed.backbone], -1)
    if model.torsion_preference is not None:
        in_loops = model.torsion_preference.with_loops(set(backbone[asked.loop, 1].tolist()))
        model = dataclasses.replace(model, torsion_preference=in_loops)
    return with_hydrogen_bonds(
        model, asked.blocks, asked.pairs, backbone=backbone, chain=placed.chain, held=held,
        there=there,
    )  # fmt: skip

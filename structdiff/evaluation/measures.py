"""What is measured of each structure: a list of functions, each of which gives some columns of the table.

To add a metric of a structure: an entry in the catalogue, and here a function of a Subject that gives its value under
that name; NaN, or no entry, where it does not apply.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.accuracy import accuracy_values
from structdiff.evaluation.catalogue import CATALOGUE
from structdiff.evaluation.clashes import ATOMS_OF_RESIDUE, backbone_clashes, clashes
from structdiff.evaluation.component_geometry import component_geometry
from structdiff.evaluation.interface import hotspots_touched, interface, interface_pairs
from structdiff.evaluation.motif import motif_deviation
from structdiff.evaluation.posebusters import checks_passed
from structdiff.evaluation.ramachandran import ramachandran
from structdiff.evaluation.stereocentres import stereocentres
from structdiff.evaluation.subject import Subject
from structdiff.evaluation.validity import validity
from structdiff.evaluation.vinardo import ligand_scores
from structdiff.structure.tables import ChainKind

Measure = Callable[[Subject], Mapping[str, float]]

_TORN = 4.0  # Å; longer than every bond with a metal


def validity_values(subject: Subject) -> dict[str, float]:
    """Could it exist, what does it look like; of nucleic acids without a protein, what can be said of any component."""
    structure = subject.structure
    _tell_torn_bonds(subject)
    if subject.backbone.complete.any():
        checks = dataclasses.asdict(validity(structure))
        return {name: float(value) for name, value in checks.items() if name in CATALOGUE}
    if not np.isin(structure.chains.kind, (ChainKind.DNA, ChainKind.RNA)).any():
        raise InputError("no protein residue with N, CA and C, and no nucleic acid", path=subject.path)
    inside = component_geometry(structure)
    return {
        "clashes_per_100": clashes(structure).per_100_residues,
        "component_bonds_over_4_sigma": inside.bonds_over_4_sigma,
        "component_angles_over_4_sigma": inside.angles_over_4_sigma,
        "stereocentres_right": stereocentres(structure).share_right,
    }


def _tell_torn_bonds(subject: Subject) -> None:
    """Notes bonds of ligands with other residues whose ends are far apart: what is measured lies within residues."""
    structure = subject.structure
    atoms, residues, chains = structure.atoms, structure.residues, structure.chains
    pairs = np.stack([structure.bonds.atom_1, structure.bonds.atom_2], 1)
    owner = atoms.residue[pairs]
    of_ligand = (chains.kind[residues.chain[owner]] == ChainKind.LIGAND).any(1)
    pairs = pairs[of_ligand & (owner[:, 0] != owner[:, 1]) & atoms.resolved[pairs].all(1)]
    length = np.linalg.norm(atoms.positions[pairs[:, 0]] - atoms.positions[pairs[:, 1]], axis=1)
    for place in np.flatnonzero(length > _TORN).tolist():
        ends = " to ".join(
            f"{atoms.name[atom]} of {residues.name[row]} {residues.author_seq_id[row]}"
            for atom, row in zip(pairs[place].tolist(), atoms.residue[pairs[place]].tolist(), strict=True)
        )
        subject.notes.append(f"{subject.name} has a bond of {length[place]:.1f} Å, {ends}: it is torn")


def motif_values(subject: Subject) -> dict[str, float]:
    """Is the motif held; nothing where there is none, or its file was not given."""
    residues = subject.motif_residues
    if not residues:
        if subject.given.motif is not None:
            subject.notes.append(
                f"{subject.name} has no residue map, which would say where the motif is: it is not judged"
            )
        return {}
    values = {"motif_residues": float(len(residues)), **_new_residue_values(subject)}
    if subject.motif is None:
        if subject.motif_name is not None:
            subject.notes.append(
                f"the motif {subject.motif_name} is not here, so that its RMSD is not judged: --motif names a file"
            )
    else:
        found = motif_deviation(subject.structure, subject.motif, residues)
        values |= {"motif_rmsd": found.backbone, "motif_rmsd_all": found.all_atoms}
    return values


def _new_residue_values(subject: Subject) -> dict[str, float]:
    """Torsions and clashes of what was designed: a motif's own are as its file has them."""
    new = subject.is_new
    if not new.any():
        return {}
    torsions = ramachandran(subject.backbone)
    own = new[torsions.judged]
    atoms = backbone_clashes(subject.backbone).pairs
    clashing = int(new[atoms // ATOMS_OF_RESIDUE].any(1).sum())
    return {
        "new_rama_favoured": float(np.mean(torsions.is_favoured[own])) if own.any() else math.nan,
        "new_clashes_per_100": 100 * clashing / int(new.sum()),
    }


def interface_values(subject: Subject) -> dict[str, float]:
    """What touches between chains; nothing for a single chain."""
    found = interface(subject.structure)
    if found is None:
        if subject.given.hotspots:
            subject.notes.append(f"{subject.name} has one chain, so that nothing touches its hotspots")
        return {}
    values = {"interface_contacts": float(found.contacts), "interface_area": found.area}
    if (pairs := interface_pairs(subject.structure)) is not None:
        values["interface_pairs"] = float(pairs)
    if subject.hotspots:
        values["hotspots_touched"] = hotspots_touched(subject.structure, subject.hotspots)
    return values


def ligand_values(subject: Subject) -> dict[str, float]:
    """How well do its ligands lie, and are they sound, by PoseBusters where that is installed; with a reference that
    says which bonds there are.

    PoseBusters says nothing of ligands of several atoms whose bonds no file and no dictionary tells: every check would
    fail.
    """
    scores = [each.affinity for each in ligand_scores(subject.structure)]
    values = {"ligand_score": float(np.mean(scores))} if scores else {}
    if subject.given.reference_of(subject.name) is not None:
        return values
    share = checks_passed(subject.structure)
    return values if math.isnan(share) else {**values, "posebusters": share}


#: Every measure of a structure by itself, in the order of their columns.
MEASURES: tuple[Measure, ...] = (validity_values, motif_values, interface_values, ligand_values)


def measured(subject: Subject) -> dict[str, float]:
    """All values of a structure by the names of the catalogue; those that do not apply are left out.

    A reference that it cannot be compared with is one of the subject's failures, and the other values are kept.
    """
    values = {name: value for measure in MEASURES for name, value in measure(subject).items()}
    try:
        values |= accuracy_values(subject)
    except InputError as error:
        subject.failures.append(_naming(error, subject))
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _naming(error: InputError, subject: Subject) -> str:
    """An error of a comparison, beginning with the structure's file unless it names a file itself."""
    return str(error) if error.path is not None else f"{subject.path}: {error}"

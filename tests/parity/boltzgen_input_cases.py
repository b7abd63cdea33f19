"""Designs, as BoltzGen and structdiff write them, whose inputs are compared; needs no boltzgen."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import torch

from structdiff.design_jobs import job_of
from structdiff.features.collate import collate
from structdiff.model.boltz.design_inputs import with_open_atoms
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs
from structdiff.model.boltz.network import OF_DESIGNS
from structdiff.spec.compose import asked_spec

DATA = Path(__file__).parents[1] / "data"
FILES = {"trpcage.cif": "1l2y_3_models.cif.gz", "streptavidin.pdb": "1stp.pdb.gz", "dna.pdb": "1bna.pdb.gz"}

#: BoltzGen's entities, what structdiff is asked, and the components that the file holds.
CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "free": ("- protein: {id: A, sequence: 6}", {"contigs": "6"}, ()),
    "cyclic": ("- protein: {id: A, sequence: 7, cyclic: true}", {"contigs": "7", "cyclic": "A"}, ()),
    "secondary_structure": (
        "- protein: {id: A, sequence: 8, secondary_structure: {helix: 1..4, loop: '5', sheet: 6..7}}",
        {"contigs": "8", "secondary_structure": "HHHHLEE?"}, (),
    ),
    "binder": (
        """
- file:
    path: trpcage.cif
    include: [{chain: {id: A}}]
    binding_types: [{chain: {id: A, binding: 3..5, not_binding: 10}}]
    structure_groups: all
- protein: {id: B, sequence: 6}
""",
        {"motif": "trpcage.cif", "contigs": "A1-20/0 6", "hotspots": "A3,A4,A5", "keep_away": "A10"}, (),
    ),
    "ligand": (
        """
- protein: {id: C, sequence: 6}
- file: {path: streptavidin.pdb, include: all, structure_groups: all}
""",
        {"motif": "streptavidin.pdb", "contigs": "6/0 A13-133", "ligands": "BTN", "target_crop": "none"}, ("BTN",),
    ),
    "dna": (
        """
- file: {path: dna.pdb, include: all, structure_groups: all}
- protein: {id: C, sequence: 6}
""",
        {"motif": "dna.pdb", "contigs": "A1-12/0 B13-24/0 6", "target_crop": "none"}, (),
    ),
}  # fmt: skip

BY_TOKEN = (
    "residue_type", "profile", "deletion_mean", "molecule_type", "method", "modified", "cyclic_period", "residue_index",
    "token_index", "asym_id", "entity_id", "sym_id", "open", "binding", "secondary_structure",
)  # fmt: skip
BY_PAIR = ("token_bonds", "bond_type", "contact_type", "known")
BY_ROW = ("msa", "has_deletion", "msa_paired", "msa_mask")
BY_ATOM = ("reference_charge", "reference_element", "reference_name", "atom_token")
#: Differences that are meant: BoltzGen takes alike chains of a file that names no entities for different ones, and the
#: phosphorus that the first nucleotide of a strand lacks for one at the origin of the file.
MEANT = {("dna", "entity_id"), ("dna", "sym_id"), ("dna", "frame_distances")}
NAMES = (*BY_TOKEN, *BY_PAIR, *BY_ROW, *BY_ATOM, "frame_distances", "centre_distances", "conformer_distances")


def write_files(folder: Path) -> None:
    """The structures that the cases name."""
    for name, source in FILES.items():
        (folder / name).write_bytes(gzip.decompress((DATA / source).read_bytes()))


def inputs_of(case: str) -> BoltzInputs:
    """structdiff's inputs of a case whose files are in the current folder."""
    job = job_of(asked_spec(None, CASES[case][1]), 0, abilities=OF_DESIGNS)
    return boltz_inputs(collate([with_open_atoms(job.features)]), designs=True)


def own_tensors(inputs: BoltzInputs) -> dict[str, torch.Tensor]:
    """What is compared: what there is, distances in place of positions."""
    design = inputs.design
    assert design is not None
    tokens, atoms = inputs.token_mask[0], inputs.atom_mask[0]
    place = tokens.cumsum(0) - 1
    known = (design.group[:, :, None] == design.group[:, None]) & (design.group > 0)[:, :, None]
    values = vars(inputs) | vars(design) | {"known": known}
    found = {name: values[name][0][tokens] for name in BY_TOKEN}
    found |= {name: values[name][0][tokens][:, tokens] for name in BY_PAIR}
    found |= {name: values[name][0][:, tokens] for name in BY_ROW}
    found |= {name: values[name][0][atoms] for name in BY_ATOM}
    found["atom_token"] = place[found["atom_token"]]
    frames = design.frame_atoms[0][tokens].transpose(0, 1)
    return found | distances(
        known=found["known"], centre=design.centre[0][tokens], frames=frames,
        space=inputs.reference_space[0][atoms], conformers=inputs.reference_positions[0][atoms],
    )  # fmt: skip


def distances(
    *, known: torch.Tensor, centre: torch.Tensor, frames: torch.Tensor, space: torch.Tensor, conformers: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Distances (Å) where they are known, of centres, of the four atoms, and in the conformer of one residue."""
    same = space[:, None] == space
    return {
        "centre_distances": _apart(centre) * known, "frame_distances": _apart(frames) * known,
        "conformer_distances": (_apart(conformers) * same).amax(-1),
    }  # fmt: skip


def _apart(points: torch.Tensor) -> torch.Tensor:
    return torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")

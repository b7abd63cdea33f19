"""Inputs in Boltz's YAML on which the inputs of its network are compared with Boltz's own, by name; files beside."""

from __future__ import annotations

import gzip
from pathlib import Path

import torch

from structdiff.complex_jobs import complex_job
from structdiff.features.collate import collate
from structdiff.jobs import Job
from structdiff.model.abilities import Abilities
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs
from structdiff.spec.read import read_complex

TEMPLATE = Path(__file__).parents[1] / "data" / "1l2y_3_models.cif.gz"

FILES = {
    "rows.a3m": ">query\nMKTAYIAKQRQIS\n>one\nMKTaaAYIAK-RQIS\n>two\n-KSAYLlAKQRQ--\n>three\nMKTAYIAKQKQISe\n",
    "first.csv": "key,sequence\n,MKTAYIAK\n9606,MRTAYIAK\n10090,MKTggAYLAK\n,MKTAYI--\n",
    "second.csv": "key,sequence\n,GSHMLEDP\n10090,GSHMIEDP\n9606,GSHMLEeEP\n7227,GTHMLEDP\n",
}

PROTEIN = "- protein: {id: A, sequence: MKTAYIAKQRQISFVKSHFW, msa: empty}\n"

CASES = {
    "protein": PROTEIN,
    "copies": """
- protein: {id: [A, B], sequence: MKTAYIAK, msa: empty}
- protein: {id: C, sequence: GCHWDENP, msa: empty}
""",
    "ligands": PROTEIN + """
- ligand: {id: [L, M], ccd: ATP}
- ligand: {id: N, smiles: "CC(=O)Oc1ccccc1C(=O)[O-]"}
- ligand: {id: Z, ccd: ZN}
- ligand: {id: G, ccd: GTP}
- ligand: {id: H, ccd: HEM}
""",
    "nucleic": """
- dna: {id: A, sequence: GATC}
- dna: {id: B, sequence: GATC}
- rna: {id: C, sequence: GACU}
""",
    "modified": """
- protein:
    id: A
    sequence: MKSAYTAKQRM
    msa: empty
    modifications: [{position: 3, ccd: SEP}, {position: 6, ccd: TPO}, {position: 11, ccd: MSE}]
- protein:
    id: B
    sequence: PMKYK
    msa: empty
    modifications: [{position: 1, ccd: HYP}, {position: 2, ccd: MSE}, {position: 4, ccd: PTR}, {position: 5, ccd: MLY}]
- dna: {id: C, sequence: GCTC, modifications: [{position: 2, ccd: 5CM}]}
- rna: {id: D, sequence: UGAC, modifications: [{position: 1, ccd: PSU}, {position: 2, ccd: 2MG}]}
""",
    "bonds": """
- protein: {id: A, sequence: MCTAYCNKQR, msa: empty}
- ligand: {id: L, ccd: [NAG, NAG]}
constraints:
- bond: {atom1: [A, 2, SG], atom2: [A, 6, SG]}
- bond: {atom1: [A, 7, ND2], atom2: [L, 1, C1]}
- bond: {atom1: [L, 1, O4], atom2: [L, 2, C1]}
""",
    "cyclic": "- protein: {id: A, sequence: GFLPWCAG, msa: empty, cyclic: true}\n",
    "alignment": "- protein: {id: A, sequence: MKTAYIAKQRQIS, msa: rows.a3m}\n- ligand: {id: L, ccd: GOL}\n",
    "paired": """
- protein: {id: A, sequence: MKTAYIAK, msa: first.csv}
- protein: {id: B, sequence: GSHMLEDP, msa: second.csv}
""",
    "constraints": """
- protein: {id: A, sequence: MKTAYIAKQRQISFVKSHFW, msa: empty}
- protein: {id: B, sequence: GSHMLEDP, msa: empty, modifications: [{position: 2, ccd: SEP}]}
- ligand: {id: L, ccd: GOL}
constraints:
- pocket: {binder: L, contacts: [[A, 3], [A, 7], [B, 2]], max_distance: 7.5}
- contact: {token1: [A, 10], token2: [B, 4], max_distance: 9}
- contact: {token1: [B, 2], token2: [A, 1]}
""",
    "template": """
- protein: {id: A, sequence: GSNLYIQWLKDGGPSSGRPPPSKK, msa: empty}
- protein: {id: B, sequence: MKTAYIAK, msa: empty}
templates:
- {cif: trpcage.cif, chain_id: A, template_id: A}
""",
}  # fmt: skip

#: Tensors of the inputs that are compared as they are, and those that only tell what is equal.
EXACT = (
    "residue_type", "profile", "deletion_mean", "molecule_type", "method", "modified", "cyclic_period", "residue_index",
    "token_index", "sym_id", "token_bonds", "bond_type", "contact_type", "contact_threshold", "reference_charge",
    "reference_element", "reference_name", "backbone", "msa", "has_deletion", "deletion_value", "msa_paired",
    "msa_mask", "template_type", "template_frame_rotation", "template_frame_origin", "template_frame_mask",
    "template_cb", "template_ca", "template_cb_mask", "template_mask", "atom_token", "representative",
)  # fmt: skip
EQUALITY = ("asym_id", "entity_id", "template_visibility", "reference_space")
BY_ATOM = (
    "reference_charge", "reference_element", "reference_name", "backbone", "reference_space", "atom_token",
)  # fmt: skip
BY_PAIR = ("token_bonds", "bond_type", "contact_type", "contact_threshold")
#: Differences that are meant: Boltz names the atoms of SMILES otherwise, and keeps what leaves at the bonds of ligands.
MEANT = {("ligands", "reference_name"), ("bonds", "token_index")}


def write_case(case: str, folder: Path) -> Path:
    """The file of a case in a folder, with those that it names."""
    for file, text in FILES.items():
        (folder / file).write_text(text)
    (folder / "trpcage.cif").write_bytes(gzip.decompress(TEMPLATE.read_bytes()))
    path = folder / f"{case}.yaml"
    path.write_text("version: 1\nsequences:\n" + CASES[case].lstrip("\n"))
    return path


def inputs_of(path: Path) -> tuple[BoltzInputs, Job, int]:
    """structdiff's inputs of a file in a batch of one that is padded, the job they are of, and the slots of a token."""
    job = complex_job(read_complex(path), abilities=Abilities(alignments=True, poses=True, designs=False))
    slots = job.features.num_slots + 2
    return boltz_inputs(collate([job.features], num_tokens=len(job.tokens) + 3, num_slots=slots)), job, slots


def taken(name: str, values: torch.Tensor, tokens: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    """A tensor of one structure at some tokens or atoms."""
    if name in BY_ATOM:
        return values[atoms]
    if name in BY_PAIR:
        return values[tokens][:, tokens]
    rowwise = name.startswith(("msa", "has_deletion", "deletion_value", "template"))
    return values[:, tokens] if rowwise else values[tokens]


def compared(name: str, values: torch.Tensor) -> torch.Tensor:
    """Values as they are compared: which are equal, where their numbers mean no more."""
    if name not in EQUALITY:
        return values
    flat = values.flatten()
    return flat[:, None] == flat

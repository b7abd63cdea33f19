"""A tiny Boltz-2 with affinity modules, and inputs on which it is compared with Boltz's own; needs no boltz."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structdiff.complex_jobs import complex_job
from structdiff.features.collate import collate
from structdiff.features.token_subset import token_subset
from structdiff.jobs import Job
from structdiff.model.abilities import Abilities
from structdiff.model.boltz.affinity_crop import affinity_crop
from structdiff.model.boltz.affinity_ensemble import ensemble_readings
from structdiff.model.boltz.affinity_inputs import affinity_inputs
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.interface_ptm import interface_ptm
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.spec.read import read_complex
from structdiff.structure.tables import ChainKind, Structure
from tests.parity.boltz2_cases import draw_boltz_inputs, hyper_parameters, noisy_positions


def affinity_hyper_parameters(*, full: bool = False, ensemble: bool = True) -> dict[str, Any]:
    """What ``Boltz2`` is built with for affinities; the two modules of the ensemble have other sizes."""
    settings = hyper_parameters(full=full) | {"affinity_prediction": True, "affinity_ensemble": ensemble}
    if not ensemble:
        return settings | {"affinity_model_args": _module(full=full, blocks=1)}
    return settings | {f"affinity_model_args{number}": _module(full=full, blocks=3 - number) for number in (1, 2)}


def _module(*, full: bool, blocks: int) -> dict[str, Any]:
    triangles = {"pairwise_head_width": 32 if full else 8, "pairwise_num_heads": 4 if full else 2}
    return {
        "num_dist_bins": 64, "max_dist": 22, "use_cross_transformer": False, "groups": {0: 1, 1: 1},
        "pairformer_args": {"num_blocks": blocks, "num_heads": 2, "dropout": 0.0, **triangles,
                            "activation_checkpointing": False},
        "transformer_args": {"token_s": 384 if full else 24, "num_blocks": 1, "num_heads": 2,
                             "activation_checkpointing": False},
    }  # fmt: skip


def draw_affinity_inputs() -> tuple[BoltzInputs, Tensor]:
    """Two made-up complexes, and which of their tokens are of the ligand: the last chain, beside others."""
    inputs = draw_boltz_inputs()
    binder = (inputs.asym_id == 2) & inputs.token_mask
    kinds = torch.where(binder, int(ChainKind.LIGAND), inputs.molecule_type)
    return dataclasses.replace(inputs, molecule_type=kinds), binder


@torch.inference_mode()
def own_affinities(network: BoltzNetwork, inputs: BoltzInputs, binder: Tensor) -> dict[str, Tensor]:
    """What each module says of each complex, by its number, from a trunk that is recycled once."""
    positions, _ = noisy_positions(inputs)
    trunk = network.trunk.understood(inputs, recycles=1)
    found: dict[str, Tensor] = {}
    for number, module in enumerate(network.affinity, start=1):
        said = module(inputs, binder, trunk.s_inputs, trunk.z_trunk, positions)
        found |= {f"log10_ic50_{number}": said.log10_ic50, f"binder_logit_{number}": said.binder_logit}
    return found


#: A complex that is larger than what is seen of it: stretches of long chains, short ones whole, two ligands.
CROPPED = """version: 1
sequences:
- protein:
    id: [A, B]
    sequence: {sequence}
    msa: empty
    modifications: [{{position: 3, ccd: TPO}}, {{position: 13, ccd: SEP}}, {{position: 41, ccd: MSE}}]
- protein: {{id: C, sequence: MKTAYIAK, msa: rows.a3m}}
- dna: {{id: D, sequence: GATCGATCGATTACA}}
- ligand: {{id: L, ccd: ATP}}
- ligand: {{id: M, smiles: "CC(=O)Oc1ccccc1C(=O)O"}}
- ligand: {{id: Z, ccd: ZN}}
constraints:
- pocket: {{binder: L, contacts: [[A, 5], [B, 60]], max_distance: 7.5}}
properties:
- affinity: {{binder: L}}
""".format(sequence="MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVMDGTQDNLSGAEKAVQVKVKALPDAQFEVVTSGLKATPEQDIRK" * 2)
ROWS = ">query\nMKTAYIAK\n>one\nMRTAYLAK\n>two\n-KTAggYIA-\n"
#: The same, of which all is seen.
WHOLE = """version: 1
sequences:
- protein: {id: A, sequence: MKTAYIAKQRQISFVKSHFW, msa: empty, modifications: [{position: 1, ccd: MSE}]}
- rna: {id: R, sequence: GACUGA}
- ligand: {id: L, smiles: "CC(=O)Oc1ccccc1C(=O)O"}
properties:
- affinity: {binder: L}
"""
COMPLEXES = {"cropped": CROPPED, "whole": WHOLE}


def complex_file(name: str, folder: Path) -> Path:
    """The file of a complex in a folder, with the alignment that it names."""
    (folder / "rows.a3m").write_text(ROWS)
    path = folder / f"{name}.yaml"
    path.write_text(COMPLEXES[name])
    return path


def affinity_job(path: Path) -> Job:
    """The job of a complex, with made-up positions (Å): chains that wander about each other."""
    spec = read_complex(path)
    abilities = Abilities(alignments=True, poses=True, designs=False, conformers=True)
    job = complex_job(dataclasses.replace(spec, affinity=None), abilities=abilities)
    structure, rng = job.structure, np.random.default_rng(5)
    places = np.cumsum(rng.standard_normal((len(structure.residues), 3)) * 2.5, 0)
    for row in range(len(structure.chains)):
        own = structure.chain_residues(row)
        places[own.start : own.stop] -= places[own.start : own.stop].mean(0) + rng.standard_normal(3) * 4
    atoms = places[structure.atoms.residue] + rng.standard_normal((len(structure.atoms), 3))
    placed = structure.with_positions(atoms.astype(np.float32))
    return dataclasses.replace(job, structure=placed, binder=spec.affinity)


def drawn_samples(structure: Structure, count: int = 3) -> np.ndarray:
    """Several structures (sample, atom, 3) in Å, as if the affinity network had drawn them."""
    rng = np.random.default_rng(6)
    noise = rng.standard_normal((count, len(structure.atoms), 3)).astype(np.float32)
    return structure.atoms.positions + 3 * noise


@dataclass(frozen=True)
class Seen:
    """What our affinity network sees of a job: which tokens, what it reads of them, and which are of the ligand."""

    tokens: np.ndarray
    inputs: BoltzInputs
    binder: Tensor
    atoms: np.ndarray  # row in the structure of each packed atom, 0 where there is none


def seen_of(job: Job) -> Seen:
    """What is seen of a job at its positions."""
    row = int(np.flatnonzero(job.structure.chains.name == job.binder)[0])
    seen = affinity_crop(job.tokens, job.structure, row)
    rows = np.flatnonzero(seen)
    inputs = affinity_inputs(collate([token_subset(job.features, torch.from_numpy(rows))]))
    atoms = job.tokens.atoms[rows].reshape(-1)[inputs.atom_slot[0].numpy()]
    return Seen(tokens=seen, inputs=inputs, binder=torch.from_numpy(job.tokens.chain[rows] == row)[None], atoms=atoms)


@torch.inference_mode()
def own_ensemble(network: BoltzNetwork, job: Job) -> dict[str, Tensor]:
    """What our network says of a job with given structures in place of those that it would draw, and their ipTM."""
    seen = seen_of(job)
    packed = torch.from_numpy(drawn_samples(job.structure)[:, seen.atoms]) * seen.inputs.atom_mask[..., None]
    trunk = network.trunk.understood(seen.inputs, recycles=1)
    readings = ensemble_readings(network, seen.inputs, trunk, seen.binder, packed)
    pae = [network.confidence.judged(seen.inputs, trunk.s_inputs, trunk.s_trunk, trunk.z_trunk, each).pae
           for each in packed.split(1)]  # fmt: skip
    iptm = [interface_ptm(seen.inputs, each, own) for each, own in zip(packed.split(1), pae, strict=True)]
    found = {"iptm": torch.cat(iptm)}
    for number, each in enumerate(readings, start=1):
        found |= {f"value{number}": each.log10_ic50, f"probability{number}": each.binder_logit.sigmoid()}
    return found

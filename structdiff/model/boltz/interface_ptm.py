"""How well chains lie to each other, as Boltz-2 scores it: ipTM seen from residues and from atoms of ligands."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.chemistry.residues import UNK_PROTEIN
from structdiff.model.boltz.atom_layout import codes_of, name_codes
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Float, Int

#: Atoms of a frame, the second in its middle.
_PROTEIN, _NUCLEIC = ("N", "CA", "C"), ("C1'", "C3'", "C4'")
_STRAIGHTEST = 0.9063  # cosine of 25 degrees
_NEAREST = 0.01  # Å; atoms that are nearer are one
_LARGEST_ERROR = 32.0  # Å


def interface_ptm(
    inputs: BoltzInputs, packed: Float[Tensor, "batch atom 3"], pae: Float[Tensor, "batch token token bin"]
) -> Float[Tensor, " batch"]:
    """The ipTM of structures whose packed atoms are at given places (Å), from the logits of their aligned errors.

    As Boltz has it (version 2.2.1): atoms of ligands have frames too, which structdiff's own ipTM does not count. 0 for
    a single chain.
    """
    mask, bins = inputs.token_mask, pae.shape[-1]
    errors = (torch.arange(bins, device=pae.device) + 0.5) * (_LARGEST_ERROR / bins)
    scale = 1.24 * (mask.sum(-1).clamp(min=19) - 15) ** (1 / 3) - 1.8
    likeness = 1 / (1 + (errors / scale[:, None]).square())
    terms = (pae.softmax(-1) * likeness[:, None, None]).sum(-1)
    other = mask[:, None] & (inputs.asym_id[:, :, None] != inputs.asym_id[:, None])
    seen = other & has_frame(inputs, packed)[:, :, None]
    return ((terms * seen).sum(-1) / (seen.sum(-1) + 1e-5)).amax(-1)


def has_frame(inputs: BoltzInputs, packed: Float[Tensor, "batch atom 3"]) -> Bool[Tensor, "batch token"]:
    """Which tokens have three atoms that span a plane: of ligands each atom with the two of its chain next to it."""
    of_polymer = _polymer_frames(inputs)
    of_ligand = _ligand_frames(inputs, packed)
    rows = torch.where((inputs.molecule_type == ChainKind.LIGAND)[..., None], of_ligand, of_polymer)
    atoms = torch.take_along_dim(packed[:, None], rows.clamp(min=0)[..., None], 2)
    first, second = atoms[:, :, 0] - atoms[:, :, 1], atoms[:, :, 2] - atoms[:, :, 1]
    lengths = first.norm(dim=-1), second.norm(dim=-1)
    cosine = (first * second).sum(-1) / ((lengths[0] + 1e-6) * (lengths[1] + 1e-6))
    apart = (lengths[0] > _NEAREST) & (lengths[1] > _NEAREST)
    return inputs.token_mask & (rows >= 0).all(-1) & apart & (cosine.abs() < _STRAIGHTEST)


def _polymer_frames(inputs: BoltzInputs) -> Int[Tensor, "batch token 3"]:
    """The packed atoms of each residue's frame, by names; -1 where one is missing, and in modified amino acids."""
    protein, nucleic = (_named(inputs, names) for names in (_PROTEIN, _NUCLEIC))
    protein = torch.where((inputs.residue_type == UNK_PROTEIN)[..., None], -1, protein)
    return torch.where((inputs.molecule_type == ChainKind.PROTEIN)[..., None], protein, nucleic)


def _named(inputs: BoltzInputs, names: tuple[str, ...]) -> Int[Tensor, "batch token name"]:
    """The packed atom of each token that is called by each of the names, -1 for none."""
    codes, number = name_codes(inputs.reference_name), torch.arange(inputs.atom_mask.shape[1], device=inputs.msa.device)
    found = []
    for code in codes_of(names, codes.device):
        own = torch.where((codes == code) & inputs.atom_mask, number, -1)
        none = torch.full_like(inputs.token_index, -1)
        found.append(none.scatter_reduce(1, inputs.atom_token, own, "amax"))
    return torch.stack(found, -1)


def _ligand_frames(inputs: BoltzInputs, packed: Float[Tensor, "batch atom 3"]) -> Int[Tensor, "batch token 3"]:
    """For each token the atom next to its own in its chain, its own, and the next but one; -1 where there are none."""
    points = packed.gather(1, inputs.representative[..., None].expand(-1, -1, 3))
    apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    chain, mask = inputs.asym_id, inputs.token_mask
    together = (chain[:, :, None] == chain[:, None]) & mask[:, :, None] & mask[:, None]
    apart = torch.where(together, apart, torch.inf)
    apart = apart - torch.eye(apart.shape[1], device=apart.device)  # each is nearest to itself, whoever else is there
    near = apart.topk(min(3, apart.shape[-1]), largest=False)
    rows = torch.where(
        near.values.isfinite(), inputs.representative[:, None].expand_as(apart).gather(2, near.indices), -1
    )
    rows = torch.nn.functional.pad(rows, (0, 3 - rows.shape[-1]), value=-1)
    return rows[..., [1, 0, 2]]

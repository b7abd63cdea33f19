"""What Boltz-2 is told of pairs of tokens: covalent bonds, contacts and pockets."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.features.schema import Features, TokenFeatures
from structdiff.model.boltz.bond_orders import perceived_orders
from structdiff.model.boltz.merging import is_host, merged_pairs
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Float, Int

NOT_SELECTED, POCKET_TO_BINDER, BINDER_TO_POCKET, CONTACT = 1, 2, 3, 4
COVALENT = 6  # a bond between residues; those inside of one are 1 other, 2 single, 3 double, 4 triple, 5 aromatic
NEAREST, FARTHEST = 4.0, 20.0  # Å, of contacts and pockets, as Boltz-2 was trained


def bond_types(
    features: Features, host: Int[Tensor, "batch token"], modified: Bool[Tensor, "batch token"]
) -> Int[Tensor, "batch token token"]:
    """Boltz-2's types of the bonds of ligands, in modified residues, and of links beside the polymer's own; 0 is none.

    All bonds of a modified residue lie on its one token, whose type is that of the last of them.
    """
    token, there = features.token, features.pair.token_bonds > 0
    same_chain = token.asym_id[:, :, None] == token.asym_id[:, None]
    same_residue = same_chain & (token.residue_index[:, :, None] == token.residue_index[:, None])
    inside = there & same_residue
    between = there & ~same_residue & ~_polymer_links(token, same_chain)
    kinds = (perceived_orders(features, same_residue) + 1) * inside
    types = merged_pairs((between * COVALENT).float(), host).long()
    types = torch.where(inside & (token.kind == ChainKind.LIGAND)[:, :, None], kinds, types)
    if bool(is_host(host).all()):
        return types
    return types + torch.diag_embed(_last_inside(kinds, host) * modified)


def ring_closures(token: TokenFeatures) -> Bool[Tensor, "batch token token"]:
    """Pairs of the ends of cyclic chains."""
    period = token.cyclic_period[:, :, None]
    same_chain = token.asym_id[:, :, None] == token.asym_id[:, None]
    return same_chain & (period > 2) & (_apart(token) == period - 1)


def _polymer_links(token: TokenFeatures, same_chain: Tensor) -> Bool[Tensor, "batch token token"]:
    """Pairs of one polymer's neighbours in sequence, the ends of a cyclic chain among them, whose links go unsaid."""
    polymer = (token.kind < ChainKind.LIGAND)[:, :, None]
    return polymer & ((same_chain & (_apart(token) == 1)) | ring_closures(token))


def _apart(token: TokenFeatures) -> Int[Tensor, "batch token token"]:
    """How far two residues are from each other by their numbers."""
    return (token.residue_index[:, :, None] - token.residue_index[:, None]).abs()


def _last_inside(kinds: Tensor, host: Tensor) -> Int[Tensor, "batch token"]:
    """The type of the last bond, by its atoms, that each host has inside of it, 0 where there is none."""
    count = kinds.shape[-1]
    place = torch.arange(count * count, device=kinds.device).view(count, count)
    own = (kinds > 0) & (host[:, :, None] == host[:, None])
    upper = own & (place % count > place // count)
    last_of_row = torch.where(upper, place, -1).amax(-1)
    last = torch.full_like(host, -1).scatter_reduce(1, host, last_of_row, "amax")
    found = kinds.flatten(1).gather(1, last.clamp(min=0))
    return torch.where(last >= 0, found, 0)


def contacts(
    features: Features, host: Int[Tensor, "batch token"], mask: Bool[Tensor, "batch token"]
) -> tuple[Int[Tensor, "batch token token"], Float[Tensor, "batch token token"]]:
    """Classes of the pairs and bounds of their distances (Å): all 0 where nothing is asked of a structure."""
    contact, pocket = (merged_pairs(each, host) for each in (features.pair.contact_bound, features.pair.pocket_bound))
    back = pocket.mT
    types = torch.where(pocket > 0, POCKET_TO_BINDER, torch.where(back > 0, BINDER_TO_POCKET, NOT_SELECTED))
    types = torch.where(contact > 0, CONTACT, types)
    bound = torch.where(contact > 0, contact, torch.where(pocket > 0, pocket, back))
    asked = (bound > 0).flatten(1).any(-1)[:, None, None]
    pairs = mask[:, :, None] & mask[:, None]
    bound = torch.where(bound > 0, bound.clamp(NEAREST, FARTHEST), 0.0)
    return torch.where(asked & pairs, types, 0), bound * pairs
